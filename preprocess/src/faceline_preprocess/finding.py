"""What is done to one photo: decode, detect, choose, align, measure, encode. Runs in the worker processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.faces import (
    AlignmentError,
    Face,
    PhotoError,
    align,
    asymmetry,
    exposure,
    fingerprint,
    pick,
    read_mask,
    read_photo,
    sharpness,
)
from faceline_detect.detectors import Detector, load

HELD_PIXELS = 16_000_000
"""Photos are decoded until they hold this many pixels; then the detector runs over them."""

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


@dataclass(frozen=True)
class Settings:
    """What the faces of a photo depend on, besides its bytes."""

    detector: str
    img_size: int
    pick: str
    blur_levels: tuple[float, ...]
    device: str = "cpu"


@dataclass(frozen=True)
class Task:
    """A photo to work on."""

    key: str
    path: Path
    mask: Path | None


@dataclass(frozen=True)
class Found:
    """What was found: `row` is plain JSON, `pictures` maps the end of a file's name to its bytes."""

    row: dict[str, Any]
    pictures: dict[str, bytes]


class Finder:
    """Holds the detector.

    Raises:
        FacelineError: where the detector is not there, or gives no landmarks, without which no face can be aligned.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.detector: Detector = load(settings.detector, device=settings.device)
        if not self.detector.landmarks:
            raise FacelineError(
                f"detector: {settings.detector} gives no landmarks, by which faces are aligned. Train it with "
                "detect.yolo.landmarks: true (dvc repro detect), or choose another detector"
            )

    def find(self, tasks: Sequence[Task]) -> Iterator[Found]:
        """Works through photos in order, a bounded number of pixels at a time."""
        held: list[tuple[Task, NDArray[np.uint8]]] = []
        for task in tasks:
            try:
                photo = read_photo(task.path)
            except PhotoError as error:
                yield Found({"key": task.key, "fault": error.reason}, {})
                continue
            held.append((task, photo))
            if sum(image.shape[0] * image.shape[1] for _, image in held) >= HELD_PIXELS:
                yield from self._find(held)
                held = []
        yield from self._find(held)

    def _find(self, held: list[tuple[Task, NDArray[np.uint8]]]) -> Iterator[Found]:
        for (task, photo), faces in zip(held, self.detector.detect([photo for _, photo in held]), strict=True):
            height, width = photo.shape[:2]
            seen = fingerprint(photo)
            row: dict[str, Any] = {
                "key": task.key,
                "bits": seen.bits,
                "thumbnail": seen.thumbnail.hex(),
                "seen": len(faces),
                "faces": [],
            }
            pictures: dict[str, bytes] = {}
            try:
                mask = None if task.mask is None else read_mask(task.mask, width, height)
            except PhotoError as error:
                yield Found(row | {"fault": f"mask {error}"}, {})
                continue
            for number, face in enumerate(pick(faces, self.settings.pick, width, height), 1):  # type: ignore[arg-type]
                row["faces"].append(self._cut(photo, mask, face, number, pictures))
            yield Found(row, pictures)

    def _cut(
        self,
        photo: NDArray[np.uint8],
        mask: NDArray[np.uint8] | None,
        face: Face,
        number: int,
        pictures: dict[str, bytes],
    ) -> dict[str, Any]:
        """Aligns and measures a face; its pictures go into `pictures` as `<number>_<level>.jpg` and `<number>.png`."""
        row: dict[str, Any] = {"box": face.box.tolist(), "score": face.score}
        if face.landmarks is None:
            return row | {"fault": "no landmarks"}
        row["landmarks"] = face.landmarks.tolist()
        try:
            crop = align(photo, face.landmarks, self.settings.img_size)
        except AlignmentError as error:
            return row | {"fault": str(error)}
        for level in self.settings.blur_levels:
            blurred = cv2.GaussianBlur(crop, (0, 0), level) if level else crop
            pictures[f"{number}_{level}.jpg"] = _encoded(".jpg", cv2.cvtColor(blurred, cv2.COLOR_RGB2BGR), _JPEG)
        if mask is not None:
            pictures[f"{number}.png"] = _encoded(".png", align(mask, face.landmarks, self.settings.img_size), [])
        return row | {
            "sharpness": sharpness(crop),
            "exposure": exposure(crop),
            "asymmetry": asymmetry(face.landmarks),
        }


def _encoded(kind: str, picture: NDArray[Any], options: list[int]) -> bytes:
    return cv2.imencode(kind, picture, options)[1].tobytes()
