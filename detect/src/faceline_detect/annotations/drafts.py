"""Labels as a format's parser found them, before anything was checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceline_detect.annotations.kinds import ATTRIBUTES


class Listed(NamedTuple):
    """A picture's record in a text: its path, where that stands, the faces' rows and their lines."""

    path: str
    place: str
    rows: list[str]
    lines: list[int]


@dataclass(eq=False)
class Draft:
    """The labels of one picture as they stand in a file.

    Attributes:
        path, size: as in Annotation; size is what the labels say.
        place: of the picture's record, as an error names it.
        boxes: (N, 4) float64, left, top, width, height.
        landmarks, hidden, scores, ignore, attributes: as in Annotation, and none of them None.
        rows: the text of the faces, where the format is text.
        lines: the number of each face's line (or record); None where it has none.
        numbered: what stands before such a number in an error: `label.txt:`.
    """

    path: str
    place: str
    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    scores: NDArray[np.float64]
    ignore: NDArray[np.bool_]
    attributes: NDArray[np.int64]
    rows: Sequence[str] = ()
    lines: Sequence[int | None] = ()
    numbered: str = ""
    size: tuple[int, int] | None = None

    def place_of(self, face: int) -> str:
        line = self.lines[face]
        return self.place if line is None else f"{self.numbered}{line}"


class Columns(NamedTuple):
    """What the labels of N faces say, of one picture or of all pictures of a file, as Draft has it."""

    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    scores: NDArray[np.float64]
    ignore: NDArray[np.bool_]
    attributes: NDArray[np.int64]


def unsaid(count: int) -> Columns:
    """Columns of faces of which nothing is known; boxes are NaN."""
    return Columns(
        np.full((count, 4), np.nan),
        np.full((count, 5, 2), np.nan),
        np.zeros((count, 5), bool),
        np.full(count, np.nan),
        np.zeros(count, bool),
        np.zeros((count, len(ATTRIBUTES)), np.int64),
    )


def cut(pictures: Sequence[Listed], columns: Columns, numbered: str) -> list[Draft]:
    """A draft for each picture, of columns that hold the faces of one picture after those of another."""
    drafts, start = [], 0
    for picture in pictures:
        stop = start + len(picture.rows)
        part = (column[start:stop] for column in columns)
        drafts.append(Draft(picture.path, picture.place, *part, picture.rows, picture.lines, numbered))
        start = stop
    return drafts


def size_differs(path: str, size: tuple[int, int], said: tuple[int, int]) -> str:
    """What to say of a picture of another size than its labels are of."""
    return f"{path} is {size[0]} x {size[1]} px upright, and its labels are of {said[0]} x {said[1]} px"
