"""The photos below a folder."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES


@dataclass(frozen=True)
class Listing:
    """Photos sorted by path, and how many files of each other kind lie among them."""

    photos: list[Path]
    skipped: Counter[str]


def list_photos(place: Path) -> Listing:
    """A photo by itself, or all photos of a folder and of those below it.

    Photos are taken by their ending. Hidden files and folders are passed over; other files, and links to folders or to
    nothing, are counted as skipped.

    Raises:
        FacelineError: where there is no photo.
        OSError: where a folder cannot be read.
    """
    if place.is_file():
        return Listing([place], Counter())
    if not place.is_dir():
        raise FacelineError(f"{place} is not there. Name a photo or a folder of photos")
    photos: list[Path] = []
    skipped: Counter[str] = Counter()
    for folder, folders, files in os.walk(place, onerror=_raise):
        skipped["links to folders"] += sum((Path(folder) / name).is_symlink() for name in folders)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder) / name
            if name.startswith("."):
                continue
            if not path.is_file():
                skipped["links to nothing"] += 1
            elif path.suffix.lower() not in SUFFIXES:
                skipped[path.suffix.lower() or "no ending"] += 1
            else:
                photos.append(path)
    skipped = +skipped
    if not photos:
        found = f", only {described(skipped)}" if skipped else ""
        raise FacelineError(f"{place} holds no photos{found}. Put .jpg, .png, .webp, .bmp or .tif files there")
    return Listing(sorted(photos), skipped)


def described(counts: Counter[str]) -> str:
    """`.txt 2, .db 1`"""
    return ", ".join(f"{kind} {count}" for kind, count in counts.most_common())


def _raise(error: OSError) -> None:
    raise error
