"""What labels must hold before anything is trained or measured with them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import PhotoError
from faceline_core.faces.photo import MAX_PIXELS
from faceline_detect.annotations.drafts import Draft, size_differs
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.annotations.pictures import picture_size

LEAST_SIDE, MOST_SIDE = 20, 19_999
"""Of a picture, px."""
INSIDE = 0.5
"""The part of a face's box that must lie in the picture."""
MARGIN = 0.5
"""How far from its box a landmark may lie, over the box's width and height: beside a head in profile they do."""

_NAME = 255
"""Bytes that the name of a file or folder can have."""


def with_good_paths(drafts: Sequence[Draft], faults: Faults) -> list[Draft]:
    """Those whose paths lie below the folder of pictures, and of which there is one record alone.

    Of a picture with two records neither is taken: what is a face in the one is background in the other.
    """
    for draft in drafts:
        draft.path = PurePosixPath(draft.path).as_posix()
    records = Counter(draft.path for draft in drafts)
    first: dict[str, str] = {}
    good = []
    for draft in drafts:
        if not _is_below(PurePosixPath(draft.path)):
            faults.picture(draft.place, f"{draft.path[:80]!r} should be a path below the folder of pictures")
        elif records[draft.path] == 1:
            good.append(draft)
        elif draft.path in first:
            faults.record(draft.place, f"{draft.path} has a record already, {first[draft.path]}")
        else:
            first[draft.path] = draft.place
    return good


def _is_below(path: PurePosixPath) -> bool:
    """Whether a file can be called so, and lies below where the path begins."""
    try:
        longest = max((len(part.encode()) for part in path.parts), default=0)
    except UnicodeEncodeError:
        return False
    return not path.is_absolute() and ".." not in path.parts and 0 < longest <= _NAME and "\0" not in str(path)


def size_in(folder: Path, path: str, place: str, faults: Faults) -> tuple[int, int] | None:
    """Width and height of a picture in px; None, and a fault, where it cannot be used.

    Args:
        folder, path: where it is.
        place: of its record.
        faults: what is told of what is wrong.
    """
    try:
        width, height = picture_size(folder / path)
    except PhotoError as error:
        faults.picture(place, f"{folder / path} {error.reason}")
    except FileNotFoundError:
        faults.picture(place, f"{folder / path} is not there")
    except OSError as error:
        faults.picture(place, f"{folder / path} cannot be opened ({(error.strerror or 'failed').lower()})")
    else:
        shape = f"{folder / path} is {width} x {height} px"
        if min(width, height) < LEAST_SIDE:
            faults.picture(place, f"{shape}, and a side should have {LEAST_SIDE} or more")
        elif max(width, height) > MOST_SIDE or width * height > MAX_PIXELS:
            most = f"a side of {MOST_SIDE} and {MAX_PIXELS / 1e6:g} million in all"
            faults.picture(place, f"{shape}, more than {most}: cut or scale it")
        else:
            return width, height
    return None


def with_sizes(drafts: Iterable[Draft], folder: Path, faults: Faults) -> list[Draft]:
    """Those whose pictures are there and of a usable size, the one that their labels speak of."""
    good = []
    for draft in drafts:
        size = size_in(folder, draft.path, draft.place, faults)
        if size is not None and draft.size not in (None, size):
            faults.picture(draft.place, size_differs(draft.path, size, draft.size))
        elif size is not None:
            draft.size = size
            good.append(draft)
    return good


def checked(drafts: Sequence[Draft], faults: Faults) -> list[Annotation]:
    """The annotations of drafts with sizes; a face that is wrong is a fault, and ignored.

    Ignored faces may have no size, lie anywhere and have landmarks anywhere. Of a negative width or height the area is
    taken that it spans.
    """
    if not drafts:
        return []
    counts = [len(draft.boxes) for draft in drafts]
    first = np.cumsum([0, *counts])
    boxes = np.concatenate([draft.boxes for draft in drafts])
    landmarks = np.concatenate([draft.landmarks for draft in drafts])
    ignore = np.concatenate([draft.ignore for draft in drafts])
    sides = np.repeat(np.array([draft.size for draft in drafts], np.float64), counts, axis=0)
    reasons = _reasons(boxes, landmarks, ignore, sides)
    for face, reason in reasons.items():
        owner = int(np.searchsorted(first, face, side="right")) - 1
        faults.face(drafts[owner].place_of(face - int(first[owner])), f"{reason} ({drafts[owner].path})")
        ignore[face] = True
    one, other = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    corners = np.concatenate([np.minimum(one, other), np.maximum(one, other)], axis=1)
    return [
        Annotation(
            draft.path,
            corners[start:stop],
            landmarks[start:stop],
            ignore[start:stop],
            draft.attributes,
            draft.size,
            draft.hidden,
            draft.scores,
        )
        for draft, start, stop in zip(drafts, first[:-1].tolist(), first[1:].tolist(), strict=True)
    ]


def _reasons(
    boxes: NDArray[np.float64], landmarks: NDArray[np.float64], ignore: NDArray[np.bool_], sides: NDArray[np.float64]
) -> dict[int, str]:
    """Which of F faces cannot be used, in order, and why.

    Args:
        boxes: (F, 4) left, top, width, height.
        landmarks: (F, 5, 2).
        ignore: (F,).
        sides: (F, 2) width and height of each face's picture.
    """
    corner, extent = boxes[:, :2], boxes[:, 2:]
    negative = (extent < 0).any(axis=1)
    empty = ~ignore & ~negative & (extent == 0).any(axis=1)
    judged = ~ignore & ~negative & ~empty
    seen = (np.minimum(corner + extent, sides) - np.maximum(corner, 0)).clip(0)
    outside = judged & (seen.prod(axis=1) < INSIDE * extent.prod(axis=1))
    beyond = np.maximum(corner[:, None] - landmarks, landmarks - (corner + extent)[:, None])
    stray = (beyond > MARGIN * extent[:, None]).any(axis=2)  # False for NaN
    reasons: dict[int, str] = {}
    for face in np.flatnonzero(negative | empty | outside | (judged & stray.any(axis=1))).tolist():
        box = "{:g} {:g} {:g} {:g}".format(*boxes[face])
        if negative[face] or empty[face]:
            reasons[face] = f"the box {box} has a {'negative' if negative[face] else 'zero'} size"
        elif outside[face]:
            reasons[face] = "the box {} lies outside the picture of {:g} x {:g} px".format(box, *sides[face])
        else:
            point = landmarks[face, int(stray[face].argmax())]
            reasons[face] = "the landmark {:g} {:g} lies outside the box {}".format(*point, box)
    return reasons
