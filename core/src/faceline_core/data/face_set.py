"""Opens the faces to train and to validate on, as the section `dataset` of params.yaml says."""

from collections.abc import Sequence
from glob import escape
from pathlib import Path

import numpy as np

from faceline_core.data.folder import open_folder
from faceline_core.data.holdout import held_out
from faceline_core.data.listed import open_csv
from faceline_core.data.packing import names_file
from faceline_core.data.part import Part, of_people, sources_of
from faceline_core.data.plugin import dataset_names, open_plugin
from faceline_core.data.protocol import FaceSet
from faceline_core.data.recorded import open_recordio
from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.training import Dataset

__all__ = ["FaceSet", "check_people", "open_faces", "open_held_back"]

_WHERE = {"folder": "", "recordio": ".rec", "csv": ".csv"}
"""The formats of our own, and how a split's folder or file of each is called after its name."""


def open_faces(settings: Dataset, img_size: int, classes: list[str] | None, seed: int) -> tuple[FaceSet, FaceSet]:
    """The faces to train on and those to validate on.

    Both have the same classes: `classes`, or where that is None the people found to train on who have as many faces as
    `min_images` asks for. People who have no faces to validate on keep their place there; faces of others are left out.

    Args:
        settings: the section `dataset`: format, path, holdout, min_images.
        img_size: side of the faces in px.
        classes: train on these people only, in this order; None takes all.
        seed: of the choice which faces are held out, where there are none to validate on.

    Raises:
        FacelineError: where there are no faces, fewer than two people, someone of `classes` has none or too few, the
            first face does not do, or nothing says what to validate on.
    """
    if settings.format not in _WHERE and settings.format not in dataset_names():
        known = [*_WHERE, *dataset_names()]
        raise FacelineError(f"dataset.format: {settings.format} is unknown; {nearest(settings.format, known)}")
    train = _open(settings, "train", img_size, classes)
    if train is None:
        raise FacelineError(
            f"{_where(settings, 'train')} is not there. dataset.format: {settings.format} looks for it in dataset.path"
        )
    train = _of_people_with_enough(train, settings, listed=classes is not None)
    check_people(train, settings, listed=classes is not None)
    train.face(0)  # a wrong img_size shows now
    val = _open(settings, "val", img_size, train.classes)
    if val is None:
        train, val = _held_out(train, settings, seed)
    elif settings.holdout:
        raise FacelineError(
            f"dataset.holdout: {settings.holdout:g}, but there is {_where(settings, 'val')} to validate on. "
            "Set dataset.holdout to 0, or take that away"
        )
    elif len(val) == 0:
        raise FacelineError(
            f"{_where(settings, 'val')} has no faces of the {len(train.classes)} people to train on. Add some, or take "
            "it away and set dataset.holdout to 0.1"
        )
    val.face(0)
    return train, val


def open_held_back(settings: Dataset, img_size: int) -> FaceSet | None:
    """The faces of people held back for choosing, `unseen_val`; None where there are none."""
    if settings.format == "folder" and not (Path(settings.path) / "unseen_val").is_dir():
        return None
    return _open(settings, "unseen_val", img_size, None)


def check_people(train: FaceSet, settings: Dataset, listed: bool) -> None:
    """Raises where there are not two people, or some of them have no faces to train on.

    Args:
        train: the faces to train on.
        settings: where they come from.
        listed: whether the parameter `classes` named the people.
    """
    where = _where(settings, "train")
    present = set(train.labels)
    absent = [person for label, person in enumerate(train.classes) if label not in present]
    preprocessed = _by_preprocess(settings)
    if absent:
        held_back = [person for person in absent if _is_held_back(person, Path(settings.path))]
        why = f" ({_some(held_back)}: held back as unseen)" if held_back else ""
        whose = ", whom `classes` names. Take them from the list" if listed else ". Take them out"
        again = " and run preprocess again" if preprocessed else " of theirs"
        raise FacelineError(f"{where} has no faces of {_some(absent)}{why}{whose}, or add photos{again}")
    if len(train.classes) < 2:
        cure = ", or lower preprocess.unseen_identities, and run preprocess again" if preprocessed else ""
        raise FacelineError(f"{where} has one person, {train.classes[0]}: a classifier needs two. Add people{cure}")


