"""`faceline-preprocess bin`: photos and a list of pairs to a verification set."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from faceline_core.data.decoding import decoded
from faceline_core.data.verification_set import write_verification_set
from faceline_core.errors import FacelineError
from faceline_core.parameters import StageParameters
from faceline_core.stage.progress import progress, say
from faceline_preprocess.finding import Settings, Task
from faceline_preprocess.machine import count_workers, find_device
from faceline_preprocess.pair_lists import read_pairs
from faceline_preprocess.workers import find_faces

STAGE = "preprocess"
_FOLDS = 10
_NAMED = 8
"""More photos than this are counted in an error, not named."""


def make_bin(
    folder: Path, pairs: Path, output: Path, parameters: StageParameters | None, skip_unusable: bool = False
) -> int:
    """Writes a verification set, its pairs in the order of their list: folds are cut from it as it stands.

    Args:
        folder: the photos.
        pairs: the list, as `read_pairs` takes it.
        output: the `.bin`.
        parameters: what faceline_preprocess.KEYS names: of each photo the face that `central_largest` picks is found
            and aligned to `img_size`, and no limit turns it away. None takes the photos as aligned faces, in their own
            bytes.
        skip_unusable: leave out pairs with a photo that gives no face, instead of raising.

    Returns:
        How many pairs were written.

    Raises:
        FacelineError: where the list or a photo is missing, a photo gives no face, or `output` does not do.
    """
    if output.is_dir() or output.suffix != ".bin":
        raise FacelineError(f"{output}: a file to write was expected, named as in lfw.bin")
    listed = read_pairs(pairs, folder)
    photos = list(dict.fromkeys(photo for pair in listed for photo in (pair.first, pair.second)))
    faces, faults = _as_they_are(photos) if parameters is None else _found(photos, parameters)
    kept = [pair for pair in listed if pair.first in faces and pair.second in faces]
    left_out = len(listed) - len(kept)
    if not kept:
        raise FacelineError(f"{_described(faults)}. No pair is left")
    if faults and not skip_unusable:
        raise FacelineError(
            f"{_described(faults)}. Replace them, or leave their {left_out} pairs out with --skip-unusable"
        )
    if faults:
        say(STAGE, f"note: {_described(faults)}; {left_out} of {len(listed)} pairs are left out")
    pictures = (faces[photo] for pair in kept for photo in (pair.first, pair.second))
    same = [pair.same for pair in kept]
    write_verification_set(output, pictures, same)
    if any(fold.all() or not fold.any() for fold in np.array_split(np.array(same), min(_FOLDS, len(same)))):
        say(
            STAGE,
            f"note: a fold of {_FOLDS} holds pairs of one kind only, which 10-fold accuracy takes ill. Mix the list",
        )
    say(STAGE, f"{len(kept)} pairs, {sum(same)} of one person, of {len(faces)} photos -> {output}")
    return len(kept)


def _found(photos: Sequence[Path], parameters: StageParameters) -> tuple[dict[Path, bytes], dict[Path, str]]:
    """The aligned face of each photo as JPEG, and why others have none."""
    device = find_device()
    settings = Settings(parameters.detector, parameters.img_size, "central_largest", (0.0,), device)
    tasks = [Task(str(number), photo, None) for number, photo in enumerate(photos)]
    workers = count_workers(parameters.preprocess.num_workers, device)
    say(STAGE, f"{len(photos)} photos, faces of {parameters.img_size} px; {workers or 1} x {device}")
    faces: dict[Path, bytes] = {}
    faults: dict[Path, str] = {}
    with closing(find_faces(tasks, settings, workers)) as finding:
        for found in progress(finding, len(photos), STAGE, "photos"):
            photo, row = photos[int(found.row["key"])], found.row
            chosen = row.get("faces") or [{"fault": row.get("fault", "no face")}]
            if "fault" in chosen[0]:
                faults[photo] = chosen[0]["fault"]
            else:
                faces[photo] = found.pictures["1_0.0.jpg"]
    return faces, faults


def _as_they_are(photos: Sequence[Path]) -> tuple[dict[Path, bytes], dict[Path, str]]:
    faces: dict[Path, bytes] = {}
    faults: dict[Path, str] = {}
    for photo in progress(photos, len(photos), STAGE, "faces"):
        content = photo.read_bytes()
        face = decoded(content, cv2.IMREAD_COLOR)
        if face is None:
            faults[photo] = "does not decode"
        elif face.shape[0] != face.shape[1]:
            faults[photo] = f"is {face.shape[1]} x {face.shape[0]} px, and no square"
        else:
            faces[photo] = content
    return faces, faults


def _described(faults: Mapping[Path, str]) -> str:
    named = ", ".join(
        f"{photo} ({why.removeprefix('does not decode: ')})" for photo, why in sorted(faults.items())[:_NAMED]
    )
    more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    return f"{len(faults)} photos give no face: {named}{more}"
