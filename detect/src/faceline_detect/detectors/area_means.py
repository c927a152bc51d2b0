"""Pictures and parts of them made smaller by taking the mean of what falls on each pixel, from tables of sums.

A pixel of the result is the mean of all pixels that it covers, those that it covers in part counting whole: what
torch's `interpolate(mode="area")` gives. That reads every pixel of a picture anew for every size; four look-ups in a
table of sums (Crow 1984) do the same, whatever the size.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Span = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Of each pixel of a result: the first pixel that it covers along an axis, and the one after the last."""


def sum_tables(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.int32]:
    """(N, H + 1, W + 1, 3) sums of all that lies above and left of each pixel.

    They wrap around in pictures of more than 8 million pixels; what four of them give is right all the same.

    Args:
        pictures: (H, W, 3) each, all of one size.
    """
    height, width = pictures[0].shape[:2]
    tables = np.empty((len(pictures), height + 1, width + 1, 3), np.int32)
    for picture, table in zip(pictures, tables, strict=True):
        cv2.integral(picture, table, cv2.CV_32S)
    return tables


def spans(length: int, size: int) -> Span:
    """What each of `size` pixels covers of `length`."""
    step = np.arange(size)
    return step * length // size, -(-(step + 1) * length // size)


def strip_means(tables: NDArray[np.int32], rows: Span, columns: Span) -> NDArray[np.float32]:
    """(N, h, w, 3) rows of pictures made smaller.

    Args:
        tables: (N, H + 1, W + 1, 3) their sums.
        rows: what (h,) pixels cover.
        columns: what (w,) pixels cover.
    """
    (top, bottom), (left, right) = rows, columns
    bands = tables[:, bottom] - tables[:, top]
    means = (bands.take(right, 2) - bands.take(left, 2)).astype(np.float32)
    means /= np.multiply.outer(bottom - top, right - left)[..., None].astype(np.float32)
    return means


def crop_means(table: NDArray[np.int32], crops: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """(C, size, size, 3) parts of a picture, made smaller or larger.

    Args:
        table: (H + 1, W + 1, 3) its sums.
        crops: (C, 4) left, top, right, bottom in px, within the picture; right and bottom are not part of it.
        size: px.
    """
    corners, sides = crops[:, :2, None], (crops[:, 2:] - crops[:, :2])[..., None]
    step = np.arange(size)
    left, top = (corners + step * sides // size).swapaxes(0, 1)
    right, bottom = (corners - (-(step + 1) * sides // size)).swapaxes(0, 1)
    areas = (bottom - top)[:, :, None] * (right - left)[:, None]
    pixels = table.reshape(-1, 3)
    above, below = (edge[:, :, None] * table.shape[1] for edge in (top, bottom))
    left, right = left[:, None], right[:, None]
    total = pixels.take(below + right, 0) - pixels.take(below + left, 0)
    total += pixels.take(above + left, 0) - pixels.take(above + right, 0)
    return total.astype(np.float32) / areas[..., None].astype(np.float32)
