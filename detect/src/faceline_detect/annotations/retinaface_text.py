"""RetinaFace's label text: `# path`, then a row a face `x y w h`, five times `x y flag`, a score.

A flag is 0 where the point is clearly seen, 1 where it is not, -1 (as its x and y) where it is unknown. Files to
validate with have the four columns of the box alone.

Source: the labels that are published with arXiv 1905.00641.
"""

from collections.abc import Iterable, Iterator
from math import isnan

import numpy as np

from faceline_detect.annotations.drafts import Columns, Draft, Listed, cut, unsaid
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.annotations.text import RowError, filled_lines, number, numbers

_COLUMNS = (4, 19, 20)
_UNKNOWN = "-1 -1 -1"


def parse_retinaface(text: str, name: str, faults: Faults) -> list[Draft]:
    """The pictures of a file; a row that cannot be read is a fault of its picture.

    Args:
        text: of the file.
        name: of the file, for messages.
        faults: what is told of what is wrong.
    """
    pictures: list[Listed] = []
    table: list[float] = []
    begun, current = False, None  # the picture whose rows are read; None where that is broken
    for line, content in filled_lines(text):
        if content.startswith("#"):
            begun, current = True, Listed(content[1:].strip(), f"{name}:{line}", [], [])
            if current.path:
                pictures.append(current)
            else:
                faults.picture(current.place, "names no picture after #")
                current = None
        elif not begun:
            faults.label(f"{name}:{line}", "a row before the first # line, which names a picture")
        elif current is not None:
            try:
                table.extend(_padded(numbers(content, _COLUMNS)))
            except RowError as fault:
                faults.picture(f"{name}:{line}", str(fault))
                del pictures[-1], table[len(table) - 20 * len(current.rows) :]
                current = None
            else:
                current.rows.append(content)
                current.lines.append(line)
    return cut(pictures, _columns(table), f"{name}:")


def _padded(values: list[float]) -> list[float]:
    if any(flag not in (-1, 0, 1) for flag in values[6:19:3]):
        raise RowError(
            f"a landmark's flag is {next(f for f in values[6:19:3] if f not in (-1, 0, 1)):g}, not -1, 0 or 1"
        )
    return values + [-1.0] * (20 - len(values))


def _columns(table: list[float]) -> Columns:
    values = np.array(table).reshape(-1, 20)
    points = values[:, 4:19].reshape(-1, 5, 3)
    unknown = (points[..., 2] == -1) | (points[..., :2] == -1).all(axis=-1)
    return unsaid(len(values))._replace(
        boxes=values[:, :4],
        landmarks=np.where(unknown[..., None], np.nan, points[..., :2]),
        hidden=(points[..., 2] == 1) & ~unknown,
        scores=np.where(values[:, 19] == -1, np.nan, values[:, 19]),
    )


def retinaface_text(pictures: Iterable[Annotation]) -> str:
    """RetinaFace's text of pictures, all rows of 20 columns; a score that nobody gave is -1."""
    return "".join(line + "\n" for picture in pictures for line in _lines(picture))


def _lines(picture: Annotation) -> Iterator[str]:
    yield f"# {picture.path}"
    sizes = picture.boxes[:, 2:] - picture.boxes[:, :2]
    for face, box in enumerate(np.c_[picture.boxes[:, :2], sizes].tolist()):
        row = [number(value) for value in box]
        for point, (x, y) in enumerate(picture.landmarks[face].tolist()):
            flag = int(picture.hidden is not None and picture.hidden[face, point])
            row.append(_UNKNOWN if isnan(x) or isnan(y) else f"{number(x)} {number(y)} {flag}")
        score = np.nan if picture.scores is None else float(picture.scores[face])
        yield " ".join([*row, "-1" if isnan(score) else number(score)])
