"""Faces of photos on disk, as JSON, as a table, as pictures and as crops."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES, AlignmentError, Face, PhotoError, align, read_photo
from faceline_core.stage.files import replaced_folder
from faceline_core.stage.progress import progress, say
from faceline_detect.annotations.checking import LEAST_SIDE
from faceline_detect.annotations.text import counted
from faceline_detect.detectors import Detector
from faceline_detect.drawing import draw_faces

_AT_A_TIME = 8
_SHOWN = 10  # lines about what is left out
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
    and `fault` where it does not decode or is too small, and so was not searched; `faces.csv`, a row a face or fault;
    `pictures/`, the photos with their faces marked; with `size` also `crops/<photo>_face<number>.jpg`, aligned.

    Args:
        places: photos, or folders that are searched with all below them.
        load: gives the detector, once it is known that there are photos.
        output: the folder; one that this wrote before is replaced.
        size: side of the crops in px; None cuts none.

    Returns:
        The folder.

    Raises:
        FacelineError: where there are no photos or none decodes, `output` holds something else, or the detector does
            not do; an earlier folder stays as it was.
    """
    _check(output)
    if size is not None:
        check_size(size)
    paths = list(dict.fromkeys(path for place in places for path in _photos(place)))
    if not paths:
        names = ", ".join(map(str, places))
        raise FacelineError(f"{names}: no photos there. Name a .jpg, .png, .webp, .bmp or .tif file, or their folder")
    detector = load()
    counts: Counter[str] = Counter()
    records: dict[str, Any] = {}
    with replaced_folder(output) as folder:
        chunks = [paths[start : start + _AT_A_TIME] for start in range(0, len(paths), _AT_A_TIME)]
        for chunk in progress(chunks, len(paths), "detect", "photos", count=len):
            photos: dict[Path, NDArray[np.uint8]] = {}
            for path in chunk:
                records[str(path)], photo = _read(path)
                if photo is not None:
                    photos[path] = photo
            for (path, photo), faces in zip(photos.items(), detector.detect(list(photos.values())), strict=True):
                records[str(path)]["faces"] = [_plain(face) for face in faces]
                _write_picture(folder / "pictures" / f"{_below(path)}.jpg", draw_faces(photo, faces))
                if size is not None:
                    _cut(folder / "crops", path, photo, faces, size, counts)
        if not any("width" in record for record in records.values()):
            _say_faults(records, "like these")
            what = f"none of {len(paths)} photos can" if len(paths) > 1 else f"{_printable(str(paths[0]))} cannot"
            raise FacelineError(f"{what} be read, and nothing was written to {output}. Name others")
        (folder / "faces.json").write_text(_json(records), encoding="utf-8")
        _write_table(folder / "faces.csv", records)
    _say_faults(records, str(output / "faces.csv"))
    faces = sum(len(record.get("faces", [])) for record in records.values())
    searched = sum("fault" not in record for record in records.values())
    done = f"{counted(faces, 'face')} in {counted(searched, 'photo')} -> {output}"
    say("detect", done + _notes(records, counts))
    return output


def check_size(size: int) -> None:
    """Raises FacelineError where crops cannot have this side."""
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise FacelineError(f"--size {size}: expected {_SIZES[0]} to {_SIZES[1]} px")


def _check(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise FacelineError(f"--output {output} is a file; expected a folder to write to. Give another")
    foreign = sorted({path.name for path in output.iterdir()} - _OURS) if output.is_dir() else []
    if foreign:
        raise FacelineError(
            f"--output {output} holds {foreign[0]}, which predict never wrote, and would be replaced. Give another"
        )


def _photos(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    elif place.is_file():
        yield place
    else:
        raise FacelineError(f"{place} is not there. Name a photo or a folder of photos")


def _read(path: Path) -> tuple[dict[str, Any], NDArray[np.uint8] | None]:
    """A photo's record as far as it is known before the search, and the photo; None where it is not to be searched."""
    try:
        photo = read_photo(path)
    except PhotoError as error:
        return {"fault": error.reason}, None
    height, width = photo.shape[:2]
    record: dict[str, Any] = {"width": width, "height": height, "faces": []}
    if min(height, width) < LEAST_SIDE:
        fault = f"is {width} x {height} px, and a side should have {LEAST_SIDE} or more"
        return record | {"fault": fault}, None
    return record, photo


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


def _json(records: Mapping[str, Any]) -> str:
    """The records, a line a face."""
    whole = []
    for path, record in records.items():
        if faces := record.get("faces"):
            lines = ",\n".join(f"    {json.dumps(face, allow_nan=False)}" for face in faces)
            size = f'"width": {record["width"]}, "height": {record["height"]}'
            text = f'{{{size}, "faces": [\n{lines}\n  ]}}'
        else:
            text = json.dumps(record)
        whole.append(f"  {json.dumps(path)}: {text}")
    return "{\n" + ",\n".join(whole) + "\n}\n"


def _printable(name: str) -> str:
    """The name of a file, which need not be UTF-8."""
    return name.encode(errors="backslashreplace").decode()


def _say_faults(records: Mapping[str, Any], rest: str) -> None:
    faults = {photo: record["fault"] for photo, record in records.items() if "fault" in record}
    for photo, fault in list(faults.items())[:_SHOWN]:
        say("detect", f"left out: {_printable(photo)}: {fault}")
    if len(faults) > _SHOWN:
        say("detect", f"and {len(faults) - _SHOWN} more: {rest}")


def _notes(records: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """What was not done, in brackets."""
    broken = sum("width" not in record for record in records.values())
    small = sum("width" in record and "fault" in record for record in records.values())
    notes = [f"{counted(broken, 'photo')} {'does' if broken == 1 else 'do'} not decode"] if broken else []
    notes += [f"{counted(small, 'photo')} {'is' if small == 1 else 'are'} too small"] if small else []
    for what, count in counts.items():
        notes.append(f"{counted(count, 'face')} {what} {'was' if count == 1 else 'were'} not cut out")
    return f" ({'; '.join(notes)})" if notes else ""
