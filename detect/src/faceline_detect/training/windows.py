"""What of a picture a training square shows: a window, turned and zoomed, and where a point of the picture lands.

Coordinates are edges here: pixel i covers [i, i + 1), so that a box of width 3 at 2 ends at 5. The centre of pixel i,
which a landmark calls i, is i + 0.5.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FILL = (123, 117, 104)
"""RGB of what lies outside the picture: what the network's input takes for 0."""

_HAIR = 1e-6  # px
_MARGIN = 2  # px that bilinear sampling may ask for beyond the window


@dataclass(frozen=True)
class Window:
    """A part of a picture and how it is shown.

    Attributes:
        middle: (2,) x, y of the picture that the middle shows.
        zoom: px shown for a px of the picture.
        angle: degrees that the picture is turned by, clockwise as seen.
        size: width, height shown, px.
    """

    middle: NDArray[np.float64]
    zoom: float
    angle: float
    size: tuple[int, int]

    @property
    def turn(self) -> NDArray[np.float64]:
        """(2, 2)"""
        cos, sin = np.cos(np.deg2rad(self.angle)), np.sin(np.deg2rad(self.angle))
        return np.array([[cos, -sin], [sin, cos]])

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 3) M; a point p of the picture is shown at M[:, :2] @ p + M[:, 2]."""
        linear = self.zoom * self.turn
        return np.column_stack([linear, np.array(self.size) / 2 - linear @ self.middle])

    @property
    def reach(self) -> NDArray[np.float64]:
        """(2,) how far the window reaches from its middle, px of the picture along its sides."""
        reach: NDArray[np.float64] = np.abs(self.turn.T) @ np.array(self.size) / (2 * self.zoom)
        return reach

    def shown(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) of the picture to (..., 2) of the window."""
        matrix = self.matrix
        return points @ matrix[:, :2].T + matrix[:, 2]

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What it shows of a picture (H, W, 3) uint8 RGB: (height, width, 3), FILL where there is no picture.

        It is sampled bilinearly; shrunk to half or less, pixels are averaged by area first, so that none is skipped.
        """
        limit = np.array(picture.shape[1::-1])
        shrink = max(1, int(1 / self.zoom))  # by whole pixels, which is many times as fast; sampling does the rest
        margin = self.reach + _MARGIN * shrink
        low = np.floor((self.middle - margin) / shrink).astype(int) * shrink
        high = np.ceil((self.middle + margin) / shrink).astype(int) * shrink
        (left, top), (right, bottom) = np.clip([low, high], 0, limit)
        part = picture[top:bottom, left:right]
        if part.size == 0:
            return np.full((self.size[1], self.size[0], 3), FILL, np.uint8)
        full = np.array(part.shape[1::-1])
        small = np.ceil(full / shrink).astype(int)
        if shrink > 1:
            part = cv2.resize(part, tuple(small.tolist()), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        step = full / small
        inside = (self.middle - self.reach > -_HAIR).all() and (self.middle + self.reach < limit + _HAIR).all()
        # pixel q of `part` is centred on (q + 0.5) * step + (left, top) of the picture
        linear = self.matrix[:, :2] * step
        shift = self.shown(np.array([left, top], float)) + linear @ np.full(2, 0.5) - 0.5
        return cv2.warpAffine(  # type: ignore[return-value]
            part,
            np.column_stack([linear, shift]),
            self.size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE if inside else cv2.BORDER_CONSTANT,  # else FILL would tint the outermost px
            borderValue=FILL,
        )
