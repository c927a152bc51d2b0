"""Training squares as one picture, to look at before hours of training."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from faceline_detect.training.targets import Target

_LEAST_SIDE = 480  # px; the landmarks of a face of 16 px are then told apart
_GAP = 6
_FACE, _IGNORED = (64, 220, 96), (160, 160, 160)
_POINTS = ((255, 60, 60), (70, 130, 255), (255, 255, 255), (255, 150, 0), (0, 230, 230))
"""RGB. Warm is left and cold is right: mirrored without changing sides, a face shows cold on its left."""


def contact_sheet(samples: Sequence[tuple[Tensor, Target]], columns: int) -> NDArray[np.uint8]:
    """Squares in rows, with what the network is to find in them.

    Boxes are green, or grey where ignored. Of a face's landmarks the left eye is red and the left corner of the mouth
    orange, the right ones blue and cyan, the nose white.

    Args:
        samples: (3, S, S) uint8 RGB in [0, 255] each, with its faces; small ones are shown enlarged by whole pixels.
        columns: squares of a row.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    side = samples[0][0].shape[-1]
    zoom = -(-_LEAST_SIDE // side)
    pitch = zoom * side + _GAP
    rows = -(-len(samples) // columns)
    sheet = np.full((rows * pitch + _GAP, columns * pitch + _GAP, 3), 255, np.uint8)
    for place, (image, target) in enumerate(samples):
        top, left = _GAP + place // columns * pitch, _GAP + place % columns * pitch
        sheet[top : top + zoom * side, left : left + zoom * side] = _marked(image, target, zoom)
    return sheet


def _marked(image: Tensor, target: Target, zoom: int) -> NDArray[np.uint8]:
    square = image.permute(1, 2, 0).numpy().repeat(zoom, axis=0).repeat(zoom, axis=1)
    for box, points, ignore in zip(target.boxes, target.landmarks, target.ignore, strict=True):
        left, top, right, bottom = (round(zoom * float(edge)) for edge in box)
        cv2.rectangle(square, (left, top), (right - 1, bottom - 1), _IGNORED if ignore else _FACE, 2)
        radius = max(1, (right - left) // 30)
        for (x, y), colour in zip(points.tolist(), _POINTS, strict=True):
            if not np.isnan(x + y):
                cv2.circle(square, (round(zoom * (x + 0.5) - 0.5), round(zoom * (y + 0.5) - 0.5)), radius, colour, -1)
    return square
