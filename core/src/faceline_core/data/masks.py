"""Which pixels of a face are hidden, as far as a face set knows."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.data.decoding import decoded
from faceline_core.data.protocol import FaceSet, Masked
from faceline_core.errors import FacelineError


def has_masks(faces: FaceSet) -> bool:
    """Whether the set has masks, be it of some faces only."""
    return isinstance(faces, Masked) and faces.has_masks


def mask_of(faces: FaceSet, index: int) -> NDArray[np.uint8] | None:
    """The mask of a face (S, S), 255 visible and 0 hidden; None where it is not known."""
    return faces.mask(index) if isinstance(faces, Masked) else None


def decode_mask(content: bytes, size: int, where: str) -> NDArray[np.uint8]:
    """A mask (size, size) uint8, 255 visible and 0 hidden, from the bytes of a picture.

    Raises:
        FacelineError: where it is no picture, or of another size than its face.
    """
    mask = decoded(content, cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise FacelineError(f"{where} is no picture that can be read. Run preprocess again, or remove the file")
    if mask.shape != (size, size):
        raise FacelineError(
            f"{where} is a mask of {mask.shape[1]} x {mask.shape[0]} px, its face has {size} x {size}. "
            "Run preprocess again, or remove the file: the face is then used without"
        )
    return mask


def read_mask_file(path: Path, size: int) -> NDArray[np.uint8] | None:
    """The mask in a file, as `decode_mask`; None where there is no such file."""
    return decode_mask(path.read_bytes(), size, str(path)) if path.is_file() else None


def masks_sha256(faces: FaceSet) -> str:
    """Hex SHA-256 over all masks of a set."""
    digest = hashlib.sha256()
    if has_masks(faces):
        for index in range(len(faces)):
            mask = mask_of(faces, index)
            digest.update(b"unknown" if mask is None else hashlib.sha256(mask.tobytes()).digest())
    return digest.hexdigest()
