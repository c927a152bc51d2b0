"""Batches of faces for training and validation, prepared beside the network's work."""

from typing import Literal

import cv2
import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from faceline_core.data.faces import read_face, read_faces
from faceline_core.data.split import Split
from faceline_core.stage.cores import usable_cores
from faceline_core.training.epoch_order import EpochOrder
from faceline_train.augmentation import Augmentation

_MEMORY_BYTES = 1 << 30
"""A split whose decoded faces fit in this is decoded once and kept."""


class _Faces(Dataset[tuple[NDArray[np.uint8], int]]):
    """Faces by (epoch, index): (H, W, 3) uint8 RGB, and the label."""

    def __init__(self, split: Split, size: int, augmentation: Augmentation | None):
        self.split, self.size, self.augmentation = split, size, augmentation
        fits = len(split.paths) * size * size * 3 <= _MEMORY_BYTES
        self.decoded = read_faces(split.paths, size) if fits else None

    def __getitem__(self, key: tuple[int, int]) -> tuple[NDArray[np.uint8], int]:
        epoch, index = key
        face = read_face(self.split.paths[index], self.size) if self.decoded is None else self.decoded[index]
        if self.augmentation is not None:
            face = self.augmentation(face, epoch, index)
        return face, self.split.labels[index]


class _InOrder(EpochOrder):
    """Every item once, in the order of the split."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        return ((0, index) for index in range(self.length))


def _collate(items: list[tuple[NDArray[np.uint8], int]]) -> tuple[Tensor, Tensor]:
    """Faces (N, 3, H, W) uint8, channels last in memory, and labels (N,)."""
    faces = torch.from_numpy(np.stack([face for face, _ in items])).permute(0, 3, 1, 2)
    return faces, torch.tensor([label for _, label in items])


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)


class FaceBatches(lightning.LightningDataModule):
    """The loaders of a run.

    Args:
        train: the split to train on, augmented and shuffled.
        val: the split to validate on, as it is.
        size: side of the faces in px.
        batch_size: faces a batch.
        augmentation: what a training face goes through.
        seed: of the order.
        num_workers: processes that prepare batches; auto: one for every four cores, none below four: there the network
            itself keeps the cores busy, and a face costs 0.4 ms against its 5 ms and more.
        first_epoch: the epoch that a resumed run starts with; Lightning makes the loader, and its workers start on it,
            before it knows.
    """

    def __init__(
        self,
        train: Split,
        val: Split,
        size: int,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        num_workers: int | Literal["auto"],
        first_epoch: int = 0,
    ):
        super().__init__()
        cv2.setNumThreads(1)
        self.batch_size, self.seed, self.first_epoch = batch_size, seed, first_epoch
        self.num_workers = usable_cores() // 4 if num_workers == "auto" else num_workers
        self.train_faces = _Faces(train, size, augmentation)
        self.val_faces = _Faces(val, size, None)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        order = EpochOrder(len(self.train_faces.split.paths), self.seed, self.first_epoch)
        return self._loader(self.train_faces, order)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader(self.val_faces, _InOrder(len(self.val_faces.split.paths), self.seed))

    def _loader(self, faces: _Faces, order: EpochOrder) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(
            faces,
            batch_size=self.batch_size,
            sampler=order,
            drop_last=faces.augmentation is not None and len(order) % self.batch_size == 1,  # BatchNorm needs two
            num_workers=self.num_workers,
            collate_fn=_collate,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_one_thread,
            pin_memory=torch.cuda.is_available(),
        )
