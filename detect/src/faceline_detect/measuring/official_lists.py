"""Which faces of WIDER FACE's validation set count as easy, medium and hard: the lists that come with its evaluation.

A list is a MATLAB file: for each event (`event_list`) the names of its pictures (`file_list`, without .jpg), and for
each picture all boxes (`face_bbx_list`, x y w h) and the places, from 1, of those that count (`gt_list`).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_detect.annotations.kinds import Annotation

LEVELS = ("easy", "medium", "hard")
_PARTS = ("event_list", "file_list", "face_bbx_list", "gt_list")


class _Listed(NamedTuple):
    boxes: NDArray[np.float64]
    """(N, 4) left, top, right, bottom."""
    places: NDArray[np.int64]
    """Of the boxes that count, from 0."""


def counted_by_lists(pictures: Sequence[Annotation], folder: Path) -> dict[str, list[NDArray[np.bool_]]]:
    """The faces that each list counts.

    Args:
        pictures: of WIDER FACE's validation set, all or some; their paths end in `<event>/<name>`.
        folder: holds wider_easy_val.mat, wider_medium_val.mat and wider_hard_val.mat.

    Returns:
        For easy, medium and hard: for each picture (N,) bool, by the lists alone: the hard one counts a face of
        negative width, which labels have as one to ignore.

    Raises:
        FacelineError: where a list is missing or cannot be read, or does not know a picture, or has other boxes there.
    """
    found = {}
    for level in LEVELS:
        file = folder / f"wider_{level}_val.mat"
        listed = _read(file)
        found[level] = [_counted(picture, listed, file) for picture in pictures]
    return found


def as_published(pictures: Sequence[Annotation], folder: Path) -> list[Annotation]:
    """WIDER FACE's pictures with the one face of negative width as the hard list has it. Readers put it right; turned
    back it is what the published evaluation takes: a face that no box overlaps.

    Raises:
        FacelineError: as `counted_by_lists`, of the hard list.
    """
    file = folder / "wider_hard_val.mat"
    listed = _read(file)
    published = []
    for picture in pictures:
        _counted(picture, listed, file)
        boxes = listed[_key(picture)].boxes
        turned = (boxes[:, 2:] < boxes[:, :2]).any(axis=1, keepdims=True)
        there = len(picture.boxes) and turned.any()
        published.append(replace(picture, boxes=np.where(turned, boxes, picture.boxes)) if there else picture)
    return published


def _key(picture: Annotation) -> str:
    event, _, name = picture.path.rpartition("/")
    return f"{event.rpartition('/')[2]}/{name.rpartition('.')[0]}"


def _counted(picture: Annotation, listed: dict[str, _Listed], file: Path) -> NDArray[np.bool_]:
    key = _key(picture)
    if key not in listed:
        raise FacelineError(
            f"{file}: has no picture {key}. The lists are of WIDER FACE's validation set: measure on that, or set "
            "detect.test.official_lists: null, which goes by the height of faces"
        )
    boxes, places = listed[key]
    if not len(picture.boxes) and not boxes.any():
        return np.zeros(0, bool)  # a picture without a face: the lists have a box of zeros there
    if len(boxes) != len(picture.boxes):
        raise FacelineError(
            f"{file}: {key} has {len(boxes)} faces there, {len(picture.boxes)} in the labels. Give the labels of all "
            "faces, as WIDER FACE publishes them"
        )
    apart = np.flatnonzero((np.abs(_in_order(boxes) - _in_order(picture.boxes)) > 1).any(axis=1))
    if len(apart):
        there, here = (box[apart[0]].round().astype(int).tolist() for box in (boxes, picture.boxes))
        raise FacelineError(
            f"{file}: face {apart[0] + 1} of {key} is {there} there (left, top, right, bottom), {here} in the labels. "
            "Give the labels as WIDER FACE publishes them, in their order"
        )
    counted = np.zeros(len(boxes), bool)
    counted[places] = True
    return counted


def _in_order(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Left before right: one face of WIDER FACE has a negative width, which readers put right."""
    return np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])


def _read(file: Path) -> dict[str, _Listed]:
    """By `<event>/<name without ending>`."""
    content = _load(file)
    pictures = {}
    for event, names, boxes, places in zip(*(content[part].flat for part in _PARTS), strict=True):
        for name, of_picture, counting in zip(names.flat, boxes.flat, places.flat, strict=True):
            edges = of_picture.reshape(-1, 4).astype(np.float64)
            edges[:, 2:] += edges[:, :2]
            pictures[f"{event.item()}/{name.item()}"] = _Listed(edges, counting.reshape(-1).astype(np.int64) - 1)
    return pictures


def _load(file: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not file.is_file():
        raise FacelineError(
            f"{file} is not there. detect.test.official_lists names the folder of WIDER FACE's lists "
            "(wider_easy_val.mat, ...); null goes by the height of faces"
        )
    try:
        content: dict[str, Any] = loadmat(file, variable_names=_PARTS, appendmat=False)
    except (OSError, ValueError, NotImplementedError, MatReadError) as error:  # the third: of version 7.3, HDF5
        raise FacelineError(f"{file}: does not read as a MATLAB file ({error}). Copy it again") from None
    missing = [part for part in _PARTS if part not in content]
    if missing:
        raise FacelineError(f"{file}: has no {missing[0]}. Expected a list of faces that count, as wider_hard_val.mat")
    return content
