"""The pictures on which a detector makes the most mistakes, with the mistakes drawn in, on one sheet."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face, read_photo
from faceline_core.stage.files import written_beside
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.measuring.working_point import LEFT_OUT, NO_FACE, Outcome

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

WORST = 16
_ACROSS, _SIDE, _BAR, _GAP = 4, 480, 22, 6  # px
_LARGE = 24  # px from which a box gets a line of 2
_FONT, _SIZE, _WIDTH = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 9  # px of a letter, about
_FOUND, _MISSED, _WRONG, _IGNORED = (64, 220, 96), (255, 48, 48), (255, 176, 0), (150, 150, 150)
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_KEY = (
    ("found, with landmarks", _FOUND),
    ("missed face", _MISSED),
    ("wrong box", _WRONG),
    ("does not count", _IGNORED),
)


def worst_pictures(outcomes: Sequence[Outcome], count: int = WORST) -> list[int]:
    """Places of the pictures with the most missed faces and wrong boxes, worst first; of equals the first."""
    mistakes = np.array([outcome.missed + outcome.wrong for outcome in outcomes], np.int64)
    return [int(place) for place in np.argsort(-mistakes, kind="stable")[:count]]


def draw_worst(
    path: Path,
    title: str,
    folder: Path,
    pictures: Sequence[Annotation],
    found: Sequence[Sequence[Face]],
    outcomes: Sequence[Outcome],
    count: int = WORST,
) -> None:
    """Writes a JPEG of the worst pictures, each at most 480 px wide and high, under its path and its counts.

    Args:
        path: the file.
        title: stands above, as the detector's name.
        folder: the pictures' paths are below it.
        pictures: with their faces.
        found: what the detector found in each.
        outcomes: of each, at the working threshold.
        count: how many to draw.
    """
    tiles = []
    for place in worst_pictures(outcomes, count):
        picture, outcome = pictures[place], outcomes[place]
        drawn = draw_mistakes(read_photo(folder / picture.path), picture, found[place], outcome)
        tiles.append((drawn, picture.path, f"{outcome.right} found, {outcome.missed} missed, {outcome.wrong} wrong"))
    sheet = np.vstack([_headline(title), *_rows(tiles)])
    encoded = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    with written_beside(path) as beside:
        beside.write_bytes(encoded.tobytes())


def draw_mistakes(photo: Image, picture: Annotation, faces: Sequence[Face], outcome: Outcome) -> Image:
    """A copy of a photo (H, W, 3) RGB with a longer side of 480 px, but no more than twice as large: what does not
    count in grey, found faces and their landmarks in green, over them wrong boxes in orange and missed faces in red.
    Boxes under the threshold are not shown."""
    scale = min(2, _SIDE / max(photo.shape[:2]))
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    image = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    found = {int(place) for place in outcome.face if place >= 0}
    aside = [box for place, box in enumerate(picture.boxes) if place not in found and not outcome.unfound[place]]
    hit = [face for face, place in zip(faces, outcome.face, strict=True) if place >= 0]
    _draw_boxes(image, aside, _IGNORED, scale)
    _draw_boxes(image, _boxes(faces, outcome, LEFT_OUT), _IGNORED, scale)
    _draw_boxes(image, [face.box for face in hit], _FOUND, scale)
    for face in hit:
        points = np.empty((0, 2)) if face.landmarks is None else face.landmarks * scale
        for point in points[np.isfinite(points).all(axis=1)]:
            cv2.circle(image, _point(point), 2 if face.width * scale >= 2 * _LARGE else 1, _FOUND, -1)
    _draw_boxes(image, _boxes(faces, outcome, NO_FACE), _WRONG, scale)
    _draw_boxes(image, picture.boxes[outcome.unfound], _MISSED, scale)
    return image


def _boxes(faces: Sequence[Face], outcome: Outcome, kind: int) -> list[NDArray[np.float32]]:
    return [face.box for face, place in zip(faces, outcome.face, strict=True) if place == kind]


def _draw_boxes(image: Image, boxes: Iterable[NDArray[np.floating]], colour: Colour, scale: float) -> None:
    """Around what is in the box, so that a tiny face stays in sight, with a dark line that sets it off."""
    for box in boxes:
        thick = 2 if (box[2:] - box[:2]).min() * scale >= _LARGE else 1
        for beyond, ink in ((thick, _INK), *((line, colour) for line in range(thick))):
            corners = _point(box[:2] * scale - 1 - beyond), _point(box[2:] * scale + 1 + beyond)
            cv2.rectangle(image, *corners, ink, 1)


def _point(values: NDArray[np.floating]) -> tuple[int, int]:
    """Within what OpenCV can draw."""
    x, y = np.clip(np.round(values), -(2**15), 2**15).astype(int)
    return int(x), int(y)


def _rows(tiles: Sequence[tuple[Image, str, str]]) -> Iterable[Image]:
    """Rows of four tiles, each row as high as its highest picture."""
    width = _ACROSS * (_SIDE + _GAP) + _GAP
    for begin in range(0, len(tiles), _ACROSS):
        some = tiles[begin : begin + _ACROSS]
        row = _paper(max(image.shape[0] for image, *_ in some) + 2 * _BAR + _GAP, width)
        for column, (image, name, counts) in enumerate(some):
            left = _GAP + column * (_SIDE + _GAP)
            _write(row, (left, _BAR - 7), _shortened(name, _SIDE // _WIDTH), _INK)
            _write(row, (left, 2 * _BAR - 9), counts, _INK)
            row[2 * _BAR : 2 * _BAR + image.shape[0], left : left + image.shape[1]] = image
        yield row


def _headline(title: str) -> Image:
    bar = _paper(2 * _BAR, _ACROSS * (_SIDE + _GAP) + _GAP)
    left, line = _GAP, _BAR + 5
    left += _write(bar, (left, line), title, _INK, 0.6) + 30
    for words, colour in _KEY:
        cv2.rectangle(bar, (left, line - 12), (left + 16, line + 2), _INK, 1)
        cv2.rectangle(bar, (left + 1, line - 11), (left + 15, line + 1), colour, -1)
        left += 24 + _write(bar, (left + 24, line), words, _INK) + 24
    return bar


def _write(image: Image, place: tuple[int, int], words: str, colour: Colour, size: float = _SIZE) -> int:
    """Words from that point on; returns their width in px. OpenCV's letters are ASCII, others become ?."""
    ascii_only = words.encode("ascii", "replace").decode()
    cv2.putText(image, ascii_only, place, _FONT, size, colour, 1, cv2.LINE_AA)
    return int(cv2.getTextSize(ascii_only, _FONT, size, 1)[0][0])


def _shortened(name: str, letters: int) -> str:
    return name if len(name) <= letters else f"...{name[3 - letters :]}"


def _paper(height: int, width: int) -> Image:
    return np.full((height, width, 3), _PAPER, np.uint8)
