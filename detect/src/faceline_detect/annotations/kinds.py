"""What a label file says of a picture, whichever format it is in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
"""What WIDER FACE says of a face, in the order of its columns."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """The labelled faces of one picture, in pixels of the upright picture.

    Attributes:
        path: of the picture, below the folder of pictures, with / between its parts.
        boxes: (N, 4) float64, left, top, right, bottom; right is left + width.
        landmarks: (N, 5, 2) float64 x, y of left eye, right eye, nose, left and right corner of the mouth, "left" as
            seen in the picture; NaN for a face, or a point, without.
        ignore: (N,) bool: neither a face to find nor background (invalid, of no size).
        attributes: (N, 6) int64, as ATTRIBUTES names them; 0 where the format says nothing.
        size: width, height of the picture in px; None where nobody looked yet.
        hidden: (N, 5) bool: points that are known but not clearly seen (RetinaFace's flag 1, visibility 1 of COCO and
            YOLO); None where nothing is said of any.
        scores: (N,) float64, the last column of RetinaFace's labels, NaN for a face without; None where none has one.
    """

    path: str
    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    ignore: NDArray[np.bool_]
    attributes: NDArray[np.int64]
    size: tuple[int, int] | None = None
    hidden: NDArray[np.bool_] | None = None
    scores: NDArray[np.float64] | None = None

    @property
    def heights(self) -> NDArray[np.float64]:
        """(N,) px."""
        return self.boxes[:, 3] - self.boxes[:, 1]

    @property
    def with_landmarks(self) -> NDArray[np.bool_]:
        """(N,) whether all five points of a face are known."""
        return np.isfinite(self.landmarks).all(axis=(1, 2))


@dataclass(frozen=True, eq=False)
class Annotations:
    """A label file, read.

    Attributes:
        pictures: one for each picture, in the order of the file; those without a face are among them.
        folder: the pictures lie below it.
        source: the label file, for messages.
        left_out: one line for each label or picture that was wrong, and what became of it (`skip_bad`).
    """

    pictures: list[Annotation]
    folder: Path
    source: Path
    left_out: tuple[str, ...] = ()
