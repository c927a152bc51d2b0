"""Annotations as labels of any of the formats, whole or not at all."""

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES
from faceline_core.stage.files import replaced_folder, written_beside
from faceline_detect.annotations.coco import coco_text
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import Annotation, Annotations
from faceline_detect.annotations.locating import check_kind, kind_of
from faceline_detect.annotations.pictures import picture_size
from faceline_detect.annotations.reading import PARSERS
from faceline_detect.annotations.retinaface_text import retinaface_text
from faceline_detect.annotations.sidecar import record_of, sidecar_of, sidecar_text
from faceline_detect.annotations.wider import wider_text
from faceline_detect.annotations.yolo_folder import DATA, IMAGES, LABELS, data_yaml, label_of
from faceline_detect.annotations.yolo_text import Rows, parse_yolo, yolo_lines

Link = Literal["hard", "symbolic"]

FILES = {"wider": "wider.txt", "retinaface": "label.txt", "coco": "coco.json"}
"""What the label file in a folder is called."""

_SUFFIXES = {".txt": ("wider", "retinaface"), ".json": ("coco",), ".yaml": ("yolo",), ".yml": ("yolo",)}
"""By the ending of a target, the formats that have it."""

_TEXTS: Mapping[str, Callable[[list[Annotation]], str]] = {
    "wider": wider_text,
    "retinaface": retinaface_text,
    "coco": coco_text,
}


def write_annotations(annotations: Annotations, place: Path, kind: str, link: Link | None = None) -> Path:
    """Writes labels, and beside them what their format has no place for.

    Args:
        annotations: what to write; pictures whose sizes are not known yet are asked for them.
        place: a .txt (wider, retinaface) or .json (coco) to write, or a folder; an earlier one of the same
            format is replaced as a whole.
        kind: wider, retinaface, coco or yolo, which is a folder always.
        link: also link the pictures into the folder's images/; they are never copied.

    Returns:
        The label file; of YOLO data.yaml.

    Raises:
        FacelineError: where `place` holds something else, or the labels cannot be written so that they come back.
    """
    check_kind(kind)
    _check_suffix(place, kind)
    known = replace(annotations, pictures=[_sized(picture, annotations.folder) for picture in annotations.pictures])
    if place.suffix.lower() in _SUFFIXES:
        if kind == "yolo" or link is not None:
            raise FacelineError(f"{place} is named as a file, and a folder is to be written. Name one")
        _write_file(known, place, kind)
        return place
    _refuse_foreign(known, place, kind)
    with replaced_folder(place) as folder:
        if kind == "yolo":
            _write_yolo(known, folder)
        else:
            _write_file(known, folder / FILES[kind], kind)
        if link is not None:
            _link_pictures(known, folder / IMAGES, place.resolve() / IMAGES, link)
    return place / FILES.get(kind, DATA)


def _check_suffix(place: Path, kind: str) -> None:
    suffix = place.suffix.lower()
    if suffix in _SUFFIXES and kind not in _SUFFIXES[suffix]:
        raise FacelineError(
            f"{place} is named as labels of {' or '.join(_SUFFIXES[suffix])} are, and {kind} is to be written. "
            f"Name a folder{'' if kind == 'yolo' else f' or a {Path(FILES[kind]).suffix}'}"
        )


def _sized(picture: Annotation, folder: Path) -> Annotation:
    return picture if picture.size is not None else replace(picture, size=picture_size(folder / picture.path))


