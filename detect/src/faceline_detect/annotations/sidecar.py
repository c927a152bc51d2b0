"""What a label text has no place for, in a file of JSON lines beside it.

After a first line that says what the file is, there is a record a picture, in the order of the pictures. It holds a
checksum of the picture's rows, the picture's size, and of each value that the rows do not bring back the value itself,
under the number of its face.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_detect.annotations.drafts import Columns, Draft, size_differs, unsaid
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.annotations.text import LARGEST, read_text

HEADER = {"format": "faceline-annotations", "version": 1}
FOLDER_NAME = "faceline.jsonl"
"""Of the sidecar of a YOLO folder; that of label.txt is label.faceline.jsonl."""

_SAME = 1e-6
"""Values that differ by no more, px, are the same."""

Record = Mapping[str, Any]


def sidecar_of(labels: Path) -> Path:
    """The sidecar of a label file, or of a folder of YOLO's."""
    return labels / FOLDER_NAME if labels.is_dir() else labels.with_suffix(f".{FOLDER_NAME}")


def columns_of(picture: Annotation) -> Columns:
    count = len(picture.boxes)
    hidden = np.zeros((count, 5), bool) if picture.hidden is None else picture.hidden
    scores = np.full(count, np.nan) if picture.scores is None else picture.scores
    boxes = np.c_[picture.boxes[:, :2], picture.boxes[:, 2:] - picture.boxes[:, :2]]
    known = np.isfinite(picture.landmarks).all(axis=-1)
    landmarks = np.where(known[..., None], picture.landmarks, np.nan)
    return Columns(boxes, landmarks, hidden & known, scores, picture.ignore, picture.attributes)


def record_of(picture: Annotation, draft: Draft, faces: NDArray[np.int64]) -> dict[str, Any]:
    """What is lost of a picture where its labels alone are read.

    Args:
        picture: what is written.
        draft: what its labels bring back.
        faces: (M,) which face of the picture each of their M rows is.
    """
    there, back = columns_of(picture), _spread(draft, len(picture.boxes), faces)
    record: dict[str, Any] = {"labels": _checksum(draft.rows)}
    if picture.size is not None:
        record["size"] = list(picture.size)
    if len(faces) != len(picture.boxes):
        record["faces"] = [len(picture.boxes), *faces.tolist()]
    for name, value, found in zip(Columns._fields, there, back, strict=True):
        which = np.flatnonzero(_differ(value, found).any(axis=tuple(range(1, value.ndim))))
        if len(which):
            record[name] = {str(face): _listed(value[face]) for face in which.tolist()}
    return record


def _differ(value: NDArray[Any], found: NDArray[Any]) -> NDArray[np.bool_]:
    if value.dtype.kind != "f":
        return value != found
    return ~((np.abs(value - found) <= _SAME) | (np.isnan(value) & np.isnan(found)))


def _spread(draft: Draft, count: int, faces: NDArray[np.int64]) -> Columns:
    """The columns of a draft's rows, each in the place of its face."""
    spread = unsaid(count)
    for column, name in zip(spread, Columns._fields, strict=True):
        column[faces] = getattr(draft, name)
    return spread


def _listed(value: NDArray[Any]) -> Any:
    """An array, or a number of one, as JSON has it, NaN as null."""
    if value.dtype.kind == "f":
        rounded = np.round(value, 9)
        return np.where(np.isnan(value), None, rounded).tolist()
    return value.astype(np.int64).tolist()


def _checksum(rows: Sequence[str]) -> str:
    return f"{zlib.crc32(chr(10).join(' '.join(row.split()) for row in rows).encode()):08x}"


def sidecar_text(records: Iterable[tuple[str, Record]]) -> str:
    """The file of the records of pictures, a picture a line."""
    lines = (json.dumps({"picture": path, **record}, ensure_ascii=False) for path, record in records)
    return "\n".join([json.dumps(HEADER), *lines, ""])


def read_sidecar(file: Path) -> dict[str, Record] | None:
    """The records of the pictures; None where there is no such file.

    Raises:
        FacelineError: where it is not what `sidecar_text` writes.
    """
    if not file.is_file():
        return None
    records: dict[str, Record] = {}
    for line, content in enumerate(read_text(file).split("\n"), 1):
        if line > 1 and not content.strip():
            continue
        try:
            record = json.loads(content)
        except ValueError:
            record = None
        if line == 1 and record != HEADER:
            said = " and ".join(f"{key} {value}" for key, value in HEADER.items())
            raise FacelineError(f"{file}:1: should say {said}. Convert again, or remove the file")
        if line > 1:
            if not isinstance(record, dict) or not isinstance(record.get("picture"), str):
                raise FacelineError(f"{file}:{line}: is no record of a picture. Convert again, or take the line out")
            records[record["picture"]] = record
    return records


def merged(drafts: Sequence[Draft], records: Mapping[str, Record], file: Path, faults: Faults) -> list[Draft]:
    """Drafts with what their records add, in the order of the records; those without one come last, as they are.

    A picture whose rows were changed since its record was written, or that has another size, is a fault.

    Raises:
        FacelineError: where a record is broken, or none is of a picture that there is.
    """
    rank = {path: i for i, path in enumerate(records)}
    if drafts and rank.keys().isdisjoint(draft.path for draft in drafts):
        raise FacelineError(f"{file} speaks of none of these pictures. Remove it where it belongs to other labels")
    whole = []
    for draft in sorted(drafts, key=lambda draft: rank.get(draft.path, len(rank))):
        record = records.get(draft.path)
        if record is None:
            whole.append(draft)
        elif record.get("labels") != _checksum(draft.rows):
            faults.picture(
                draft.place,
                f"the faces of {draft.path} were changed since {file.name} was written: take its line out there "
                "(ignored faces, attributes and the like go with it), or convert again",
            )
        else:
            complete = _with(draft, record, file)
            if draft.size in (None, complete.size):
                whole.append(complete)
            else:
                faults.picture(draft.place, size_differs(draft.path, draft.size, complete.size))
    return whole


def _values(listed: Any, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    values = np.array(listed, np.float64)  # null becomes NaN
    if not (np.abs(np.nan_to_num(values)) <= LARGEST).all() or (dtype.kind != "f" and np.isnan(values).any()):
        raise ValueError(f"{json.dumps(listed)[:40]} is no value")
    return values


def _with(draft: Draft, record: Record, file: Path) -> Draft:
    try:
        count, *faces = record.get("faces", [len(draft.boxes), *range(len(draft.boxes))])
        columns = _spread(draft, count, np.array(faces, np.int64))
        for name, column in zip(Columns._fields, columns, strict=True):
            for face, value in record.get(name, {}).items():
                column[int(face)] = _values(value, column.dtype)
        lines: list[int | None] = [None] * count
        for face, line in zip(faces, draft.lines, strict=True):
            lines[face] = line
        size = tuple(map(int, record["size"])) if "size" in record else draft.size
        if np.isnan(columns.boxes).any():
            raise ValueError("a face has no box")
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise FacelineError(f"{file}: the record of {draft.path} is broken ({error}). Convert again") from None
    return Draft(draft.path, draft.place, *columns, draft.rows, lines, draft.numbered, size)
