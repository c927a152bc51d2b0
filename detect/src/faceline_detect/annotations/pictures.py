"""Where the pictures of labels lie, and their sizes by their headers."""

import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

from faceline_core.errors import FacelineError
from faceline_core.faces import PhotoError
from faceline_core.faces.photo import MAX_PIXELS, open_photo, too_many

_TURNED = (5, 6, 7, 8)
"""EXIF orientations in which rows are columns."""
_TELLING = (b"eXIf", b"iTXt", b"zTXt", b"tEXt")
"""Chunks of PNG that can hold an orientation."""


def folder_of(labels: Path, paths: Sequence[str], place: str) -> Path:
    """Where the pictures of a label file lie: images/ beside it, its folder, or where WIDER FACE's archives have them.

    Args:
        labels: the file.
        paths: of the pictures, at least one.
        place: of the first one's record, for messages.

    Raises:
        FacelineError: where none of them is in any of these.
    """
    splits = (split for split in ("train", "val") if f"_{split}_" in labels.name)
    archives = (labels.absolute().parent.parent / f"WIDER_{split}/images" for split in splits)
    places = (labels.parent / "images", labels.parent, *archives)
    for folder in places:
        if any((folder / path).is_file() for path in paths):
            return folder
    more = f", nor any other of the {len(paths)} pictures" if len(paths) > 1 else ""
    raise FacelineError(
        f"{place}: {paths[0]} is not in {' or '.join(map(str, places))}{more}. "
        "Put the pictures there, or name their folder: --images"
    )


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as `faceline_core.faces.read_photo` gives it, upright.

    It is read from the header; only a PNG that may say behind its pixels how it is turned is decoded.

    Raises:
        PhotoError: where the file is no JPEG, PNG, WebP, BMP or TIFF, or a WebP of more pixels than can be opened.
        OSError: where it cannot be opened at all.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd tags, and sizes that the caller judges
        try:
            with open_photo(file) as image:
                width, height = image.size
                if image.format == "TIFF":  # Pillow turns its size when it opens it
                    return width, height
                if image.format == "PNG" and width * height <= MAX_PIXELS and _tells_later(file):
                    image.load()
                exif = Image.Image.getexif(image)  # PNG's own would decode each picture to look behind its pixels
                turned = exif.get(ExifTags.Base.Orientation, 1) in _TURNED
        except Image.DecompressionBombError as error:
            raise PhotoError(path, f"has pixels that are {too_many(MAX_PIXELS)}") from error
        except (OSError, SyntaxError, ValueError, TypeError) as error:
            raise PhotoError(path, "has no header of a JPEG, PNG, WebP, BMP or TIFF") from error
    return (height, width) if turned else (width, height)


def _tells_later(file: BinaryIO) -> bool:
    """Whether a PNG has a chunk that may hold its orientation behind its pixels."""
    here, behind = file.tell(), False
    file.seek(8)
    try:
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            behind = behind or kind == b"IDAT"
            if behind and kind in _TELLING:
                return True
            file.seek(length + 4, 1)
        return False
    finally:
        file.seek(here)
