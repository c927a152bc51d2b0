"""Faces, masks and the manifest into the folder that becomes data/processed."""

import csv
import errno
import os
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from faceline_core.data.packing import PackedFace, pack_split
from faceline_preprocess.naming import copy_name, face_names
from faceline_preprocess.outcome import Outcome
from faceline_preprocess.resuming import Notebook
from faceline_preprocess.splitting import KNOWN, SPLITS

_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
COLUMNS = (
    *("path", "sha256", "identity", "split", "status", "reason", "file"),
    *("box_x1", "box_y1", "box_x2", "box_y2"),
    *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),
    *("score", "face_height", "sharpness", "exposure", "asymmetry", "faces_in_photo", "near_duplicate_of"),
)
"""Of manifest.csv; docs/preprocess.md says what each holds."""


@dataclass(frozen=True)
class FaceFile:
    """A face to write.

    Attributes:
        path: `<split>/<person>/<photo>.jpg`, which a RecordIO file keeps as a name.
        outcome: whose face it is.
        picture: the notebook's file of it.
        mask: the notebook's file of its mask; None where it has none.
    """

    path: PurePosixPath
    outcome: Outcome
    picture: Path
    mask: Path | None


def name_faces(
    outcomes: Sequence[Outcome], notebook: Notebook, levels: Sequence[float], every_face: bool
) -> list[FaceFile]:
    """The faces of those outcomes that are used, each with its blurred copies, whose mask is that of their face."""
    by_person: dict[str, list[Path]] = defaultdict(list)
    for outcome in outcomes:
        by_person[outcome.photo.identity].append(outcome.photo.path)
    names = {path: name for paths in by_person.values() for path, name in face_names(set(paths)).items()}
    faces = []
    for outcome in outcomes:
        if outcome.status != "used":
            continue
        photo, place = outcome.photo, PurePosixPath(outcome.split) / outcome.photo.identity
        which = outcome.number if every_face else None
        mask = None if photo.mask is None else notebook.picture(photo.key, f"{outcome.number}.png")
        for level in levels:
            path = place / f"{copy_name(names[photo.path], which, level)}.jpg"
            faces.append(FaceFile(path, outcome, notebook.picture(photo.key, f"{outcome.number}_{level}.jpg"), mask))
    return faces


def write_folders(folder: Path, faces: Sequence[FaceFile]) -> None:
    """`<split>/<person>/<photo>.jpg` and `masks/<split>/<person>/<photo>.png`."""
    for face in faces:
        _copy(face.picture, folder / face.path)
        if face.mask is not None:
            _copy(face.mask, folder / "masks" / face.path.with_suffix(".png"))


def write_record_files(folder: Path, faces: Sequence[FaceFile], img_size: int) -> None:
    """`<split>.rec` with what goes with it. Train, val and test number the known people alike."""
    known = sorted({face.path.parts[1] for face in faces if face.outcome.split in KNOWN})
    for split in SPLITS:
        its = sorted((face for face in faces if face.outcome.split == split), key=lambda face: face.path.parts)
        if not its:
            continue
        people = known if split in KNOWN else sorted({face.path.parts[1] for face in its})
        labels = {person: label for label, person in enumerate(people)}
        packed = [PackedFace(face.path.relative_to(split).as_posix(), face.picture, face.mask) for face in its]
        pack_split(folder, split, packed, labels, img_size)


def write_manifest(
    path: Path, outcomes: Sequence[Outcome], rows: Mapping[str, dict[str, Any]], faces: Sequence[FaceFile]
) -> None:
    """A line a photo (where every face is kept, a line a face) in the order of the outcomes."""
    files: dict[Outcome, str] = {}
    for face in faces:
        files.setdefault(face.outcome, face.path.as_posix())  # the first is the sharp one
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for outcome in outcomes:
            table.writerow(
                {
                    "path": outcome.photo.path.as_posix(),
                    "sha256": outcome.photo.sha256,
                    "identity": outcome.photo.identity,
                    "split": outcome.split,
                    "status": outcome.status,
                    "reason": outcome.reason,
                    "file": files.get(outcome, ""),
                    "near_duplicate_of": outcome.like.path.as_posix() if outcome.like else "",
                    "faces_in_photo": rows[outcome.photo.key].get("seen", ""),
                }
                | ({} if outcome.face is None else _measured(outcome.face))
            )


def _measured(face: Mapping[str, Any]) -> dict[str, str]:
    cells = {f"box_{edge}": f"{value:.2f}" for edge, value in zip(("x1", "y1", "x2", "y2"), face["box"], strict=True)}
    for point, place in zip(_POINTS, face.get("landmarks", ()), strict=False):
        cells |= {f"{point}_{axis}": f"{value:.2f}" for axis, value in zip("xy", place, strict=True)}
    cells |= {"score": f"{face['score']:.6f}", "face_height": f"{face['box'][3] - face['box'][1]:.2f}"}
    digits = {"sharpness": 2, "exposure": 2, "asymmetry": 4}
    return cells | {name: f"{face[name]:.{places}f}" for name, places in digits.items() if name in face}


def _copy(source: Path, target: Path) -> None:
    """A second name for the same bytes where the file system has such, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK, errno.EACCES, errno.ENOSYS):
            raise
        shutil.copyfile(source, target)