def _write_file(annotations: Annotations, place: Path, kind: str) -> None:
    if place.exists():
        if not place.is_file() or kind_of(place) != kind:
            raise FacelineError(f"{place} is there and holds no {kind} labels; it would be replaced. Name another file")
        if annotations.source.exists() and place.samefile(annotations.source):
            raise FacelineError(f"{place} is the file that is read. Name another one to write")
    text = _TEXTS[kind](annotations.pictures)
    if kind == "coco":
        with written_beside(place) as file:
            file.write_text(text, encoding="utf-8")
        return
    drafts = PARSERS[kind](text, str(place), Faults(skip_bad=False))
    records = []
    for picture, draft in zip(annotations.pictures, drafts, strict=True):
        if draft.path != picture.path:
            raise FacelineError(f"{picture.path!r}: {kind} labels cannot name it so. Rename it")
        records.append((picture.path, record_of(picture, draft, np.arange(len(picture.boxes)))))
    with written_beside(sidecar_of(place)) as beside, written_beside(place) as file:
        beside.write_text(sidecar_text(records), encoding="utf-8")
        file.write_text(text, encoding="utf-8")


def _write_yolo(annotations: Annotations, folder: Path) -> None:
    landmarks = any((picture.with_landmarks & ~picture.ignore).any() for picture in annotations.pictures)
    records, taken = [], {}
    for picture in annotations.pictures:
        label = label_of(folder / IMAGES / picture.path)
        other = taken.setdefault(label, picture.path)
        if Path(picture.path).suffix.lower() not in SUFFIXES:
            raise FacelineError(f"{picture.path}: YOLO takes no picture of such an ending. Rename it")
        if other != picture.path:
            raise FacelineError(f"{picture.path} and {other} would share YOLO's label file {label.name}. Rename one")
        label.parent.mkdir(parents=True, exist_ok=True)
        text = yolo_lines(picture, landmarks)
        label.write_text(text, encoding="utf-8")
        draft = parse_yolo(text, str(label), picture.path, picture.size, Rows(), Faults(skip_bad=False))
        records.append((picture.path, record_of(picture, draft, np.flatnonzero(~picture.ignore))))
    (folder / DATA).write_text(data_yaml(landmarks), encoding="utf-8")
    sidecar_of(folder).write_text(sidecar_text(records), encoding="utf-8")


def _link_pictures(annotations: Annotations, images: Path, final: Path, link: Link) -> None:
    """Links into `images`, which will be called `final`; symbolic ones are relative, so that both may move together."""
    for picture in annotations.pictures:
        source, new = (annotations.folder / picture.path).resolve(), images / picture.path
        new.parent.mkdir(parents=True, exist_ok=True)
        if link == "symbolic":
            new.symlink_to(os.path.relpath(source, (final / picture.path).parent))
            continue
        try:
            new.hardlink_to(source)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            raise FacelineError(
                f"{source} cannot be hard-linked from {final} ({error.strerror}). Take --link-images symbolic"
            ) from None


def _refuse_foreign(annotations: Annotations, place: Path, kind: str) -> None:
    """A folder is replaced as a whole: only one that holds what is written here, or nothing, may be."""
    if not place.exists():
        return
    if not place.is_dir():
        raise FacelineError(f"{place} is a file, and a folder is to be written. Name another one")
    for read in (annotations.folder, annotations.source):
        if read.resolve().is_relative_to(place.resolve()):
            raise FacelineError(f"{place} holds {read}, which is read, and would be replaced. Name another folder")
    own = {DATA, LABELS, IMAGES, sidecar_of(place).name}
    if kind != "yolo":
        own = {FILES[kind], sidecar_of(place / FILES[kind]).name, IMAGES}
    foreign = sorted(file.name for file in place.iterdir() if file.name not in own and file.suffix != ".cache")
    labels = place / FILES.get(kind, DATA)
    if not foreign and labels.exists() and kind_of(labels) != kind:
        foreign = [labels.name]
    if foreign:
        raise FacelineError(
            f"{place} holds {foreign[0]}, which no {kind} labels have, and would be replaced. Name another"
        )
    own_picture = next(filter(_is_lost, (place / IMAGES).rglob("*")), None)
    if own_picture is not None:
        raise FacelineError(f"{place} holds {own_picture}, which is no link, and would be lost. Name another folder")


def _is_lost(file: Path) -> bool:
    """Whether a file among links would be gone with them."""
    is_label = file.suffix == ".txt"
    return file.is_file() and not (is_label or file.is_symlink() or file.stat().st_nlink > 1)
