"""`dataset.format: recordio`: the faces of a `.rec` file, with names and masks where these lie beside it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.faces import decode_face
from faceline_core.data.masks import decode_mask
from faceline_core.data.packing import NO_MASK, masks_file, names_file, person_of
from faceline_core.data.recordio import RecordFile
from faceline_core.data.split import without_copy_mark
from faceline_core.errors import FacelineError
from faceline_core.stage.files import sha256_of


class RecordFaces:
    """Images of a RecordIO file as a face set. The people are the numbers that its labels are, as strings.

    Args:
        file: the images, JPEG or another format that OpenCV reads.
        images: which of them to take, by their places in the file (0 is record key 1), rising.
        img_size: side in px that the faces must have.
        masks: the masks of all images, in the same places; None where there are none.
    """

    def __init__(self, file: RecordFile, images: NDArray[np.int64], img_size: int, masks: RecordFile | None = None):
        self.file, self.images, self.img_size, self.masks = file, images, img_size, masks
        self.numbers, labels = np.unique(file.labels()[images], return_inverse=True)
        self.classes = [str(number) for number in self.numbers]
        self.labels: list[int] = labels.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def face(self, index: int) -> NDArray[np.uint8]:
        _, image = self.file[int(self.images[index])]
        return decode_face(image, self.img_size, self.describe(index), preprocessed=False)

    @property
    def has_masks(self) -> bool:
        return self.masks is not None

    def mask(self, index: int) -> NDArray[np.uint8] | None:
        if self.masks is None:
            return None
        _, mask = self.masks[int(self.images[index])]
        where = f"{self.masks.path} record key {self.images[index] + 1}"
        return None if mask == NO_MASK else decode_mask(mask, self.img_size, where)

    def describe(self, index: int) -> str:
        return f"{self.file.path} record key {self.images[index] + 1}"

    def sha256(self) -> str:
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        files = (self.file.path, self.file.path.with_suffix(".idx"))
        digest = hashlib.sha256("".join(map(sha256_of, files)).encode())
        digest.update(self.images.tobytes())
        return digest.hexdigest()


class NamedRecordFaces(RecordFaces):
    """Faces of a RecordIO file that have names; the people are called as these say, in the order of their labels.

    Args:
        file, images, img_size, masks: as in RecordFaces.
        table: the file of names.
        names: `<person>/<photo>.jpg` of every image of the file.

    Raises:
        FacelineError: where names and labels do not go together.
    """

    def __init__(
        self,
        file: RecordFile,
        images: NDArray[np.int64],
        img_size: int,
        masks: RecordFile | None,
        table: Path,
        names: Sequence[str],
    ):
        super().__init__(file, images, img_size, masks)
        self.names = [names[image] for image in images]
        people: dict[int, str] = {}
        for name, image, label in zip(self.names, images, self.labels, strict=True):
            person = people.setdefault(label, person_of(name))
            if person != person_of(name):
                raise FacelineError(
                    f"{table}: line {image + 1} names {person_of(name)}, but its label, {self.numbers[label]}, is "
                    f"{person}'s. Take the file away, or pack the faces again"
                )
        self.classes = [people[label] for label in range(len(people))]
        twice = next((person for person, count in Counter(self.classes).items() if count > 1), None)
        if twice is not None:
            raise FacelineError(f"{table}: {twice} has two labels. Take the file away, or pack the faces again")

    @property
    def sources(self) -> Sequence[str]:
        return [f"{person_of(name)}/{without_copy_mark(PurePosixPath(name).stem)}" for name in self.names]

    def describe(self, index: int) -> str:
        return f"{super().describe(index)} ({self.names[index]})"

    def sha256(self) -> str:
        return self._sha256_with_names

    @cached_property
    def _sha256_with_names(self) -> str:
        return hashlib.sha256("\0".join([super().sha256(), *self.names]).encode()).hexdigest()


def open_recordio(path: Path, split: str, img_size: int) -> RecordFaces | None:
    """The faces of `<path>/<split>.rec`, or those of them whose record keys `<path>/<split>.txt` lists, one a line;
    None where there is no such `.rec`.

    Args:
        path: the folder.
        split: train, val, ...
        img_size: side in px that the faces must have.

    Raises:
        FacelineError: where a file is damaged, or those beside the `.rec` do not go with it.
    """
    records = path / f"{split}.rec"
    if not records.is_file():
        return None
    file = RecordFile(records)
    keys = path / f"{split}.txt"
    images = _read_keys(keys, len(file)) if keys.is_file() else np.arange(len(file))
    if not len(images):
        raise FacelineError(f"{keys if keys.is_file() else records} holds no images. Copy it again")
    masks, names = _read_masks(masks_file(path, split), file), names_file(path, split)
    if not names.is_file():
        return RecordFaces(file, images, img_size, masks)
    return NamedRecordFaces(file, images, img_size, masks, names, _read_names(names, len(file)))


def _read_masks(path: Path, file: RecordFile) -> RecordFile | None:
    if not path.is_file():
        return None
    masks = RecordFile(path)
    if not np.array_equal(masks.labels(), file.labels()):
        raise FacelineError(
            f"{path} has {len(masks)} masks, which are not those of the {len(file)} faces of {file.path.name}. "
            "Take it away, or pack the faces again"
        )
    return masks


def _read_names(path: Path, count: int) -> list[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            names = file.read().split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise FacelineError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    if len(names) != count:
        raise FacelineError(
            f"{path} has {len(names)} lines, expected one for each of {count} faces. Take it away, or pack them again"
        )
    wrong = next((line for line, name in enumerate(names, 1) if not all(name.partition("/"))), None)
    if wrong is not None:
        raise FacelineError(
            f"{path}: line {wrong}: expected <person>/<photo>, found {names[wrong - 1][:40]!r}. Mend it"
        )
    return names


def _read_keys(path: Path, count: int) -> NDArray[np.int64]:
    """The places of the images whose record keys a file lists, in the order of the records."""
    found: dict[int, int] = {}
    for line, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        word = text.strip()
        if not word:
            continue
        if not (word.isascii() and word.isdigit() and 1 <= int(word) <= count):
            raise FacelineError(
                f"{path}: line {line}: expected a record key from 1 to {count}, found {word[:40]}. Mend the list"
            )
        if int(word) in found:
            raise FacelineError(
                f"{path}: line {line}: key {word} stands in line {found[int(word)]} already. Take it out"
            )
        found[int(word)] = line
    return np.array(sorted(found), np.int64) - 1
