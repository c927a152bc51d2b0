"""Aligned faces from disk into arrays."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.data.decoding import decoded
from faceline_core.errors import FacelineError


def decode_face(data: bytes, size: int, name: str, preprocessed: bool) -> NDArray[np.uint8]:
    """An aligned face (size, size, 3), uint8 RGB in [0, 255], from the bytes of a JPEG, PNG, WebP or BMP.

    Args:
        data: the file's bytes.
        size: side that the face must have, in px.
        name: the file or record, for messages.
        preprocessed: whether it is the preprocess stage that makes another.

    Raises:
        FacelineError: where the bytes do not decode, or the face is of another size.
    """
    face = decoded(data, cv2.IMREAD_COLOR_RGB)
    if face is None:
        cure = "Run the preprocess stage again: dvc repro preprocess" if preprocessed else "Replace it, or leave it out"
        raise FacelineError(f"{name} does not decode. {cure}")
    if face.shape != (size, size, 3):
        cure = (
            "Run the preprocess stage again with this img_size: dvc repro preprocess"
            if preprocessed
            else "Set img_size to the side of the faces, or make them anew"
        )
        raise FacelineError(f"{name} is {face.shape[1]} x {face.shape[0]} px, expected {size} x {size}. {cure}")
    return face


def read_face(path: Path, size: int, preprocessed: bool = True) -> NDArray[np.uint8]:
    """An aligned face from a file, as `decode_face` gives it."""
    return decode_face(path.read_bytes(), size, str(path), preprocessed)
