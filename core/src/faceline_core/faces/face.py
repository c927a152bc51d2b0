"""The one result type of every detector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo, in pixels of the upright image (EXIF orientation applied).

    Attributes:
        box: (4,) float32, left, top, right, bottom; it may reach beyond the photo.
        landmarks: (5, 2) float32 x, y of left eye, right eye, nose, left and right corner of the mouth, "left" as seen
            in the picture; None where the detector gives none.
        score: the detector's confidence in [0, 1].
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None
    score: float

    @property
    def width(self) -> float:
        """Width of the box in px."""
        return float(self.box[2] - self.box[0])

    @property
    def height(self) -> float:
        """Height of the box in px."""
        return float(self.box[3] - self.box[1])

    def holds(self, x: float, y: float) -> bool:
        """Whether the point lies in the box, its edges included."""
        left, top, right, bottom = self.box
        return bool(left <= x <= right and top <= y <= bottom)
