"""YOLO's label texts: a file a picture, a row a face `0 cx cy w h` in fractions of the picture's width and height.

Pose adds five times `x y v`, v being 2 where a point is seen, 1 where it is known and hidden, and `0 0 0` for one that
is unknown. A picture without faces has an empty file.

Source: "Dataset format" of ultralytics' detection and pose tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_detect.annotations.drafts import Columns, Draft, unsaid
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.annotations.text import RowError, number, numbers

KEYPOINTS = 5
FLIP = (1, 0, 2, 4, 3)
"""Which landmark each one is in the mirrored picture."""

_DIGITS = 12
_STEP = 7
"""Decimals of px that are read: fractions bring 12.34 px back as 12.34 so, and not as 12.340000000000003."""


@dataclass(frozen=True)
class Rows:
    """What the rows of a data set hold.

    Attributes:
        face: the class of faces; rows of others are passed over.
        known: how many classes there are; None where nobody says.
        point: numbers that a landmark has: 3, or 2 without visibility.
    """

    face: int = 0
    known: int | None = None
    point: int = 3


def yolo_lines(annotation: Annotation, landmarks: bool) -> str:
    """The text of a picture's label file.

    Args:
        annotation: its `size` must be known.
        landmarks: whether rows have them (pose); unknown ones, and those outside the picture, are 0 0 0.

    Returns:
        A line a face, but for ignored ones, which YOLO would take for faces to find. Boxes are cut off at the
        picture's edges.
    """
    if annotation.size is None:
        raise FacelineError(f"{annotation.path}: its size is not known, which YOLO's fractions are of. Read it first")
    sides = np.array(annotation.size, np.float64)
    kept = ~annotation.ignore
    boxes = (annotation.boxes[kept].reshape(-1, 2, 2) / sides).clip(0, 1)
    values = np.concatenate([boxes.mean(axis=1), boxes[:, 1] - boxes[:, 0]], axis=1).tolist()
    rows = [["0", *(number(value, _DIGITS) for value in row)] for row in values]
    if landmarks:
        points = annotation.landmarks[kept] / sides
        inside = ((points >= 0) & (points <= 1)).all(axis=-1)  # False for NaN
        hidden = np.zeros_like(inside) if annotation.hidden is None else annotation.hidden[kept]
        for row, face, known, unclear in zip(rows, points.tolist(), inside.tolist(), hidden.tolist(), strict=True):
            row.extend(chain.from_iterable(map(_point, face, known, unclear)))
    return "".join(" ".join(row) + "\n" for row in rows)


def _point(xy: Sequence[float], known: bool, hidden: bool) -> tuple[str, str, str]:
    return (number(xy[0], _DIGITS), number(xy[1], _DIGITS), "1" if hidden else "2") if known else ("0", "0", "0")


def parse_yolo(text: str, name: str, path: str, size: tuple[int, int], rows: Rows, faults: Faults) -> Draft | None:
    """The faces of one label file; None where a row cannot be read.

    Args:
        text: of the file.
        name: of the file, for messages.
        path, size: of its picture.
        rows: what they hold.
        faults: what is told of what is wrong.
    """
    lines, faces, values = [], [], []
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        try:
            row = _checked(numbers(content, (5, 5 + KEYPOINTS * rows.point)), rows)
        except RowError as fault:
            faults.picture(f"{name}:{line}", str(fault))
            return None
        if row[0] == rows.face:
            lines.append(line)
            faces.append(content)
            values.append(row[1:])
    columns = _columns(np.array(values), np.array(size, np.float64), rows.point)
    return Draft(path, name, *columns, faces, lines, f"{name}:", size)


def _checked(row: list[float], rows: Rows) -> list[float]:
    if not row[0].is_integer() or row[0] < 0 or row[0] >= (rows.known or np.inf):
        known = f"0 to {rows.known - 1}" if rows.known else "a whole number"
        raise RowError(f"class {row[0]:g} is not {known}")
    if rows.known is None and row[0] != rows.face:
        raise RowError(f"class {row[0]:g} is not 0, and there is no data.yaml that says which is the face")
    return row + [0.0] * (5 + KEYPOINTS * rows.point - len(row))


def _columns(values: NDArray[np.float64], sides: NDArray[np.float64], point: int) -> Columns:
    if not len(values):
        return unsaid(0)
    middles, extents = values[:, :2] * sides, values[:, 2:4] * sides
    points = values[:, 4:].reshape(-1, KEYPOINTS, point)
    known = points[..., 2] > 0 if point == 3 else (points >= 0).all(axis=-1) & (points > 0).any(axis=-1)
    return unsaid(len(values))._replace(
        boxes=np.round(np.concatenate([middles - extents / 2, extents], axis=1), _STEP),
        landmarks=np.where(known[..., None], np.round(points[..., :2] * sides, _STEP), np.nan),
        hidden=known & (points[..., 2] == 1) if point == 3 else np.zeros_like(known),
    )
