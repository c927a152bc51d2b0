"""Texts of numbers, read and written."""

from collections.abc import Collection
from math import isfinite
from pathlib import Path

from faceline_core.errors import FacelineError

LARGEST = 1e9
"""Whatever is larger is no label."""


class RowError(ValueError):
    """A row that cannot be read; the message is a clause: `'1o' is no number`."""


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; there is none where a name is too long to be one."""
    try:
        return path.exists()
    except OSError:
        return False


def read_text(file: Path) -> str:
    """A UTF-8 file, with or without a byte order mark."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FacelineError(f"{file} is not UTF-8 text (byte {error.start}). Save it as UTF-8") from None


def numbers(row: str, columns: Collection[int]) -> list[float]:
    """The numbers of a row, separated by blanks.

    Args:
        row: the text.
        columns: how many there may be.

    Raises:
        RowError: where there are more or fewer, or one is no number, or not finite, or larger than LARGEST.
    """
    words = row.split()
    if len(words) not in columns:
        raise RowError(f"has {counted(len(words), 'column')}, expected {' or '.join(map(str, sorted(columns)))}")
    try:
        values = list(map(float, words))
    except ValueError:
        raise RowError(f"{next(word for word in words if not is_number(word))!r} is no number") from None
    if not (isfinite(sum(values)) and min(values) >= -LARGEST and max(values) <= LARGEST):
        raise RowError(f"{next(word for word in words if not abs(float(word)) <= LARGEST)!r} is no number of use")
    return values


def is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def is_row(line: str) -> bool:
    """Whether a line is a box at least: four numbers or more, and nothing else."""
    words = line.split()
    return len(words) >= 4 and all(map(is_number, words))


def number(value: float, decimals: int = 9) -> str:
    """A number as text, without zeros that say nothing."""
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def counted(count: int, noun: str) -> str:
    """`1 face`, `2 faces`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def filled_lines(text: str) -> list[tuple[int, str]]:
    """Number, from 1, and text of the lines that are not blank, without blanks at either end."""
    stripped = ((line, content.strip()) for line, content in enumerate(text.split("\n"), 1))
    return [(line, content) for line, content in stripped if content]
