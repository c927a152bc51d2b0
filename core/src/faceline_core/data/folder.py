"""`dataset.format: folder`: a folder for each split, in it one for each person, as preprocess writes them."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.faces import read_face
from faceline_core.data.masks import read_mask_file
from faceline_core.data.split import Split, read_split


class FolderFaces:
    """The faces of a split as a face set; `img_size` is the side in px that they must have."""

    def __init__(self, split: Split, img_size: int):
        self.split, self.img_size = split, img_size
        self.classes, self.labels = split.classes, split.labels

    @property
    def sources(self) -> Sequence[str]:
        return self.split.sources

    def __len__(self) -> int:
        return len(self.split.paths)

    def face(self, index: int) -> NDArray[np.uint8]:
        return read_face(self.split.paths[index], self.img_size)

    @cached_property
    def has_masks(self) -> bool:
        return self.split.masks.is_dir()

    def mask(self, index: int) -> NDArray[np.uint8] | None:
        return read_mask_file(self.split.mask_path(index), self.img_size)

    def describe(self, index: int) -> str:
        return str(self.split.paths[index])

    def sha256(self) -> str:
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        return self.split.sha256()


def open_folder(path: Path, split: str, img_size: int, people: list[str] | None) -> FolderFaces | None:
    """The faces of `<path>/<split>/<person>/`; None where there is no person's folder for another split than train.

    Args:
        path: the folder that preprocess wrote.
        split: train, val or unseen_val.
        img_size: side of the faces in px.
        people: take these only, in this order; None takes those found.
    """
    folder = path / split
    if split != "train" and not (folder.is_dir() and any(entry.is_dir() for entry in folder.iterdir())):
        return None
    return FolderFaces(read_split(path, split, people), img_size)
