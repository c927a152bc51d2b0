"""A frozen backbone runs once: its features of every face, kept on disk, and batches of them."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.data.face_set import FaceSet
from faceline_core.models.recogniser import Recogniser
from faceline_core.stage.files import written_beside
from faceline_core.stage.progress import progress
from faceline_core.training.epoch_batches import EpochBatches
from faceline_core.training.precision import autocast
from faceline_core.training.trainer import Precision
from faceline_train.augmentation import Augmentation
from faceline_train.loading import Batch

_BATCH = 64


def features_of(
    recogniser: Recogniser,
    faces: FaceSet,
    augmentation: Augmentation | None,
    views: int,
    device: torch.device,
    precision: Precision,
    folder: Path,
    key: Any,
) -> NDArray[np.float32]:
    """What the backbone makes of every face, from `folder` where it was computed before.

    Args:
        recogniser: its backbone is frozen as a whole.
        faces: N of them.
        augmentation: what a face goes through; None takes the faces as they are.
        views: how often each face is augmented, V; view v is drawn as epoch v would be.
        device: where the backbone runs.
        precision: as in training.
        folder: `<hash>.npy` lies here.
        key: what the result depends on besides the backbone's weights.

    Returns:
        (V, N, D) float32, memory-mapped.
    """
    path = folder / f"{_digest(recogniser, key)}.npy"
    if not path.is_file():
        recogniser.to(device)
        with written_beside(path) as beside:
            found = np.lib.format.open_memmap(beside, "w+", np.float32, (views, len(faces), recogniser.dim))
            starts = [(view, start) for view in range(views) for start in range(0, len(faces), _BATCH)]
            for view, start in progress(starts, len(starts), "train", "batches through the frozen backbone"):
                chosen = range(start, min(start + _BATCH, len(faces)))
                found[view, chosen.start : chosen.stop] = _run(
                    recogniser, _stack(faces, augmentation, view, chosen), device, precision
                )
            found.flush()
            del found
    os.utime(path)
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def forget_others(folder: Path, keep: int) -> None:
    """Of the features kept in `folder`, leaves the `keep` files that were used last."""
    files = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in files[keep:]:
        file.unlink(missing_ok=True)


class FeatureLoader:
    """Batches of features, as FaceLoader gives batches of faces: in an epoch each face's view is epoch modulo V.

    Args:
        features: (V, N, D) float32.
        labels: (N,).
        batches: which faces go together.
        position: as FaceLoader's.
    """

    waited = 0.0

    def __init__(
        self,
        features: NDArray[np.float32],
        labels: list[int],
        batches: EpochBatches,
        position: Callable[[], tuple[int, int]],
    ):
        self.features = features
        self.labels = torch.tensor(labels)
        self.batches, self.position = batches, position

    def __len__(self) -> int:
        return len(self.batches)

    def reset_waited(self) -> None:
        """Nothing is waited for."""

    def __iter__(self) -> Iterator[Batch]:
        epoch, done = self.position()
        features = self.features[epoch % len(self.features)]
        for indices, share in self.batches.shares(epoch, done):
            chosen = torch.as_tensor(indices)
            yield Batch(torch.from_numpy(features[indices]), self.labels[chosen], chosen, torch.tensor(share))


def _run(recogniser: Recogniser, images: torch.Tensor, device: torch.device, precision: Precision) -> NDArray[Any]:
    with torch.inference_mode(), autocast(device, precision):
        return recogniser.features(images.to(device)).float().cpu().numpy()  # type: ignore[no-any-return]


def _stack(faces: FaceSet, augmentation: Augmentation | None, view: int, chosen: range) -> torch.Tensor:
    stacked = np.stack(
        [
            faces.face(index) if augmentation is None else augmentation(faces.face(index), view, index)
            for index in chosen
        ]
    )
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)


def _digest(recogniser: Recogniser, key: Any) -> str:
    facts = (key, recogniser.normalisation, recogniser.spec.as_dict(), weights_hash(recogniser))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def weights_hash(recogniser: Recogniser) -> str:
    """Hex SHA-256 over the backbone's tensors."""
    digest = hashlib.sha256()
    for name, tensor in recogniser.backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
