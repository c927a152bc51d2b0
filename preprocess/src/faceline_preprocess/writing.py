"""Faces, masks and the manifest into the folder that becomes data/processed."""

import csv
import errno
import os
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceline_preprocess.naming import copy_name, face_names
from faceline_preprocess.outcome import Outcome
from faceline_preprocess.resuming import Notebook

_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
COLUMNS = (
    *("path", "sha256", "identity", "split", "status", "reason", "file"),
    *("box_x1", "box_y1", "box_x2", "box_y2"),
    *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),
    *("score", "face_height", "sharpness", "exposure", "asymmetry", "faces_in_photo", "near_duplicate_of"),
)
"""Of manifest.csv; docs/preprocess.md says what each holds."""


def write_faces(
    folder: Path, outcomes: Sequence[Outcome], notebook: Notebook, levels: Sequence[float], every_face: bool
) -> dict[Outcome, str]:
    """`<split>/<identity>/<photo>.jpg` with its blurred copies, and `masks/<split>/<identity>/<photo>.png`.

    Returns:
        The unblurred file of each outcome that is used, relative to `folder`.
    """
    by_person: dict[str, list[Path]] = defaultdict(list)
    for outcome in outcomes:
        by_person[outcome.photo.identity].append(outcome.photo.path)
    names = {path: name for paths in by_person.values() for path, name in face_names(set(paths)).items()}
    files = {}
    for outcome in outcomes:
        if outcome.status != "used":
            continue
        photo, place = outcome.photo, Path(outcome.split) / outcome.photo.identity
        which = outcome.number if every_face else None
        for level in levels:
            file = place / f"{copy_name(names[photo.path], which, level)}.jpg"
            _copy(notebook.picture(photo.key, f"{outcome.number}_{level}.jpg"), folder / file)
            if photo.mask is not None:
                mask = folder / "masks" / file.with_suffix(".png")
                _copy(notebook.picture(photo.key, f"{outcome.number}.png"), mask)
            if not level:
                files[outcome] = file.as_posix()
    return files


def write_manifest(
    path: Path, outcomes: Sequence[Outcome], rows: Mapping[str, dict[str, Any]], files: Mapping[Outcome, str]
) -> None:
    """A line a photo (where every face is kept, a line a face) in the order of the outcomes."""
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
