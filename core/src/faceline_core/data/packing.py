"""Packs the faces of a split into `<split>.rec`, and what goes with them into files beside it.

    <split>.rec, <split>.idx               the faces, by person
    <split>.names                          UTF-8; line k names the face of record key k: <person>/<photo>.jpg
    <split>_masks.rec, <split>_masks.idx   their masks in the same order and with the same labels, where any has one
    property                               of train: classes,height,width

A face without a mask has NO_MASK in its place: records without a picture are not counted as images.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceline_core.data.recordio import write_records
from faceline_core.errors import FacelineError
from faceline_core.stage.files import written_beside

NO_MASK = b"\0"


@dataclass(frozen=True)
class PackedFace:
    """A face to pack: its name, `<person>/<photo>.jpg`, and the files of its picture and of its mask, if it has one."""

    name: str
    picture: Path
    mask: Path | None = None


def pack_split(folder: Path, split: str, faces: Sequence[PackedFace], labels: Mapping[str, int], img_size: int) -> None:
    """Writes the files of a split, reading one picture at a time.

    Args:
        folder: to write to.
        split: its name.
        faces: those of a person one after the other.
        labels: person to number.
        img_size: side of the faces in px.

    Raises:
        FacelineError: where a name holds a line break.
    """
    broken = next((face.name for face in faces if "\n" in face.name), None)
    if broken is not None:
        raise FacelineError(f"{broken!r} holds a line break, which {split}.names cannot hold. Rename it, or the person")

    def pictures() -> Iterator[tuple[int, bytes]]:
        yield from ((labels[person_of(face.name)], face.picture.read_bytes()) for face in faces)

    def masks() -> Iterator[tuple[int, bytes]]:
        yield from ((labels[person_of(face.name)], face.mask.read_bytes() if face.mask else NO_MASK) for face in faces)

    write_records(folder / f"{split}.rec", pictures(), img_size if split == "train" else None)
    if any(face.mask for face in faces):
        write_records(masks_file(folder, split), masks())
    with written_beside(names_file(folder, split)) as beside:
        beside.write_text("".join(f"{face.name}\n" for face in faces), encoding="utf-8", newline="")


def names_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.names"


def masks_file(folder: Path, split: str) -> Path:
    return folder / f"{split}_masks.rec"


def person_of(name: str) -> str:
    return name.partition("/")[0]
