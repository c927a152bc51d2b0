"""How much boxes overlap."""

import numpy as np
from numpy.typing import NDArray


def overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box (4,) with each of (N, 4), left, top, right, bottom: (N,) in [0, 1].

    A box without area overlaps nothing.
    """
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.where((sides > 0).all(axis=1), sides.prod(axis=1), 0.0)
    union = areas(box[None]) + areas(boxes) - shared
    return np.divide(shared, union, out=np.zeros(len(boxes)), where=shared > 0)


def areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) of boxes (N, 4)."""
    size: NDArray[np.float64] = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    return size
