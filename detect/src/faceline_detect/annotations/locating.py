"""Which label file is meant, and of which format it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from faceline_core.errors import FacelineError, nearest
from faceline_detect.annotations.text import filled_lines, is_row, read_text
from faceline_detect.annotations.wider import is_path
from faceline_detect.annotations.yolo_folder import DATA, IMAGES, LABELS, has_labels

Kind = Literal["wider", "retinaface", "coco", "yolo"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_NAMES = ("label.txt", "wider.txt", "*bbx_gt.txt", "*.json", DATA)
"""Label files that a folder is searched for, the one with the most to say first."""


_PEEK = 10_000
"""Characters by which a text is told."""


def check_kind(kind: str | None) -> None:
    if kind is not None and kind not in KINDS:
        raise FacelineError(f"{kind!r} is no format of labels: {nearest(kind, KINDS)}")


def locate(place: Path, kind: str | None) -> tuple[Path, str]:
    """The label file of a place, and its format; of YOLO the place itself.

    Args:
        place: a label file, or a folder with one.
        kind: one of KINDS; None tells it by the content.

    Raises:
        FacelineError: where there is none, or more than one that could be meant.
    """
    check_kind(kind)
    if place.is_file():
        found = kind or kind_of(place)
        if found is None:
            raise FacelineError(f"{place}: {_unlike(place)}. Name another file, or say what it is: --from")
        return place, found
    if not place.is_dir():
        raise FacelineError(f"{place} is not there. Name a label file, or a folder with one")
    for files in _candidates(place):
        kinds = {file: found for file in files if (found := kind_of(file)) and kind in (None, found)}
        if len(kinds) > 1:
            raise FacelineError(f"{place} holds {' and '.join(file.name for file in kinds)}. Name one of them")
        for file, found in kinds.items():
            return (place, found) if found == "yolo" else (file, found)
    if kind in (None, "yolo") and ((place / LABELS).is_dir() or has_labels(place)):
        return place, "yolo"
    wanted = f"{kind} labels" if kind else "labels"
    raise FacelineError(
        f"{place} holds no {wanted}: {', '.join(_NAMES)}, or {IMAGES}/ and {LABELS}/. Name the file itself"
    )


def _candidates(folder: Path) -> Iterator[list[Path]]:
    for name in _NAMES:
        yield sorted(folder.glob(name))


def kind_of(file: Path) -> Kind | None:
    """The format of a label file by its content; None where it is none.

    A YAML is YOLO's. COCO is text in braces that speaks of "images" and "annotations". WIDER FACE's begins with a path,
    told by its ending or by the whole number in the line below, and without #. RetinaFace's has a line that begins with
    # among the first.
    """
    if file.suffix.lower() in (".yaml", ".yml"):
        return "yolo"
    text = read_text(file)
    if text.lstrip().startswith("{"):
        return "coco" if '"images"' in text and '"annotations"' in text else None
    lines = [line for _, line in filled_lines(text[:_PEEK])]
    if not lines:
        return None
    if not lines[0].startswith("#") and (
        is_path(lines[0]) or (lines[1:] and lines[1].isdecimal() and not is_row(lines[0]))
    ):
        return "wider"
    return "retinaface" if any(line.startswith("#") for line in lines) else None


def _unlike(file: Path) -> str:
    lines = filled_lines(read_text(file))
    if not lines:
        return "is empty, and no label file"
    if is_row(lines[0][1]):
        return "has rows of numbers and names no picture; of YOLO's labels the folder is to be named"
    return "is of none of the formats that are known"
