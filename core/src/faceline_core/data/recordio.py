"""RecordIO, in which this field passes large sets of faces on: read and written without MXNet.

A `.rec` is a row of records, each of them one or more parts. A part, little-endian: uint32 magic 0xced7230a; uint32
with its kind in the top 3 bits (0 the whole record, 1 its first, 2 a middle, 3 its last part) and its length in the low
29; payload; zeros up to a multiple of 4 bytes. Where the magic itself stands in a payload, the record is parted there
and those 4 bytes are left out. The payload is a header `<IfQQ` (flag, label, id, id2), `flag` float32 labels, and a
JPEG. Record 0 is the table of contents: flag 2, labels [images + 1, records]. Then come the images, then one record a
person: flag 2, labels [first, end) of that person's images, no JPEG. `.idx` has a line `key<TAB>offset` a record.

Source: MXNet's recordio as the insightface data sets use it.
"""

import bisect
import operator
import os
import struct
import warnings
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.stage.files import written_beside

_MAGIC = struct.pack("<I", 0xCED7230A)
_PART = struct.Struct("<4sI")
_HEADER = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LENGTH_BITS = 29
_MAX_LABEL = 1 << 24
"""Labels are float32: whole numbers above this one are not all there."""


class RecordFile:
    """The images of a `.rec` file with its `.idx`: `file[0]` is that of record key 1.

    `file[i]` is `(label, JPEG bytes)`. Threads, and processes forked from this one, may read at the same time; a copy
    that is sent to another process opens the file anew.

    Args:
        path: the `.rec`; the `.idx` lies beside it.

    Raises:
        FacelineError: where a file is missing, truncated, foreign, or the two do not belong together; here, or when the
            record concerned is read. It names the byte.
    """

    def __init__(self, path: Path | str):
        self.path = path = Path(path)
        if not path.is_file():
            raise FacelineError(f"{path} is not there. A RecordIO set is a .rec file with its .idx beside it")
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        size = path.stat().st_size
        self._offsets = _read_index(path, size)
        in_order = np.sort(self._offsets)
        self._ends = np.append(in_order[1:], size)[np.searchsorted(in_order, self._offsets)]
        self._images = self._count_images()
        self._labels: NDArray[np.int64] | None = None

    def __reduce__(self) -> tuple[type["RecordFile"], tuple[Path]]:
        return RecordFile, (self.path,)

    def __len__(self) -> int:
        return self._images

    def __getitem__(self, index: int) -> tuple[int, bytes]:
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"image {place} of {len(self)}")
        key = place % len(self) + 1
        labels, image = self._read(key)
        return self._whole_number(labels[0], key), image

    @property
    def classes(self) -> int:
        """How many different labels the images have."""
        return len(np.unique(self.labels()))

    def labels(self) -> NDArray[np.int64]:
        """(N,) the label of each image. Read from all headers at once, which takes the file through memory."""
        if self._labels is None:
            words = np.memmap(self.path, "<u4", mode="r")
            at = self._offsets[1 : self._images + 1] // 4
            parts, flags = words[at + 1], words[at + 2]
            simple = (words[at] == struct.unpack("<I", _MAGIC)[0]) & (parts >= _HEADER.size + 4 * (flags > 0))
            simple &= parts < (1 << _LENGTH_BITS)  # in one part, and long enough to hold the label
            place = at + np.where(flags > 0, 2 + _HEADER.size // 4, 3)
            found = words[np.where(simple, place, 0)].view("<f4").astype(np.float64)
            simple &= (found >= 0) & (found == np.floor(found)) & (found <= _MAX_LABEL)
            labels = np.where(simple, found, 0).astype(np.int64)
            for image in np.flatnonzero(~simple):
                labels[image] = self[int(image)][0]  # which reads the parts, or says what is wrong
            self._labels = labels
        return self._labels

    def _count_images(self) -> int:
        """Images stand before the records of people; the table of contents has only float32 to say how many."""
        last = int(np.argmax(self._offsets))
        self._read(last)  # a truncated file shows at its end
        contents, image = self._read(0)
        if len(contents) != 2 or image:
            raise self._fault(0, f"record 0 is no table of contents ({len(contents)} labels, expected 2, and no image)")
        keys = range(1, len(self._offsets))
        images = bisect.bisect_left(keys, True, key=lambda key: not self._read(key)[1])
        if np.float32(images + 1) != np.float32(contents[0]):
            raise self._fault(0, f"the table of contents ends the images at key {contents[0]:.0f}, found {images + 1}")
        return images

    def _read(self, key: int) -> tuple[tuple[float, ...], bytes]:
        """A record's labels and its image."""
        start, end = int(self._offsets[key]), int(self._ends[key])
        record = os.pread(self._file, end - start, start)
        payload = self._joined(record, key)
        if len(payload) < _HEADER.size:
            raise self._fault(key, f"the record has {len(payload)} bytes, too few for its header")
        flag, label, _, _ = _HEADER.unpack_from(payload)
        image = _HEADER.size + 4 * flag
        if len(payload) < image:
            raise self._fault(key, f"the record has {len(payload)} bytes, too few for {flag} labels")
        labels = struct.unpack_from(f"<{flag}f", payload, _HEADER.size) if flag else (label,)
        return labels, payload[image:]

    def _joined(self, record: bytes, key: int) -> bytes:
        """The payload of all parts of a record."""
        parts: list[bytes] = []
        at, kind = 0, _FIRST
        while kind in (_FIRST, _MIDDLE):
            if len(record) < at + _PART.size:
                raise self._fault(key, "the record is cut off", at)
            magic, word = _PART.unpack_from(record, at)
            kind, length = word >> _LENGTH_BITS, word & ((1 << _LENGTH_BITS) - 1)
            if magic != _MAGIC or kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
                raise self._fault(key, f"expected the start of a part, found {record[at : at + 8].hex()}", at)
            start = at + _PART.size
            at = start + length + -length % 4
            if len(record) < at:
                raise self._fault(key, f"the record is cut off: {length} bytes announced, {len(record) - start} there")
            parts.append(record[start : start + length])
        if at != len(record):
            more = len(record) - at
            raise self._fault(key, f"{more} bytes follow here that are in no record of the .idx", at)
        return _MAGIC.join(parts)

    def _whole_number(self, label: float, key: int) -> int:
        if not (0 <= label <= _MAX_LABEL and label == int(label)):
            raise self._fault(key, f"the label is {label:g}, expected a whole number from 0")
        return int(label)

    def _fault(self, key: int, what: str, at: int = 0) -> FacelineError:
        return FacelineError(
            f"{self.path}: byte {self._offsets[key] + at} (record key {key}): {what}. Copy the .rec and its .idx again"
        )


def write_records(path: Path, items: Iterable[tuple[int, bytes]], img_size: int | None = None) -> None:
    """Writes a `.rec` and its `.idx`, and beside them `property`; whole or not at all.

    Args:
        path: the `.rec`.
        items: (label, JPEG bytes), the images of a label one after the other; taken one at a time.
        img_size: side of the images in px: writes the file `property` of this folder, one line
            `classes,height,width`; None leaves it alone.

    Raises:
        ValueError: where a label is no whole number in [0, 2**24], comes back after another one, or has no image.
    """
    offsets: list[int] = []
    people: dict[int, list[int]] = {}
    with written_beside(path) as beside, written_beside(path.with_suffix(".idx")) as index:
        with beside.open("wb") as file:

            def write(header: bytes, image: bytes = b"") -> None:
                offsets.append(file.tell())
                _write_record(file, header + image)

            write(_ranged(0, 0, 0))  # the table of contents, until it is known
            before = None
            for key, (label, image) in enumerate(items, 1):
                _check_item(key, label, image, back=label != before and label in people)
                people.setdefault(label, [key, key])[1] = key + 1
                write(_HEADER.pack(0, label, key, 0), image)
                before = label
            images = len(offsets) - 1
            for person in people.values():
                write(_ranged(len(offsets), *person))
            file.seek(0)
            _write_record(file, _ranged(0, images + 1, len(offsets)))
        index.write_text("".join(f"{key}\t{offset}\n" for key, offset in enumerate(offsets)), encoding="ascii")
    if img_size is not None:
        with written_beside(path.with_name("property")) as beside:
            beside.write_text(f"{len(people)},{img_size},{img_size}\n", encoding="ascii")


def _check_item(key: int, label: int, image: bytes, back: bool) -> None:
    if label != int(label) or not 0 <= label <= _MAX_LABEL:
        raise ValueError(f"image {key}: label {label} is no whole number in [0, {_MAX_LABEL}]")
    if back:
        raise ValueError(f"image {key}: label {label} comes back after another; the images of a label go together")
    if not image:
        raise ValueError(f"image {key}: it is empty")


def _ranged(key: int, first: int, end: int) -> bytes:
    return _HEADER.pack(2, 0.0, key, 0) + struct.pack("<2f", first, end)


def _write_record(file: BinaryIO, payload: bytes) -> None:
    """Writes a record, parted where the magic stands at a multiple of 4 bytes: a reader may look for it there."""
    cuts = [at for at in _occurrences(payload, _MAGIC) if at % 4 == 0]
    starts, ends = [0, *(at + 4 for at in cuts)], [*cuts, len(payload)]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if end - start >= 1 << _LENGTH_BITS:
            raise ValueError(f"a part of {end - start} bytes is more than RecordIO can hold")
        kind = _WHOLE if not cuts else _FIRST if number == 0 else _MIDDLE if number < len(cuts) else _LAST
        part = payload[start:end]
        file.write(_PART.pack(_MAGIC, kind << _LENGTH_BITS | len(part)) + part + bytes(-len(part) % 4))


def _occurrences(payload: bytes, sought: bytes) -> list[int]:
    found = []
    at = payload.find(sought)
    while at >= 0:
        found.append(at)
        at = payload.find(sought, at + 1)
    return found


def _read_index(path: Path, size: int) -> NDArray[np.int64]:
    """Where each record starts, by key."""
    index = path.with_suffix(".idx")
    if not index.is_file():
        raise FacelineError(f"{index} is not there. {path.name} cannot be read without it: copy it as well")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            table = np.loadtxt(index, np.int64, delimiter="\t", ndmin=2, comments=None, encoding="latin-1")
    except ValueError as error:
        raise FacelineError(f"{index}: expected lines of a key, a tab and an offset: {error}") from None
    if table.shape[0] == 0 or table.shape[1] != 2:
        raise FacelineError(f"{index}: expected lines of a key, a tab and an offset, found {table.shape[1]} columns")
    table = table[np.argsort(table[:, 0], kind="stable")]
    wrong = np.flatnonzero(table[:, 0] != np.arange(len(table)))
    if len(wrong):
        raise FacelineError(f"{index}: expected the keys 0 to {len(table) - 1}, each once; key {wrong[0]} is not there")
    offsets: NDArray[np.int64] = np.ascontiguousarray(table[:, 1])
    outside = np.flatnonzero((offsets < 0) | (offsets >= size) | (offsets % 4 != 0))
    if len(outside):
        key = outside[0]
        raise FacelineError(
            f"{index}: record key {key} cannot start at byte {offsets[key]} of {path.name}, which has {size} bytes. "
            "Copy the .rec and its .idx again"
        )
    return offsets
