"""One split of the processed faces: a folder per person."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from faceline_core.errors import FacelineError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_COPY = re.compile(r"(_face\d+)?(_blur\d+(\.\d+)?)?$")


def without_copy_mark(stem: str) -> str:
    """The name of the photo that a face was cut from: `a` of `a_face1`, `a_blur0.5` and `a_face1_blur0.5`."""
    return _COPY.sub("", stem)


@dataclass(frozen=True)
class Split:
    """The faces of a split, sorted by person and file name.

    `paths[i]` shows the person `classes[labels[i]]`.
    """

    folder: Path
    classes: list[str]
    paths: list[Path]
    labels: list[int]

    @property
    def sources(self) -> list[str]:
        """For each face the photo it was cut from: blurred copies, and several faces of a photo, share theirs."""
        return [f"{path.parent.name}/{without_copy_mark(path.stem)}" for path in self.paths]

    @property
    def masks(self) -> Path:
        """The folder of the masks, which a set without any does not have: masks/<split> beside the splits."""
        return self.folder.parent / "masks" / self.folder.name

    def mask_path(self, index: int) -> Path:
        """Where the mask of a face would lie."""
        path = self.paths[index]
        return self.masks / path.parent.name / f"{path.stem}.png"

    def sha256(self) -> str:
        """Hex SHA-256 over names and bytes of all files."""
        digest = hashlib.sha256()
        for path in self.paths:
            digest.update(f"{path.relative_to(self.folder)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def read_split(processed: Path, name: str, classes: list[str] | None = None) -> Split:
    """Lists the faces of one split.

    Args:
        processed: the folder that preprocess wrote.
        name: train, val, test, unseen_val or unseen.
        classes: take these people only, in this order; people of the list who have no folder here keep their place.
            None takes those found, sorted.

    Raises:
        FacelineError: where the folder is missing, or the split holds no face.
    """
    folder = processed / name
    if not processed.is_dir():
        raise FacelineError(f"{processed} is not there. Run the preprocess stage first: dvc repro preprocess")
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    people = found if classes is None else classes
    paths: list[Path] = []
    labels: list[int] = []
    for label, person in enumerate(people):
        person_folder = folder / person
        files = sorted(person_folder.iterdir()) if person_folder.is_dir() else []
        faces = [file for file in files if file.suffix.lower() in SUFFIXES]
        paths += faces
        labels += [label] * len(faces)
    if not paths and (processed / f"{name}.rec").is_file():
        raise FacelineError(
            f"{processed} holds {name}.rec, where a folder {name} was expected. To train on it set dataset.format: "
            "recordio, or set preprocess.format: folder and run preprocess again"
        )
    if not paths:
        of_whom = "" if classes is None else f" of the {len(classes)} people asked for"
        raise FacelineError(
            f"{folder} holds no faces{of_whom}. Run the preprocess stage again: dvc repro preprocess{_cure(name)}"
        )
    return Split(folder, people, paths, labels)


def _cure(name: str) -> str:
    return {
        "val": ", with three usable photos a person or more, and preprocess.val_ratio above 0",
        "test": ", with more photos a person or a larger preprocess.test_ratio",
        "unseen": ", with more people or a larger preprocess.unseen_identities",
        "unseen_val": ", with more people or a larger preprocess.unseen_identities",
    }.get(name, ", and read its table: which photos were turned away, and why")
