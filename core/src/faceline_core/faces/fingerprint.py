"""What a photo shows, in a few bytes that survive another size and another compression."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_WEIGHTS = 1 << np.arange(63, -1, -1, dtype=np.uint64)
_SIDE = 16


@dataclass(frozen=True)
class Fingerprint:
    """Two photos whose hashes are near are candidates for one picture; their thumbnails confirm it.

    Attributes:
        bits: the 64-bit difference hash.
        thumbnail: the photo in grey, averaged down to 16 x 16: 256 bytes, row after row.
    """

    bits: int
    thumbnail: bytes


def fingerprint(photo: NDArray[np.uint8]) -> Fingerprint:
    """Of a photo (H, W, 3) uint8 RGB."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    return Fingerprint(_difference_hash(grey), cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).tobytes())


def difference_hash(photo: NDArray[np.uint8]) -> int:
    """64-bit difference hash: the photo in grey, averaged down to 9 x 8; 1 where the right neighbour is lighter.

    Args:
        photo: (H, W, 3) uint8 RGB.

    Returns:
        An integer below 2^64, the top left comparison in its highest bit; similar photos differ in few bits.
    """
    return _difference_hash(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))


def thumbnail_vectors(thumbnails: list[bytes]) -> NDArray[np.float32]:
    """(N, 256) float32: each thumbnail with mean 0 and length 1, so that a dot product is a correlation in [-1, 1].

    One without contrast (under 1 grey level) is all 0: it correlates with nothing, not even with itself.
    """
    vectors = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(-1, _SIDE * _SIDE).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    deviation = vectors.std(axis=1, keepdims=True)
    return np.where(deviation < 1, 0, vectors / np.maximum(deviation, 1) / _SIDE)


def _difference_hash(grey: NDArray[Any]) -> int:
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int(_WEIGHTS[bits].sum(dtype=np.uint64))
