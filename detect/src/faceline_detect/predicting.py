"""Faces of photos on disk, as JSON, as a table, as pictures and as crops."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES, AlignmentError, Face, PhotoError, align, read_photo
from faceline_core.stage.files import replaced_folder, write_json
from faceline_core.stage.progress import progress, say
from faceline_detect.detectors import Detector
from faceline_detect.drawing import draw_faces

_AT_A_TIME = 8
_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
COLUMNS = (
    *("photo", "face", "left", "top", "right", "bottom", "score"),
    *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),
    "fault",
)
"""Of faces.csv."""
_OURS = {"faces.json", "faces.csv", "pictures", "crops"}
_SIZES = (16, 1024)
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


def predict(places: Sequence[Path], load: Callable[[], Detector], output: Path, size: int | None = None) -> Path:
    """Finds the faces in photos, and writes a folder, whole or not at all.

    In it: `faces.json`, a record a photo by its path with `width`, `height` and `faces` (`box`, `landmarks`, `score`),
    or `fault` where it does not decode; `faces.csv`, a row a face; `pictures/`, the photos with their faces marked;
    with `size` also `crops/<photo>_face<number>.jpg`, aligned.

    Args:
        places: photos, or folders that are searched with all below them.
        load: gives the detector, once it is known that there are photos.
        output: the folder; one that this wrote before is replaced.
        size: side of the crops in px; None cuts none.

    Returns:
        The folder.

    Raises:
        FacelineError: where there are no photos, `output` holds something else, or the detector does not do.
    """
    _check(output, size)
    paths = list(dict.fromkeys(path for place in places for path in _photos(place)))
    if not paths:
        names = ", ".join(map(str, places))
        raise FacelineError(f"{names}: no photos there. Name a .jpg, .png, .webp, .bmp or .tif file, or their folder")
    detector = load()
    counts: Counter[str] = Counter()
    records: dict[str, Any] = {}
    with replaced_folder(output) as folder:
        chunks = [paths[start : start + _AT_A_TIME] for start in range(0, len(paths), _AT_A_TIME)]
        for chunk in progress(chunks, len(chunks), "detect", f"times {_AT_A_TIME} photos"):
            photos: dict[Path, NDArray[np.uint8]] = {}
            for path in chunk:
                try:
                    photos[path] = read_photo(path)
                except PhotoError as error:
                    records[str(path)] = {"fault": error.reason}
            for (path, photo), faces in zip(photos.items(), detector.detect(list(photos.values())), strict=True):
                height, width = photo.shape[:2]
                records[str(path)] = {"width": width, "height": height, "faces": [_plain(face) for face in faces]}
                _write_picture(folder / "pictures" / f"{_below(path)}.jpg", draw_faces(photo, faces))
                if size is not None:
                    _cut(folder / "crops", path, photo, faces, size, counts)
        records = {str(path): records[str(path)] for path in paths}
        write_json(folder / "faces.json", records)
        _write_table(folder / "faces.csv", records)
    found = sum(len(record.get("faces", [])) for record in records.values())
    broken = sum("fault" in record for record in records.values())
    say("detect", f"{found} faces in {len(paths) - broken} photos -> {output}" + _counted(broken, counts))
    return output


def _check(output: Path, size: int | None) -> None:
    if output.exists() and not output.is_dir():
        raise FacelineError(f"--output {output} is a file; expected a folder to write to. Give another")
    foreign = sorted({path.name for path in output.iterdir()} - _OURS) if output.is_dir() else []
    if foreign:
        raise FacelineError(
            f"--output {output} holds {foreign[0]}, which predict never wrote, and would be replaced. Give another"
        )
    if size is not None and not _SIZES[0] <= size <= _SIZES[1]:
        raise FacelineError(f"--size {size}: expected {_SIZES[0]} to {_SIZES[1]} px")


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
    return Path(*(part for part in path.parts if part not in (path.anchor, "..", ".")))


def _cut(
    folder: Path, path: Path, photo: NDArray[np.uint8], faces: Sequence[Face], size: int, counts: Counter[str]
) -> None:
    for number, face in enumerate(faces, 1):
        if face.landmarks is None:
            counts["without landmarks"] += 1
            continue
        try:
            crop = align(photo, face.landmarks, size)
        except AlignmentError:
            counts["whose landmarks do not form a face"] += 1
            continue
        _write_picture(folder / f"{_below(path)}_face{number}.jpg", crop)


def _write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _QUALITY)[1].tobytes())


def _write_table(path: Path, records: dict[str, Any]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for photo, record in records.items():
            if "fault" in record:
                table.writerow([photo, *[""] * (len(COLUMNS) - 2), record["fault"]])
            for number, face in enumerate(record.get("faces", []), 1):
                points = [""] * 10 if face["landmarks"] is None else [v for point in face["landmarks"] for v in point]
                table.writerow([photo, number, *face["box"], face["score"], *points, ""])


def _counted(broken: int, counts: Counter[str]) -> str:
    notes = [f"{broken} photos do not decode"] if broken else []
    notes += [f"{count} faces {what} were not cut out" for what, count in counts.items()]
    return f" ({'; '.join(notes)})" if notes else ""
