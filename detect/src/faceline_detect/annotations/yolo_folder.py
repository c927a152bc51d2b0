"""A folder as ultralytics takes it: data.yaml, images/ and labels/ that mirrors it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES
from faceline_detect.annotations.checking import size_in, with_good_paths
from faceline_detect.annotations.drafts import Draft
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.sidecar import merged, read_sidecar, sidecar_of
from faceline_detect.annotations.text import is_there, read_text
from faceline_detect.annotations.yolo_text import FLIP, KEYPOINTS, Rows, parse_yolo

DATA, IMAGES, LABELS = "data.yaml", "images", "labels"
_SPLITS = ("train", "val", "validation", "test")
_NO_LABELS = "classes.txt"
"""What programs for labelling leave beside labels."""


@dataclass(frozen=True)
class YoloFolder:
    """Where the pictures and the labels of a data set lie.

    Attributes:
        root: holds data.yaml, and the sidecar.
        places: folders of pictures, or lists of them, each with the folder that it stands for: labels lie where YOLO
            looks for them beside pictures there.
        rows: what the rows hold.
    """

    root: Path
    places: tuple[tuple[Path, Path], ...]
    rows: Rows


def open_yolo(place: Path, images: Path | None) -> YoloFolder:
    """A data set of YOLO.

    Args:
        place: a data.yaml, whose train, val and test are all taken; a folder with one, or with images/ and labels/; or
            a folder of pictures below images/, of which alone the labels are taken.
        images: where the pictures lie, if elsewhere; those are taken that lie there as their labels lie in labels/.

    Raises:
        FacelineError: where a file or folder is missing, or data.yaml does not say which class is the face.
    """
    file = place if place.is_file() else place / DATA
    root = file.parent
    if file.is_file():
        content = _loaded(file)
        root, rows = _root(file, content), _rows(file, content)
        places: Sequence[Path] = _places(file, content, root)
    elif (place / LABELS).is_dir():
        rows, places = Rows(), [place / IMAGES]
    else:
        (root, places), rows = _split(place), Rows()
        if (root / DATA).is_file():
            rows = _rows(root / DATA, _loaded(root / DATA))
    if images is not None:
        return YoloFolder(root, ((images, root / IMAGES),), rows)
    missing = next((one for one in places if not is_there(one)), None)
    if missing is not None:
        raise FacelineError(f"{place}: its pictures should lie in {missing}. Put them there, or name them: --images")
    return YoloFolder(root, tuple((one, one) for one in places), rows)


def _split(place: Path) -> tuple[Path, list[Path]]:
    """The root of a folder of pictures below images/, and that folder."""
    if not has_labels(place):
        raise FacelineError(f"{place} has no {DATA}, no {LABELS}/, and no labels where YOLO looks. Name another folder")
    whole = place.absolute()
    at = len(whole.parts) - 1 - whole.parts[::-1].index(IMAGES)
    return Path(*whole.parts[:at]), [place]


def _loaded(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise FacelineError(f"{file}: is no YAML ({' '.join(str(error).split())}). Mend it") from None
    if not isinstance(content, dict):
        raise FacelineError(f"{file}: names no train or val, as YOLO's {DATA} does. Name another file")
    return content


def _root(file: Path, content: Mapping[str, Any]) -> Path:
    root = file.parent / str(content.get("path") or "")
    if not is_there(root):
        raise FacelineError(f"{file}: path: {content['path']} is not there. Take it out: then it is the file's own")
    return root


def _places(file: Path, content: Mapping[str, Any], root: Path) -> list[Path]:
    named = [content[split] for split in _SPLITS if content.get(split)]
    places = [str(one) for entry in named for one in (entry if isinstance(entry, list) else [entry])]
    if not places:
        raise FacelineError(f"{file}: names no train or val, as YOLO's {DATA} does. Name another file")
    return [Path(os.path.normpath(root / one)) for one in dict.fromkeys(places)]


def _rows(file: Path, content: Mapping[str, Any]) -> Rows:
    names = content.get("names")
    listed = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, dict) else ()
    called = {key: str(name) for key, name in listed}
    known = len(called) or (content["nc"] if isinstance(content.get("nc"), int) else 1)
    faces = [key for key, name in called.items() if name.lower() == "face"] if known > 1 else [0]
    if len(faces) != 1:
        raise FacelineError(f"{file}: none of its {known} names is face. Call the class of faces so")
    points, values = KEYPOINTS, 3
    if content.get("kpt_shape") is not None:
        shape = content["kpt_shape"]
        if not isinstance(shape, list) or shape not in ([KEYPOINTS, 2], [KEYPOINTS, 3]):
            raise FacelineError(f"{file}: kpt_shape is {shape}, expected [{points}, 3]. Convert the keypoints first")
        values = shape[1]
    return Rows(faces[0], known, values)


def read_yolo(place: Path, images: Path | None, faults: Faults) -> tuple[list[Draft], Path, Path]:
    """The pictures of a data set with their sizes, the folder that their paths are below, and its root.

    A picture without a label file has no faces, as YOLO has it; where there is a sidecar, those alone are taken that
    have one.
    """
    found = open_yolo(place, images)
    sidecar = sidecar_of(found.root)
    records = read_sidecar(sidecar)
    pairs = {picture: label for place in found.places for picture, label in _pairs(*place)}
    folder = images or _folder(found, list(pairs))
    taken = set(pairs.values())
    for label in (label for place in found.places for label in _labels(*place) if label not in taken):
        faults.picture(str(label), "its picture is not there")
    if pairs and not any(map(is_there, taken)):
        raise FacelineError(
            f"{place}: none of its {len(pairs)} pictures has labels, as {next(iter(pairs.values()))}. Label them"
        )
    drafts = []
    for picture, label in pairs.items():
        labelled = is_there(label)
        path = Path(os.path.relpath(picture, folder)).as_posix()
        size = size_in(folder, path, str(label), faults) if labelled or records is None else None
        if size is None:
            continue
        text = read_text(label) if labelled else ""
        drafts.append(parse_yolo(text, str(label), path, size, found.rows, faults))
    good = with_good_paths([draft for draft in drafts if draft is not None], faults)
    return good if records is None else merged(good, records, sidecar, faults), folder, found.root


def _pairs(place: Path, stands_for: Path) -> Iterator[tuple[Path, Path]]:
    """The pictures of a folder, by name, or of a list, and where the label file of each should lie."""
    if place.is_file():
        yield from ((picture, label_of(picture)) for picture in _listed(place))
        return
    for picture in _files(place):
        if picture.suffix.lower() in SUFFIXES:
            yield picture, label_of(stands_for / picture.relative_to(place))


def _labels(place: Path, stands_for: Path) -> Iterator[Path]:
    """The label files of a folder of pictures."""
    for file in () if place.is_file() else _files(label_of(stands_for / "any").parent):
        if file.suffix == ".txt" and file.name != _NO_LABELS:
            yield file


def label_of(picture: Path) -> Path:
    """The label file of a picture by YOLO's rule: below labels/ as it is below the last images/, else beside it."""
    for path in (picture, picture.absolute()):
        parts = path.parts[:-1]
        if IMAGES in parts:
            at = len(parts) - 1 - parts[::-1].index(IMAGES)
            return Path(*parts[:at], LABELS, *parts[at + 1 :], f"{path.stem}.txt")
    return picture.with_suffix(".txt")


