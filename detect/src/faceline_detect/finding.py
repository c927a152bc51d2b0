"""Faces of photos on disk, as JSON and as pictures."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES, Face, PhotoError, read_photo
from faceline_core.stage.files import write_json, written_beside
from faceline_core.stage.progress import progress
from faceline_detect.detectors import load
from faceline_detect.drawing import draw_faces

_AT_A_TIME = 8


def find_in_photos(
    places: Sequence[Path], detector: str, device: str, json_file: Path | None, drawings: Path | None
) -> dict[str, Any]:
    """Runs a detector over photos.

    Args:
        places: photos, or folders that are searched with all below them.
        detector: as in `faceline_detect.detectors.load`.
        device: likewise.
        json_file: where the result goes; None prints it.
        drawings: a folder for the photos with their faces marked, as `<photo's path>.jpg`; None draws none.

    Returns:
        A record a photo by its path: `width`, `height` and `faces` (`box`, `landmarks`, `score`), or `fault` where it
        does not decode.

    Raises:
        FacelineError: where there are no photos.
    """
    paths = [path for place in places for path in _photos(place)]
    if not paths:
        names = ", ".join(map(str, places))
        raise FacelineError(f"{names}: no photos there. Name a .jpg, .png, .webp, .bmp or .tif file, or their folder")
    net = load(detector, device=device)
    chunks = [paths[start : start + _AT_A_TIME] for start in range(0, len(paths), _AT_A_TIME)]
    records: dict[str, Any] = {}
    for chunk in progress(chunks, len(chunks), "detect", f"times {_AT_A_TIME} photos") if json_file else chunks:
        photos: dict[Path, NDArray[np.uint8]] = {}
        for path in chunk:
            try:
                photos[path] = read_photo(path)
            except PhotoError as error:
                records[str(path)] = {"fault": error.reason}
        for (path, photo), faces in zip(photos.items(), net.detect(list(photos.values())), strict=True):
            height, width = photo.shape[:2]
            records[str(path)] = {"width": width, "height": height, "faces": [_plain(face) for face in faces]}
            if drawings is not None:
                _write_drawing(drawings / _below(path), draw_faces(photo, faces))
    if json_file is None:
        json.dump(records, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        write_json(json_file, records)
    return records


def _photos(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    elif place.is_file():
        yield place
    else:
        raise FacelineError(f"{place} is not there. Name a photo or a folder of photos")


def _plain(face: Face) -> dict[str, Any]:
    landmarks = None if face.landmarks is None else face.landmarks.astype(float).round(2).tolist()
    return {"box": face.box.astype(float).round(2).tolist(), "landmarks": landmarks, "score": round(face.score, 6)}


def _below(path: Path) -> Path:
    """The photo's path as one below another folder."""
    parts = [part for part in path.parts if part not in (path.anchor, "..", ".")]
    return Path(*parts[:-1], f"{parts[-1]}.jpg")


def _write_drawing(path: Path, picture: NDArray[np.uint8]) -> None:
    encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    with written_beside(path) as beside:
        beside.write_bytes(encoded.tobytes())