def _open(settings: Dataset, split: str, img_size: int, people: list[str] | None) -> FaceSet | None:
    path = Path(settings.path)
    if settings.format == "folder":
        return open_folder(path, split, img_size, people)
    faces: FaceSet | None
    if settings.format == "recordio":
        faces = open_recordio(path, split, img_size)
    elif settings.format == "csv":
        faces = open_csv(path, split, img_size)
    else:
        faces = open_plugin(settings.format, path, split, img_size)
    return faces if faces is None or people is None else of_people(faces, people)


def _of_people_with_enough(train: FaceSet, settings: Dataset, listed: bool) -> FaceSet:
    """The faces of people who have as many as dataset.min_images."""
    faces = np.bincount(np.asarray(train.labels, np.int64), minlength=len(train.classes))
    few = [
        (person, int(count)) for person, count in zip(train.classes, faces, strict=True) if count < settings.min_images
    ]
    if settings.min_images == 1 or not few or len(train.classes) < 2:
        return train
    asked = f"dataset.min_images: {settings.min_images}, but"
    if listed:
        person, count = max(few, key=lambda one: one[1])
        if count:  # of whom there are none, the next check tells
            raise FacelineError(
                f"{asked} {_where(settings, 'train')} has {count} of {person}, whom `classes` names. Lower it, take "
                "them from the list, or add photos"
            )
        return train
    enough = len(train.classes) - len(few)
    if enough < 2:
        raise FacelineError(
            f"{asked} in {_where(settings, 'train')} {enough} of {len(train.classes)} people have so many faces, and "
            f"it takes two. Set it to {max(1, np.sort(faces)[-2])} or less, or add photos"
        )
    left_out = {person for person, _ in few}
    return of_people(train, [person for person in train.classes if person not in left_out])


def _held_out(train: FaceSet, settings: Dataset, seed: int) -> tuple[FaceSet, FaceSet]:
    """The faces without, and those with, what is held out of them."""
    if not settings.holdout:
        more = (
            " run preprocess with preprocess.val_ratio above 0 and three usable photos a person or more"
            if _by_preprocess(settings)
            else " add it"
        )
        raise FacelineError(
            f"{_where(settings, 'val')}: there is nothing to validate on. Set dataset.holdout to 0.1, which takes a "
            f"tenth of each person's training faces, or{more}"
        )
    drawn = held_out(train.classes, train.labels, sources_of(train), settings.holdout, seed)
    if not drawn:
        raise FacelineError(
            f"dataset.holdout: {settings.holdout:g}, but nobody in {_where(settings, 'train')} has two photos, one of "
            "which could be held out. Add photos"
        )
    rest = set(range(len(train))).difference(drawn)
    return Part(train, sorted(rest)), Part(train, drawn)


def _by_preprocess(settings: Dataset) -> bool:
    """Whether the faces are such as preprocess writes; of RecordIO files it alone writes names."""
    return settings.format == "folder" or (
        settings.format == "recordio" and names_file(Path(settings.path), "train").is_file()
    )


def _is_held_back(person: str, path: Path) -> bool:
    if any(path.glob(f"unseen*/{escape(person)}")):
        return True
    names = (names_file(path, split) for split in ("unseen_val", "unseen"))
    return any(f"\n{person}/" in "\n" + file.read_text(encoding="utf-8") for file in names if file.is_file())


def _where(settings: Dataset, split: str) -> str:
    """A split's folder or file, for messages."""
    if settings.format not in _WHERE:
        return f"{settings.path} ({settings.format}, {split})"
    return f"{Path(settings.path) / split}{_WHERE[settings.format]}"


def _some(people: Sequence[str]) -> str:
    return f"{', '.join(people[:5])}{' ...' if len(people) > 5 else ''}"
