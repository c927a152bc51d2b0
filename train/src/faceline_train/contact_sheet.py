"""A batch of faces as one picture, to look at before hours of training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from faceline_core.stage.files import written_beside

_MOST = 64
_COLUMNS = 8
_LEAST_SIDE = 112  # px; a name of two lines fits under it
_GAP = 8
_TEXT = 12


def contact_sheet(path: Path, faces: NDArray[np.uint8], captions: Sequence[str]) -> None:
    """Writes a PNG of the first 64 faces in rows of 8, each with its caption in one or two lines below.

    Args:
        path: the file; it appears whole or not at all.
        faces: (N, S, S, 3) uint8 RGB in [0, 255]; small ones are shown enlarged by whole pixels.
        captions: N texts, as persons' names; what two lines do not hold ends in an ellipsis.

    Raises:
        ValueError: where there are not as many captions as faces, or no faces.
    """
    if len(faces) != len(captions) or len(faces) == 0:
        raise ValueError(f"a contact sheet has a caption a face; there are {len(faces)} and {len(captions)}")
    shown = min(len(faces), _MOST)
    zoom = -(-_LEAST_SIDE // faces.shape[1])
    side, font = zoom * faces.shape[1], _font()
    line = sum(font.getmetrics())
    columns = min(_COLUMNS, shown)
    width, height = side + _GAP, side + 2 * line + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, -(-shown // columns) * height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place in range(shown):
        left, top = _GAP + place % columns * width, _GAP + place // columns * height
        large = faces[place].repeat(zoom, axis=0).repeat(zoom, axis=1)
        sheet.paste(Image.fromarray(large), (left, top))
        for row, text in enumerate(_lines(captions[place], side, font)):
            draw.text((left, top + side + row * line), text, fill="black", font=font)
    with written_beside(path) as beside:
        sheet.save(beside, format="PNG")


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: Pillow's own font has no accents."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", _TEXT)


def _lines(text: str, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """A caption in at most two lines of `width` px, broken after a space, hyphen or underscore where there is one."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return [text]
    fit = max(1, next(count for count in range(len(text), -1, -1) if font.getlength(text[:count]) <= width))
    broken = 1 + max(text.rfind(mark, 0, fit) for mark in " -_") or fit
    first, rest = text[:broken].rstrip(), text[broken:]
    if font.getlength(rest) > width:
        while rest and font.getlength(rest + "…") > width:
            rest = rest[:-1]
        rest += "…"
    return [first, rest]
