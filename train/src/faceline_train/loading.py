"""Batches of faces, prepared beside the network's work."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from faceline_core.data.caching import CachedFaces
from faceline_core.data.face_set import FaceSet
from faceline_core.data.masks import has_masks, mask_of
from faceline_core.errors import FacelineError
from faceline_core.training.epoch_batches import EpochBatches
from faceline_core.training.loading import EpochLoader


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


class FaceLoader(EpochLoader[Batch]):
    """The batches of an epoch, one epoch each time it is gone through.

    Args:
        faces: the set.
        batches: which of them go together; `position` is set here.
        position: as EpochLoader's.
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
        super().__init__(_Assembly(faces, augmentation, masked), batches, position, _batch, num_workers, prefetch)


def _batch(assembled: tuple[tuple[Tensor, ...], tuple[Tensor, ...]], share: float) -> Batch:
    (images, labels, indices), masks = assembled
    return Batch(images, labels, indices, torch.tensor(share), *masks)


class _Assembly(Dataset[Any]):
    """Whole batches by lists of (epoch, index)."""

    def __init__(self, faces: FaceSet, augmentation: Augment | None, masked: bool):
        self.faces, self.augmentation, self.masked = faces, augmentation, masked
        self.all_clear = masked and not has_masks(faces)
        self.labels = torch.tensor(faces.labels)

    def __getitems__(
        self, keys: list[tuple[int, int]]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | FacelineError:
        """Images, labels and indices; masks and whether they are known."""
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
