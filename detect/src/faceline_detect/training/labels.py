"""Labelled faces on their way from a picture to a training square, and which of them can still be learnt from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceline_detect.annotations.kinds import Annotation
from faceline_detect.training.windows import Window

SMALLEST = 8.0
"""Faces whose box is smaller than this squared, px, are not learnt. The smallest anchor is 16 px: its IoU with a face
of 7.2 px is 0.2, below which no face may claim an anchor."""

LEARNT = 0.5
"""A face of which no more is left inside is not learnt: an eye and an ear say little of where the rest ends."""

GONE = 0.2
"""Of a face of which less is left inside nothing is kept: what is seen of it is background."""


class Labels(NamedTuple):
    """The faces of a picture or square, in its pixels.

    boxes: (G, 4) float64, left, top, right, bottom.
    landmarks: (G, 5, 2) float64 x, y; NaN where unknown.
    ignore: (G,) bool: neither a face to find nor background.
    """

    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    ignore: NDArray[np.bool_]

    @classmethod
    def of(cls, picture: Annotation) -> "Labels":
        return cls(picture.boxes, picture.landmarks, picture.ignore)

    def scaled(self, factor: NDArray[np.float64]) -> "Labels":
        """Of the picture resized by `factor` (2,), width and height."""
        landmarks = (self.landmarks + 0.5) * factor - 0.5
        return Labels(self.boxes * np.tile(factor, 2), landmarks, self.ignore)

    def shifted(self, x: float, y: float) -> "Labels":
        return Labels(self.boxes + np.array([x, y, x, y]), self.landmarks + np.array([x, y]), self.ignore)


def joined(parts: list[Labels]) -> Labels:
    """The faces of several pictures that have become one."""
    return Labels(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def half_sizes(boxes: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """(G, 2) half width and height, px shown, of boxes (G, 4) seen through a window.

    A box fits a face, which is nearly an ellipse; turned, the box that fits the turned ellipse is theirs. The box
    around the turned corners would grow by a fifth at 10 degrees, around air.
    """
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.sqrt(half**2 @ (window.turn.T**2)) * window.zoom


def seen_through(labels: Labels, window: Window) -> Labels:
    """The faces that a window shows, in its pixels.

    Boxes are clipped to it. Learnt from are faces with more than LEARNT of them left, the middle therefore inside, and
    SMALLEST px of size. Other faces become `ignore`, unless less than GONE of them is left. A face that is ignored, or
    one of whose landmarks lies outside, has no landmarks.
    """
    middles = window.shown((labels.boxes[:, :2] + labels.boxes[:, 2:]) / 2)
    half = half_sizes(labels.boxes, window)
    size = np.array(window.size, float)
    low, high = np.clip(middles - half, 0, size), np.clip(middles + half, 0, size)
    area = (high - low).prod(axis=1)
    left = area / np.maximum((2 * half).prod(axis=1), 1e-9)
    ignore = labels.ignore | (left <= LEARNT) | (area < SMALLEST**2)
    kept = (area > 0) & (labels.ignore | (left >= GONE))
    points = window.shown(labels.landmarks + 0.5) - 0.5
    outside = ((points < 0) | (points > size - 1)).any(axis=(1, 2))  # NaN is neither
    points[outside | ignore] = np.nan
    return Labels(np.hstack([low, high])[kept], points[kept], ignore[kept])
