"""The labelled scenes of a run: to train with, to choose the best epoch with, to measure on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from typing import NamedTuple

from faceline_core.errors import FacelineError
from faceline_core.faces import PhotoError, check_photo
from faceline_core.parameters.detection import Detect
from faceline_core.stage.progress import progress, say
from faceline_detect.annotations import Annotation, Annotations, read_annotations
from faceline_detect.annotations.text import counted
from faceline_detect.splitting import file_identities, split

STAGE = "detect"
_SHOWN = 10  # lines about what is left out


class Part(NamedTuple):
    """Some of the pictures of a label file."""

    pictures: list[Annotation]
    folder: Path
    """They lie below it."""

    @property
    def paths(self) -> list[Path]:
        return [self.folder / picture.path for picture in self.pictures]

    @property
    def with_landmarks(self) -> bool:
        """Whether any face to learn has all five."""
        return any((picture.with_landmarks & ~picture.ignore).any() for picture in self.pictures)


@dataclass(frozen=True)
class Scenes:
    """Three sets without a picture in common, nor copies of one."""

    train: Part
    val: Part
    test: Part


def open_scenes(settings: Detect, seed: int) -> Scenes:
    """Reads the labels, and holds back what is to choose and to measure with, where it has no labels of its own.

    Raises:
        FacelineError: where labels or pictures are missing or wrong, or too few to share out.
    """
    own = _read(settings.scenes, settings)
    val = None if settings.val_scenes is None else _read(settings.val_scenes, settings)
    test = None if settings.test_scenes is None else _read(settings.test_scenes, settings)
    ratios = (0.0 if val else settings.val_ratio, 0.0 if test else settings.test_ratio)
    parts = split(own.pictures, *ratios, seed, own.folder)
    scenes = Scenes(
        Part(parts[0], own.folder),
        Part(val.pictures, val.folder) if val else Part(parts[1], own.folder),
        Part(test.pictures, test.folder) if test else Part(parts[2], own.folder),
    )
    scenes = _apart(scenes, settings)
    for name, part in (("scenes", scenes.train), ("val_scenes", scenes.val), ("test_scenes", scenes.test)):
        if all(picture.ignore.all() for picture in part.pictures):
            named = getattr(settings, name) and f"{settings.data}/{getattr(settings, name)}"
            raise FacelineError(
                f"detect.{name}: {named or 'what is held back'} is left without a face to find. Give more pictures, or "
                "take copies out of the other sets"
            )
    faces = sum(len(picture.boxes) for picture in scenes.train.pictures)
    say(
        STAGE,
        f"{counted(len(scenes.train.pictures), 'scene')} with {counted(faces, 'face')} to train with, "
        f"{len(scenes.val.pictures)} to choose with, {len(scenes.test.pictures)} to measure on",
    )
    return scenes


def sha256_of_part(part: Part) -> str:
    """Hex SHA-256 over labels and pictures."""
    digest = hashlib.sha256()
    for picture, path in zip(part.pictures, part.paths, strict=True):
        for piece in (picture.path.encode(), picture.boxes, picture.landmarks, picture.ignore):
            digest.update(piece if isinstance(piece, bytes) else piece.tobytes())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _read(name: str, settings: Detect) -> Annotations:
    place = Path(settings.data, name)
    if not place.exists():
        raise FacelineError(
            f"detect: {place} is not there. Draw scenes (dvc repro sample), or set detect.data and detect.scenes"
        )
    labels = read_annotations(place, skip_bad=settings.skip_bad)
    whole, broken = _decodable(labels, settings.skip_bad)
    left_out = (*labels.left_out, *broken)
    for line in left_out[:_SHOWN]:
        say(STAGE, f"note: {line}")
    if len(left_out) > _SHOWN:
        say(STAGE, f"note: {len(left_out) - _SHOWN} more like these")
    return replace(labels, pictures=whole, left_out=left_out)


def _decodable(labels: Annotations, skip_bad: bool) -> tuple[list[Annotation], list[str]]:
    """The pictures that are whole, and a line for each other: not after hours of training that one turns out broken."""
    whole, broken = [], []
    for picture in progress(labels.pictures, len(labels.pictures), STAGE, "pictures looked through"):
        try:
            check_photo(labels.folder / picture.path)
        except PhotoError as error:
            if not skip_bad:
                raise FacelineError(f"{error}. Mend it, or set detect.skip_bad: true") from None
            broken.append(f"{error}: the picture is left out")
        else:
            whole.append(picture)
    return whole, broken


def _apart(scenes: Scenes, settings: Detect) -> Scenes:
    """Three sets that have no picture in common, by its path or as a copy.

    Data sets hold copies: with `skip_bad` a copy of a picture to measure or to choose with is left out of what comes
    before. The same file in two sets is a mistake of whoever named them.

    Raises:
        FacelineError: where label files have a picture in common.
    """
    if settings.val_scenes is None and settings.test_scenes is None:
        return scenes  # split keeps copies together
    identities = file_identities(chain(scenes.train.paths, scenes.val.paths, scenes.test.paths))
    parts = {"scenes": scenes.train, "val_scenes": scenes.val, "test_scenes": scenes.test}
    uses = dict(zip(parts, ("that are trained on", "to choose the best epoch with", "to measure on"), strict=True))
    for one, other in combinations(parts, 2):
        if settings.skip_bad:
            parts[one] = _without_copies(parts[one], parts[other], identities, uses[other])
        first, second = (other, one) if getattr(settings, other) is None else (one, other)
        known = {identities[path]: path for path in reversed(parts[first].paths)}
        shared = [path for path in parts[second].paths if identities[path] in known]
        if shared:
            more = f"; {len(shared) - 1} more are" if len(shared) > 1 else ""
            raise FacelineError(
                f"detect.{second}: {shared[0]} is among the scenes {uses[first]} (as {known[identities[shared[0]]]})"
                f"{more}. Take it out of one of the two"
            )
    return Scenes(*parts.values())


def _without_copies(part: Part, later: Part, identities: Mapping[Path, object], use: str) -> Part:
    known = {identities[path]: path for path in reversed(later.paths)}
    same = {path.resolve() for path in later.paths}
    copies = {path for path in part.paths if identities[path] in known and path.resolve() not in same}
    if copies:
        example = next(path for path in part.paths if path in copies)
        others = f", and {len(copies) - 1} more" if len(copies) > 1 else ""
        say(
            STAGE,
            f"note: {example}{others}: left out, a copy of a picture {use} ({known[identities[example]]})",
        )
    kept = [picture for picture, path in zip(part.pictures, part.paths, strict=True) if path not in copies]
    return part._replace(pictures=kept)
