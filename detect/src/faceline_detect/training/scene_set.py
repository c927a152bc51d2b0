"""Training squares by (epoch, index), in batches."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import DetectAugment
from faceline_core.stage.memory import available_bytes
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.training.augmentation import Scene, SceneAugmentation
from faceline_detect.training.labels import Labels, seen_through
from faceline_detect.training.pictures import Pictures
from faceline_detect.training.targets import Target
from faceline_detect.training.windows import Window

Sample = tuple[Tensor, Target]
"""(3, side, side) uint8 RGB in [0, 255], and its faces."""

_SHARE_OF_MEMORY = 4  # one part of so many of what is free


class SceneSet(Dataset[Any]):
    """Pictures as squares, each drawn anew every epoch; those without faces are among them, as negatives.

    Made before worker processes are, so that they share the decoded pictures.

    Args:
        pictures: with their faces.
        folder: the pictures lie below it.
        side: of the squares, px.
        augment: what they go through; None shows each whole, as large as fits, in the middle of its square.
        seed: of the run.
        memory: bytes that decoded pictures may take; None takes a quarter of what is free. Pictures that no longer fit
            are decoded each time.

    Raises:
        FacelineError: where there are no pictures, or one that is read now is missing or does not decode.
    """

    def __init__(
        self,
        pictures: Sequence[Annotation],
        folder: Path,
        side: int,
        augment: DetectAugment | None,
        seed: int,
        memory: int | None = None,
    ):
        if not pictures:
            raise FacelineError(f"{folder}: no pictures to train on. See detect.scenes")
        self.side = side
        self.labels = [Labels.of(picture) for picture in pictures]
        self.augmentation = None if augment is None else SceneAugmentation(augment, side, seed)
        useful = side if augment is None else ceil(side / augment.scale[0])  # no window shows more px
        budget = available_bytes() // _SHARE_OF_MEMORY if memory is None else memory
        self.pictures = Pictures([folder / picture.path for picture in pictures], useful, budget)

    def __len__(self) -> int:
        return len(self.labels)

    def scene(self, index: int) -> Scene:
        """A whole picture with its faces."""
        picture, factor = self.pictures.picture(index)
        return Scene(picture, self.labels[index].scaled(factor))

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        if self.augmentation is None:
            square = _whole(self.scene(index), self.side)
        else:
            square = self.augmentation(self.scene, len(self), epoch, index)
        boxes, landmarks = (torch.from_numpy(array.astype(np.float32)) for array in square.labels[:2])
        image = torch.from_numpy(np.ascontiguousarray(square.picture)).permute(2, 0, 1)
        return image, Target(boxes, landmarks, torch.from_numpy(square.labels.ignore))

    def __getitems__(self, keys: list[tuple[int, int]]) -> tuple[Tensor, list[Target]] | FacelineError:
        """As `collate` makes it. An error is handed over as a value: see EpochLoader."""
        try:
            return collate([self[key] for key in keys])
        except FacelineError as error:
            return error


def collate(samples: Sequence[Sample]) -> tuple[Tensor, list[Target]]:
    """(N, 3, side, side) uint8 RGB, and the faces of each."""
    return torch.stack([image for image, _ in samples]), [target for _, target in samples]


def _whole(scene: Scene, side: int) -> Scene:
    height, width = scene.picture.shape[:2]
    window = Window(np.array([width, height]) / 2, side / max(width, height), 0.0, (side, side))
    return Scene(window.cut(scene.picture), seen_through(scene.labels, window))
