"""A recogniser run over a set of faces."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.data.protocol import FaceSet
from faceline_core.models.pair_scores import joined
from faceline_core.models.recogniser import Recogniser, Seen

_BATCH = 64


@dataclass(frozen=True)
class Recognised:
    """What a recogniser says of N faces."""

    probabilities: NDArray[np.float32]
    """(N, C), of each known person."""
    seen: Seen
    """On the device. Maps are float16, of the length 0 where nothing is to be matched."""

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(N, D), unit length."""
        return self.seen.unit.cpu().numpy()


def recognise(
    recogniser: Recogniser, faces: FaceSet, device: torch.device, flip: bool = False, matching: bool = False
) -> Recognised:
    """Runs a recogniser in eval mode, on `device`, over the faces of a set, in its order.

    Args:
        recogniser: on that device.
        faces: all of them are looked at.
        device: where the network runs.
        flip: whether an embedding is the mean of those of a face and of its mirror image.
        matching: whether maps are wanted as well, where there is a matcher. A map of 512 x 7 x 7 takes 50 kB.
    """
    probabilities, parts = [], []
    with torch.inference_mode():
        for start in range(0, len(faces), _BATCH):
            images = _images(faces, range(start, min(start + _BATCH, len(faces)))).to(device)
            seen = recogniser.see(images, flip)
            maps = seen.maps if matching and recogniser.matcher is not None else seen.maps[:, :0]
            probabilities.append(recogniser.probabilities(seen.unit, seen.norm).cpu().numpy())
            parts.append(seen._replace(maps=maps.half()))  # a copy: those of a batch are not kept
    return Recognised(np.concatenate(probabilities), joined(parts))


def _images(faces: FaceSet, places: Sequence[int]) -> Tensor:
    """(N, 3, S, S) uint8 RGB in [0, 255], channels last in memory."""
    return torch.from_numpy(np.stack([faces.face(place) for place in places])).permute(0, 3, 1, 2)
