"""Aligned faces from disk into arrays."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.errors import FacelineError


def read_face(path: Path, size: int) -> NDArray[np.uint8]:
    """An aligned face (size, size, 3), uint8 RGB in [0, 255].

    Raises:
        FacelineError: where the file does not decode, or is of another size.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    face = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if face is None:
        raise FacelineError(f"{path} does not decode. Run the preprocess stage again: dvc repro preprocess")
    if face.shape != (size, size, 3):
        raise FacelineError(
            f"{path} is {face.shape[1]} x {face.shape[0]} px, expected {size} x {size}. "
            "Run the preprocess stage again with this img_size: dvc repro preprocess"
        )
    return face  # type: ignore[return-value]


def read_faces(paths: Sequence[Path], size: int) -> NDArray[np.uint8]:
    """Aligned faces (N, size, size, 3), uint8 RGB in [0, 255]."""
    faces = np.empty((len(paths), size, size, 3), np.uint8)
    for index, path in enumerate(paths):
        faces[index] = read_face(path, size)
    return faces


def batches(paths: Sequence[Path], size: int, batch_size: int) -> Iterator[Tensor]:
    """Faces batch after batch, for inference: (N, 3, size, size) uint8 RGB in [0, 255], channels last in memory."""
    for start in range(0, len(paths), batch_size):
        yield torch.from_numpy(read_faces(paths[start : start + batch_size], size)).permute(0, 3, 1, 2)