def has_labels(pictures: Path) -> bool:
    """Whether a folder of pictures below images/ has its folder of labels."""
    labels = label_of(pictures / "any").parent
    return labels != pictures and is_there(labels)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def _listed(file: Path) -> Iterator[Path]:
    for line in read_text(file).splitlines():
        if line.strip():
            yield Path(os.path.normpath(file.parent / line.strip()))


def _folder(found: YoloFolder, pictures: Sequence[Path]) -> Path:
    """What the paths of its pictures are below: the last folder called images that all are below, if there is one."""
    folders = {place if place.is_dir() else None for place, _ in found.places}
    if None in folders:
        folders = {picture.parent for picture in pictures} or {found.root}
    common = Path(os.path.commonpath([os.path.normpath(folder.absolute()) for folder in folders]))
    root = Path(os.path.normpath(found.root.absolute()))
    if not common.is_relative_to(root):
        return common
    parts = common.relative_to(root).parts
    return Path(root, *parts[: len(parts) - parts[::-1].index(IMAGES)]) if IMAGES in parts else root


def data_yaml(landmarks: bool) -> str:
    """The text of a data.yaml beside images/ and labels/.

    It has no `path`, which ultralytics takes to be below where it is started: without one it is the file's folder.
    """
    content: dict[str, Any] = {"train": IMAGES, "val": IMAGES, "names": {0: "face"}}
    if landmarks:
        content |= {"kpt_shape": [KEYPOINTS, 3], "flip_idx": list(FLIP)}
    return yaml.safe_dump(content, sort_keys=False)
