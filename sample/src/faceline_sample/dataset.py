"""Draws the whole data set, one worker process a core."""

import csv
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from faceline_core.errors import FacelineError
from faceline_core.stage.cores import usable_cores
from faceline_core.stage.files import replaced_folder
from faceline_core.stage.progress import progress, say
from faceline_sample import OCCLUDED, OCCLUDERS
from faceline_sample.names import names

_COLUMNS = ["path", "identity", "x1", "y1", "x2", "y2"]
_COLUMNS += [
    f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth") for axis in "xy"
]
TRUTH_COLUMNS = (*_COLUMNS, "occluder", "face_height", "yaw")
"""The columns of recognition/truth.csv."""


@dataclass(frozen=True)
class _Job:
    kind: str  # person or scene
    index: int
    name: str


@dataclass(frozen=True)
class _Photos:
    """The photos of each person: how many, the fraction with an occluder, and which."""

    count: int
    occluded: float
    occluders: tuple[str, ...]


def draw_dataset(
    people: int,
    photos: int,
    scenes: int,
    seed: int,
    out: Path,
    processes: int | None = None,
    occluded: float = OCCLUDED,
    occluders: Sequence[str] = OCCLUDERS,
) -> None:
    """Draws people and scenes, and puts them in the place of `out` when all of them are there.

    Args:
        people, photos: identities, and photos of each; at least 1.
        scenes: pictures for detectors; 0 draws none.
        seed: the same seed, the same bytes, however many processes draw.
        out: the folder to write; an earlier sample in it is replaced.
        processes: workers; None takes one a core.
        occluded: fraction of the photos with an occluder, 0 to 1; scenes have theirs whatever it is.
        occluders: of faceline_core.occluders.KINDS, at least one; each is drawn as often as it stands there.

    Raises:
        FacelineError: where a number is out of range, an occluder is unknown, or `out` holds files that are not a
            sample.
    """
    for name, value, least in (("people", people, 1), ("photos", photos, 1), ("scenes", scenes, 0), ("seed", seed, 0)):
        if value < least:
            raise FacelineError(f"{name} is {value}; expected {least} or more. Mend --{name} or params.yaml")
    _check_occluders(occluded, occluders)
    identities = names(people)
    _refuse_foreign(out)
    each = _Photos(photos, occluded, tuple(occluders))
    start = time.monotonic()
    jobs = [_Job("person", i, name) for i, name in enumerate(identities)]
    jobs += [_Job("scene", i, f"scene_{i:05d}.jpg") for i in range(scenes)]
    with replaced_folder(out) as folder:
        for part in ("recognition/people", "recognition/masks", "detection/images"):
            (folder / part).mkdir(parents=True)
        rows, labels, wider = [], [], []
        for job, result in progress(
            _work(jobs, partial(_draw, folder, each, seed), processes), len(jobs), "sample", "people and scenes"
        ):
            if job.kind == "person":
                rows += result
            else:
                labels.append(result[0])
                wider.append(result[1])
        with (folder / "recognition/truth.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([TRUTH_COLUMNS, *rows])
        (folder / "detection/label.txt").write_text("".join(labels), encoding="utf-8")
        (folder / "detection/wider.txt").write_text("".join(wider), encoding="utf-8")
    seconds = time.monotonic() - start
    say("sample", f"{people} people x {photos} photos and {scenes} scenes in {seconds:.1f} s -> {out}")


def _check_occluders(occluded: float, occluders: Sequence[str]) -> None:
    from faceline_core.occluders import KINDS

    if not 0 <= occluded <= 1:
        raise FacelineError(f"occluded is {occluded}; expected 0 to 1. Mend --occluded or params.yaml")
    unknown = [kind for kind in occluders if kind not in KINDS]
    if unknown or not occluders:
        found = f"occluders holds {unknown[0]!r}" if unknown else "occluders is empty"
        raise FacelineError(f"{found}; expected some of {', '.join(KINDS)}. Mend --occluders or params.yaml")


def _refuse_foreign(out: Path) -> None:
    """An existing folder is replaced as a whole: only one that an earlier run made, or an empty one, may be."""
    if out.exists() and not out.is_dir():
        raise FacelineError(f"{out} is a file; expected a folder to write to. Give another one with --out")
    foreign = (
        sorted({p.name for p in out.iterdir()} - {"recognition", "detection", ".gitignore"}) if out.exists() else []
    )
    if foreign:
        raise FacelineError(f"{out} holds {foreign[0]}, which no sample has, and would be replaced. Give another --out")


def _work(jobs: list[_Job], draw: "partial[list]", processes: int | None) -> Iterator[tuple[_Job, list]]:
    """The jobs and their results, in order."""
    processes = min(processes or usable_cores(), len(jobs))
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_single_thread)
    try:
        yield from zip(jobs, pool.map(draw, jobs), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _single_thread() -> None:
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers


def _draw(folder: Path, photos: _Photos, seed: int, job: _Job) -> list:
    return _draw_person(folder, photos, seed, job) if job.kind == "person" else _draw_scene(folder, seed, job)


def _draw_person(folder: Path, photos: _Photos, seed: int, job: _Job) -> list:
    from faceline_sample.photo import draw_photo, encode, person

    who, rows = person(seed, job.index), []
    for part in ("people", "masks"):
        (folder / "recognition" / part / job.name).mkdir()
    for index in range(photos.count):
        photo = draw_photo(who, seed, job.index, index, photos.occluded, photos.occluders)
        jpeg, png = encode(photo)
        stem = f"{job.name}/{job.name}_{index:04d}"
        (folder / f"recognition/people/{stem}.jpg").write_bytes(jpeg)
        (folder / f"recognition/masks/{stem}.png").write_bytes(png)
        numbers = [f"{v:.2f}" for v in (*photo.box, *photo.landmarks.ravel())]
        height = f"{photo.box[3] - photo.box[1]:.2f}"
        rows.append([f"people/{stem}.jpg", job.name, *numbers, photo.occluder, height, f"{photo.yaw:.1f}"])
    return rows


def _draw_scene(folder: Path, seed: int, job: _Job) -> list:
    import cv2

    from faceline_sample.labels import retinaface_text, wider_text
    from faceline_sample.scene import draw_scene

    scene = draw_scene(seed, job.index)
    picture = cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, scene.quality])[1]
    (folder / "detection/images" / job.name).write_bytes(jpeg.tobytes())
    return [retinaface_text(job.name, scene), wider_text(job.name, scene)]
