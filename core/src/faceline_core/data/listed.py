"""`dataset.format: csv`: a table of files and whom they show."""

import csv
import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.faces import read_face
from faceline_core.data.split import without_copy_mark
from faceline_core.errors import FacelineError

_COLUMNS = ("path", "label")


class ListedFaces:
    """Faces that are files of their own; `people[i]` is the person that `paths[i]` shows.

    Args:
        table: the CSV, whose bytes are part of the hash.
        paths: the files.
        people: names, one a file; the classes are sorted.
        img_size: side in px that the faces must have.
    """

    def __init__(self, table: Path, paths: list[str], people: list[str], img_size: int):
        self.table, self.paths, self.img_size = table, paths, img_size
        self.classes = sorted(set(people))
        label_of = {person: label for label, person in enumerate(self.classes)}
        self.labels = [label_of[person] for person in people]

    @property
    def sources(self) -> Sequence[str]:
        parts = (os.path.split(path) for path in self.paths)
        return [f"{folder}/{without_copy_mark(Path(name).stem)}" for folder, name in parts]

    def __len__(self) -> int:
        return len(self.paths)

    def face(self, index: int) -> NDArray[np.uint8]:
        return read_face(self.table.parent / self.paths[index], self.img_size, preprocessed=False)

    def describe(self, index: int) -> str:
        return str(self.table.parent / self.paths[index])

    def sha256(self) -> str:
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256(self.table.read_bytes())
        for path in self.paths:
            digest.update(hashlib.sha256((self.table.parent / path).read_bytes()).digest())
        return digest.hexdigest()


def open_csv(path: Path, split: str, img_size: int) -> ListedFaces | None:
    """The faces that `<path>/<split>.csv` lists; None where it is not there.

    The table is UTF-8 with a header; of its columns `path` (relative to the table's folder, or absolute) and `label`
    (the person) are read.

    Raises:
        FacelineError: where a line lacks one of the two, names a file that is not there, or gives a file to a second
            person; it names the line.
    """
    table = path / f"{split}.csv"
    if not table.is_file():
        return None
    paths: list[str] = []
    people: list[str] = []
    shown: dict[str, tuple[str, int]] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_header(table, reader.fieldnames)
            for row in reader:
                name, person = ((row[column] or "").strip() for column in _COLUMNS)
                if not name or not person:
                    raise _fault(table, reader.line_num, f"has no {'label' if name else 'path'}")
                if not (path / name).is_file():
                    raise _fault(table, reader.line_num, f"{path / name} is not there")
                other, line = shown.setdefault(name, (person, reader.line_num))
                if other != person:
                    raise _fault(table, reader.line_num, f"{name} shows {person}, but {other} in line {line}")
                paths.append(name)
                people.append(person)
    except UnicodeDecodeError as error:
        raise FacelineError(f"{table} is not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    except csv.Error as error:
        raise _fault(table, reader.line_num, str(error)) from None
    if not paths:
        raise FacelineError(f"{table} lists no faces. Add lines of a path and a label")
    return ListedFaces(table, paths, people, img_size)


def _check_header(table: Path, found: Sequence[str] | None) -> None:
    if not found or any(column not in found for column in _COLUMNS):
        raise FacelineError(
            f"{table}: line 1 must name the columns path and label, found {', '.join(found or ()) or 'nothing'}"
        )


def _fault(table: Path, line: int, what: str) -> FacelineError:
    return FacelineError(f"{table}: line {line}: {what}. Mend the table, or take the line out")
