"""Batches of faces, prepared beside the network's work."""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Literal, NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from faceline_core.data.caching import CachedFaces
from faceline_core.data.face_set import FaceSet
from faceline_core.data.masks import has_masks, mask_of
from faceline_core.errors import FacelineError
from faceline_core.stage.cores import usable_cores
from faceline_core.training.epoch_batches import EpochBatches


class Augment(Protocol):
    """As faceline_train.augmentation.Augmentation."""

    def __call__(self, face: NDArray[np.uint8], epoch: int, index: int) -> NDArray[np.uint8]: ...

    def with_mask(
        self, face: NDArray[np.uint8], mask: NDArray[np.uint8] | None, epoch: int, index: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]: ...


class Batch(NamedTuple):
    """What a step gets.

    images: (n, 3, S, S) uint8 RGB in [0, 255], channels last in memory.
    labels: (n,) int64, the people.
    indices: (n,) int64, the places of the faces in their set.
    share: () float32, what the mean loss over these n faces is multiplied with, so that gradients averaged over
        processes are those of the whole batch: see EpochBatches.share_of. 1 in one process.
    masks: (n, S, S) uint8, 255 where a face is visible and 0 where it is hidden; None where nobody asks.
    known: (n,) bool, whether that is known of a face.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    share: Tensor
    masks: Tensor | None = None
    known: Tensor | None = None


class FaceLoader:
    """The batches of an epoch, one epoch each time it is gone through.

    Args:
        faces: the set.
        batches: which of them go together; `position` is set here.
        position: tells the epoch to go through and how many of its batches are done already. Asked when the first batch
            is fetched, not when iteration is set up: Lightning does that before it has read the checkpoint to go on
            from.
        augmentation: what a face goes through; None takes faces as they are.
        num_workers: processes that prepare batches; 0 does it here, when a batch is asked for.
        prefetch: batches that each of them prepares ahead.
        masked: whether batches tell what is visible.
    """

    def __init__(
        self,
        faces: FaceSet,
        batches: EpochBatches,
        position: Callable[[], tuple[int, int]],
        augmentation: Augment | None = None,
        num_workers: int = 0,
        prefetch: int = 2,
        masked: bool = False,
    ):
        cv2.setNumThreads(1)  # faces are small: threads would only wait for each other
        self.batches, self.position = batches, position
        self.waited = 0.0
        """Seconds spent waiting for batches since `reset_waited`."""
        self._loader: DataLoader[Any] = DataLoader(
            _Assembly(faces, augmentation, masked),
            batch_sampler=batches,
            num_workers=num_workers,
            prefetch_factor=prefetch if num_workers else None,
            collate_fn=_as_it_is,
            persistent_workers=num_workers > 0,
            worker_init_fn=_one_thread,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else each epoch would draw from the global one
        )

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.batches)

    def reset_waited(self) -> None:
        self.waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        self.batches.position = self.position()
        _, first = self.batches.position
        start = perf_counter()
        for number, assembled in enumerate(self._loader, first):
            self.waited += perf_counter() - start
            if isinstance(assembled, FacelineError):
                raise assembled
            (images, labels, indices), masks = assembled
            yield Batch(images, labels, indices, torch.tensor(self.batches.share_of(number)), *masks)
            start = perf_counter()


def workers(num_workers: int | Literal["auto"], processes: int = 1) -> int:
    """`dataset.num_workers` as a number.

    auto: one for every four cores, none below four, shared out over the processes that train on this machine. On few
    cores the network itself keeps them busy: on two, mobilenet_v3_small and resnet18 at 112 px with the standard
    augmentation trained as fast with a worker as without.
    """
    return usable_cores() // (4 * processes) if num_workers == "auto" else num_workers


class _Assembly(Dataset[Any]):
    """Whole batches by lists of (epoch, index)."""

    def __init__(self, faces: FaceSet, augmentation: Augment | None, masked: bool):
        self.faces, self.augmentation, self.masked = faces, augmentation, masked
        self.all_clear = masked and not has_masks(faces)
        self.labels = torch.tensor(faces.labels)

    def __getitems__(
        self, keys: list[tuple[int, int]]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | FacelineError:
        """Images, labels and indices; masks and whether they are known. An error is handed over as a value: raised in a
        worker, DataLoader would wrap its one line in a traceback."""
        try:
            indices = torch.tensor([index for _, index in keys], dtype=torch.int64)
            images, masks = self._with_masks(keys) if self.masked else (self._images(keys), ())
            return (torch.from_numpy(images).permute(0, 3, 1, 2), self.labels[indices], indices), masks
        except FacelineError as error:
            return error

    def _images(self, keys: list[tuple[int, int]]) -> NDArray[np.uint8]:
        """(n, S, S, 3)"""
        if isinstance(self.faces, CachedFaces) and self.augmentation is None:
            return self.faces.array[[index for _, index in keys]]
        if not keys:
            return np.empty((0, *self.faces.face(0).shape), np.uint8)
        return np.stack([self._face(epoch, index) for epoch, index in keys])

    def _with_masks(self, keys: list[tuple[int, int]]) -> tuple[NDArray[np.uint8], tuple[Tensor, Tensor]]:
        """(n, S, S, 3); (n, S, S) and (n,)"""
        faces, masks, known = [], [], []
        for epoch, index in keys:
            face, mask = self.faces.face(index), mask_of(self.faces, index)
            known.append(self.all_clear or mask is not None)
            mask = np.full(face.shape[:2], 255, np.uint8) if mask is None else mask
            if self.augmentation is not None:
                face, followed = self.augmentation.with_mask(face, mask, epoch, index)
                assert followed is not None
                mask = followed
            faces.append(face)
            masks.append(mask)
        return np.stack(faces), (torch.from_numpy(np.stack(masks)), torch.tensor(known))

    def _face(self, epoch: int, index: int) -> NDArray[np.uint8]:
        face = self.faces.face(index)
        return face if self.augmentation is None else self.augmentation(face, epoch, index)


def _as_it_is(batch: Any) -> Any:
    return batch


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
