"""WIDER FACE's text: path, number of faces, a row a face `x y w h blur expression illumination invalid occlusion pose`.

Source: the readme of the data set's archive of labels.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from faceline_core.faces import SUFFIXES
from faceline_detect.annotations.drafts import Columns, Draft, Listed, cut, unsaid
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import ATTRIBUTES, Annotation
from faceline_detect.annotations.text import RowError, counted, filled_lines, is_row, numbers

_COLUMNS = (4, 4 + len(ATTRIBUTES))
_ENDINGS = tuple(sorted(SUFFIXES))
_INVALID = ATTRIBUTES.index("invalid")

Lines = Sequence[tuple[int, str]]


class _RecordError(RowError):
    """A record that does not hold together, and its line."""

    def __init__(self, line: int, what: str):
        super().__init__(what)
        self.line = line


def parse_wider(text: str, name: str, faults: Faults) -> list[Draft]:
    """The pictures of a file; a record that does not hold together is a fault of its picture.

    A path is what stands where a path is expected, whatever it begins with. Rows of 4 columns have no attributes.
    Ignored are faces that are invalid, or have no size.

    Args:
        text: of the file.
        name: of the file, for messages.
        faults: what is told of what is wrong.
    """
    lines = filled_lines(text)
    pictures: list[Listed] = []
    table: list[float] = []
    at = 0
    while at < len(lines):
        try:
            picture, values, at = _record(lines, at, name)
        except _RecordError as broken:
            faults.picture(f"{name}:{broken.line}", str(broken))
            at = next((i for i in range(at + 1, len(lines)) if is_path(lines[i][1])), len(lines))
        else:
            pictures.append(picture)
            table += values
    return cut(pictures, _columns(table), f"{name}:")


def _record(lines: Lines, at: int, name: str) -> tuple[Listed, list[float], int]:
    """The record that begins at `at`, its numbers, and where the next begins."""
    line, path = lines[at]
    if is_row(path):
        raise _RecordError(line, "is a row of numbers, and no picture's path")
    if at + 1 == len(lines):
        raise _RecordError(line, f"the file ends before the number of faces of {path}")
    below, word = lines[at + 1]
    if not word.isdecimal():
        raise _RecordError(below, f"the number of faces of {path} was expected, found {word[:40]!r}")
    count, first = int(word), at + 2
    after = first + count
    rows = lines[first:after]
    found = next((i for i, (_, row) in enumerate(rows) if is_path(row)), len(rows))
    if found < count:
        raise _RecordError(below, f"{path} should have {counted(count, 'face')}, and has {counted(found, 'row')}")
    if count == 0 and first < len(lines) and _is_empty(lines[first][1]):
        after = first + 1
    if after < len(lines) and is_row(lines[after][1]):
        raise _RecordError(below, f"{path} should have {counted(count, 'face')}, and has more rows")
    values: list[float] = []
    for number, row in rows:
        try:
            values.extend(_padded(numbers(row, _COLUMNS)))
        except RowError as fault:
            raise _RecordError(number, str(fault)) from None
    listed = Listed(path, f"{name}:{line}", [row for _, row in rows], [number for number, _ in rows])
    return listed, values, after


def _padded(values: list[float]) -> list[float]:
    attributes = values[4:]
    if list(map(int, attributes)) != attributes:
        raise RowError("an attribute is no whole number")
    return values if attributes else values + [0.0] * len(ATTRIBUTES)


def is_path(line: str) -> bool:
    """Whether a line ends as a picture's name does."""
    return line[-1].isalpha() and line.lower().endswith(_ENDINGS)


def _is_empty(line: str) -> bool:
    """Whether a line is the row of zeros of a picture without faces."""
    return is_row(line) and not any(map(float, line.split()))


def _columns(table: list[float]) -> Columns:
    values = np.array(table).reshape(-1, 4 + len(ATTRIBUTES))
    attributes = values[:, 4:].astype(np.int64)
    boxes = values[:, :4]
    ignore = (attributes[:, _INVALID] == 1) | (boxes[:, 2:] == 0).any(axis=1)
    return unsaid(len(values))._replace(boxes=boxes, ignore=ignore, attributes=attributes)


def wider_text(pictures: Iterable[Annotation]) -> str:
    """WIDER FACE's text of pictures: whole px, ignored faces invalid."""
    return "".join(line + "\n" for picture in pictures for line in _lines(picture))


def _lines(picture: Annotation) -> Iterator[str]:
    yield picture.path
    yield str(len(picture.boxes))
    boxes = np.rint(np.c_[picture.boxes[:, :2], picture.boxes[:, 2:] - picture.boxes[:, :2]]).astype(np.int64)
    attributes = picture.attributes.copy()
    attributes[picture.ignore & (boxes[:, 2:] > 0).all(axis=1), _INVALID] = 1
    for row in np.c_[boxes, attributes].tolist():
        yield " ".join(map(str, row))
    if not len(boxes):
        yield " ".join("0" * (4 + len(ATTRIBUTES)))
