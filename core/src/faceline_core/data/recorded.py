"""`dataset.format: recordio`: the faces of a `.rec` file."""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.faces import decode_face
from faceline_core.data.recordio import RecordFile
from faceline_core.errors import FacelineError
from faceline_core.stage.files import sha256_of


class RecordFaces:
    """Images of a RecordIO file as a face set. The people are the numbers that its labels are, as strings.

    Args:
        file: the images, JPEG or another format that OpenCV reads.
        images: which of them to take, by their places in the file (0 is record key 1), rising.
        img_size: side in px that the faces must have.
    """

    def __init__(self, file: RecordFile, images: NDArray[np.int64], img_size: int):
        self.file, self.images, self.img_size = file, images, img_size
        numbers, labels = np.unique(file.labels()[images], return_inverse=True)
        self.classes = [str(number) for number in numbers]
        self.labels: list[int] = labels.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def face(self, index: int) -> NDArray[np.uint8]:
        _, image = self.file[int(self.images[index])]
        return decode_face(image, self.img_size, self.describe(index), preprocessed=False)

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


def open_recordio(path: Path, split: str, img_size: int) -> RecordFaces | None:
    """The faces of `<path>/<split>.rec`, or those of them whose record keys `<path>/<split>.txt` lists, one a line;
    None where there is no such `.rec`."""
    records = path / f"{split}.rec"
    if not records.is_file():
        return None
    file = RecordFile(records)
    keys = path / f"{split}.txt"
    images = _read_keys(keys, len(file)) if keys.is_file() else np.arange(len(file))
    if not len(images):
        raise FacelineError(f"{keys if keys.is_file() else records} holds no images. Copy it again")
    return RecordFaces(file, images, img_size)


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
