"""What a photo's faces are called."""

import re
from collections.abc import Iterable
from pathlib import Path

_LIKE_A_COPY = re.compile(r"_(blur|face)\d+(\.\d+)?$", re.IGNORECASE)


def face_names(photos: Iterable[Path]) -> dict[Path, str]:
    """A name without ending for each photo of one person.

    It is the photo's own, unless an earlier photo has it (`a.png` beside `a.jpg`) or it would read as a copy's
    (`a_blur0.5`, `a_face2`): then its ending becomes part of it. Names differ in more than upper and lower case.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for photo in sorted(photos):
        name = photo.stem
        if _LIKE_A_COPY.search(name) or name.lower() in taken:
            name = photo.name
        number = 2
        while name.lower() in taken:
            name, number = f"{photo.name}-{number}", number + 1
        taken.add(name.lower())
        names[photo] = name
    return names


def copy_name(name: str, face: int | None, level: float) -> str:
    """`a`, `a_face2`, `a_blur0.5`, `a_face2_blur0.5`; `face` counts from 1, None where a photo gives one face."""
    which = "" if face is None else f"_face{face}"
    return f"{name}{which}_blur{level}" if level else f"{name}{which}"
