"""The stage, top to bottom: list, find, judge, split, write."""

import shutil
from pathlib import Path

import faceline_core.faces
import faceline_preprocess
from faceline_core.errors import FacelineError
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import code_hash, replaced_folder, scratch_folder
from faceline_core.stage.progress import progress, say
from faceline_detect.detectors.identity import identity
from faceline_preprocess.finding import Settings, Task
from faceline_preprocess.judging import limits_of
from faceline_preprocess.listing import Listing, describe_skipped, list_photos
from faceline_preprocess.machine import count_workers, find_device
from faceline_preprocess.outcome import Outcome, decide
from faceline_preprocess.resuming import Notebook
from faceline_preprocess.table import table
from faceline_preprocess.workers import find_faces
from faceline_preprocess.writing import name_faces, write_folders, write_manifest, write_record_files

DATA = Path("data")
PROCESSED = DATA / "processed"
STAGE = "preprocess"


def preprocess(parameters: StageParameters) -> Path:
    """Photos of `<data>/recognition/people` to faces in data/processed, which takes its place when all is written.

    Returns:
        The folder written.

    Raises:
        FacelineError: where there are no photos, the detector is not there, or nobody has enough usable photos.
    """
    data, limits = Path(parameters.data), limits_of(parameters.preprocess, parameters.detector)
    listing = list_photos(data)
    if not data.resolve().is_relative_to(Path.cwd().resolve()):
        say(STAGE, f"note: {data} lies outside this folder: containers and `dvc exp run --temp` will not see it")
    if listing.skipped:
        say(STAGE, f"note: skipped what is no photo of a person: {describe_skipped(listing)}")

    levels = sorted({0.0, *limits.blur_levels})
    device = find_device()
    settings = Settings(parameters.detector, parameters.img_size, limits.pick, tuple(levels), device)
    scratch = scratch_folder(DATA, STAGE, [vars(settings), identity(settings.detector), _code()])
    notebook = Notebook(scratch)
    tasks = {photo.key: Task(photo.key, photo.path, photo.mask) for photo in listing.photos}
    rows = notebook.read(tasks)
    left = [task for key, task in tasks.items() if key not in rows]
    workers = count_workers(limits.num_workers, device)
    done = f", {len(rows)} done before the stop" if rows else ""
    say(STAGE, f"{len(listing.photos)} photos of {len(listing.people)} people{done}; {workers or 1} x {device}")
    for found in progress(find_faces(left, settings, workers), len(left), STAGE, "photos"):
        notebook.add(found)
        rows[found.row["key"]] = found.row

    outcomes = decide(listing, rows, limits, parameters.seed)
    for line in table(listing, outcomes, limits.min_photos):
        say(STAGE, line)
    _check(listing, outcomes, limits.min_photos, limits.unseen_identities)
    with replaced_folder(PROCESSED) as folder:
        faces = name_faces(outcomes, notebook, levels, limits.pick == "all")
        if limits.format == "recordio":
            write_record_files(folder, faces, parameters.img_size)
        else:
            write_folders(folder, faces)
        write_manifest(folder / "manifest.csv", outcomes, rows, faces)
    shutil.rmtree(scratch)
    if limits.format == "recordio":
        say(STAGE, f"{PROCESSED}/<split>.rec: train on them with dataset.format: recordio")
    say(STAGE, f"each photo and its reason -> {PROCESSED / 'manifest.csv'}")
    return PROCESSED


def _check(listing: Listing, outcomes: list[Outcome], min_photos: int, unseen_identities: float) -> None:
    if not any(outcome.split for outcome in outcomes):
        raise FacelineError(
            f"{listing.photos[0].path.parent.parent}: nobody has {min_photos} usable photos or more. Add photos, or "
            "turn the limits in params.yaml down: the table above says why photos were turned away"
        )
    splits = {outcome.split for outcome in outcomes}
    if unseen_identities and "unseen" not in splits:
        say(
            STAGE, "note: fewer than 6 people have enough photos: nobody is held back, and unknown people go unmeasured"
        )
    for split in ("val", "test"):
        if "train" in splits and split not in splits:
            cure = "three usable photos of a person give one" if split == "val" else "two usable photos give one"
            say(STAGE, f"note: {split} is empty: {cure}, unless preprocess.{split}_ratio is 0")


def _code() -> str:
    modules = (faceline_core.faces, faceline_preprocess)
    return code_hash(*(Path(str(module.__file__)).parent for module in modules))
