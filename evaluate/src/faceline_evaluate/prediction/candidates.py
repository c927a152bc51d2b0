"""What a row of the table is about: a face, or a photo that gives none."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.faces import PhotoError, read_photo
from faceline_core.parameters import StageParameters
from faceline_core.parameters.schema import Preprocess
from faceline_core.stage.cores import usable_cores
from faceline_core.stage.progress import progress
from faceline_preprocess.finding import Found, Settings, Task
from faceline_preprocess.judging import Rejection, judge_face, judge_photo, limits_of
from faceline_preprocess.workers import CHUNK, find_faces


@dataclass(frozen=True, eq=False)
class Candidate:
    """A row to be.

    Attributes:
        file: the photo.
        number: which of the photo's faces, from 1, left to right; None where it has none.
        face: as in a row's `faces` of preprocess: `box`, `score`; None for an aligned face and a photo without one.
        crop: (S, S, 3) uint8 RGB, aligned; None where it was turned away.
        rejection: why it was; None where it was not.
    """

    file: Path
    number: int | None = None
    face: dict[str, Any] | None = None
    crop: NDArray[np.uint8] | None = None
    rejection: Rejection | None = None


def faces_of_photos(
    photos: Sequence[Path], parameters: StageParameters, img_size: int, device: torch.device
) -> Iterator[Candidate]:
    """Every face of every photo, found, cut out and judged as preprocess does it; photos in their order.

    Args:
        photos: the files.
        parameters: `detector` and `preprocess`. Of the latter the limits and num_workers hold; every face is taken.
        img_size: side of the aligned faces in px.
        device: where the detector runs.

    Raises:
        FacelineError: where the detector is not there, or does not do.
    """
    limits = limits_of(parameters.preprocess, parameters.detector)
    settings = Settings(parameters.detector, img_size, "all", (0.0,), str(device))
    tasks, locked = [], []
    for number, photo in enumerate(photos):
        if os.access(photo, os.R_OK):
            tasks.append(Task(str(number), photo, None))
        else:
            locked.append(Found({"key": str(number), "fault": "cannot be read: permission denied"}, {}))
    workers = _workers(limits.num_workers, len(tasks), device)
    with closing(find_faces(tasks, settings, workers)) as finding:
        for found in _in_order(progress(chain(locked, finding), len(photos), "evaluate", "photos")):
            yield from _candidates(photos[int(found.row["key"])], found, limits)


def aligned_faces(files: Sequence[Path], img_size: int) -> Iterator[Candidate]:
    """Files that hold an aligned face of img_size x img_size px each, in their order."""
    for file in progress(files, len(files), "evaluate", "faces"):
        if not os.access(file, os.R_OK):
            yield Candidate(file, rejection=Rejection("does not decode", "cannot be read: permission denied"))
            continue
        try:
            face = read_photo(file)
        except PhotoError as error:
            yield Candidate(file, rejection=Rejection("does not decode", error.reason))
            continue
        if face.shape == (img_size, img_size, 3):
            yield Candidate(file, 1, crop=face)
        else:
            size = f"{face.shape[1]} x {face.shape[0]} px, expected {img_size} x {img_size}"
            yield Candidate(file, rejection=Rejection("other size", f"other size: {size}"))


def turned_away(candidates: Iterable[Candidate]) -> Counter[str]:
    """How many there are of each kind of rejection."""
    return Counter(candidate.rejection.kind for candidate in candidates if candidate.rejection is not None)


def _candidates(photo: Path, found: Found, limits: Preprocess) -> Iterator[Candidate]:
    whole = judge_photo(found.row)
    if whole is not None:
        yield Candidate(photo, rejection=whole)
        return
    for number, face in enumerate(found.row["faces"], 1):
        rejection = judge_face(face, limits)
        crop = _decoded(found.pictures[f"{number}_0.0.jpg"]) if rejection is None else None
        yield Candidate(photo, number, face, crop, rejection)


def _in_order(found: Iterable[Found]) -> Iterator[Found]:
    """By key, 0, 1, 2, ...; what comes early is held until it is due."""
    early: dict[str, Found] = {}
    due = 0
    for item in found:
        early[item.row["key"]] = item
        while (following := early.pop(str(due), None)) is not None:
            yield following
            due += 1


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    """As the other stages read the file that preprocess would write."""
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)  # type: ignore[return-value]


def _workers(asked: int | str, photos: int, device: torch.device) -> int:
    """Processes for the detector; 0 is this one, which for a few photos is sooner than starting others."""
    if asked != "auto":
        return int(asked)
    if photos <= CHUNK:
        return 0
    return 1 if device.type == "cuda" else usable_cores()
