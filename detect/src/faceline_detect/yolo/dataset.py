"""Our labels as the folder that ultralytics reads.

It knows no faces that neither are to be found nor are background: those that are ignored are left out, and what YOLO
finds there counts as wrong in its training and in its own figures.
"""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.faces import read_photo
from faceline_detect.annotations import Annotation, yolo_lines
from faceline_detect.annotations.yolo_text import FLIP, KEYPOINTS
from faceline_detect.scenes import Part

SMALLEST_SIDE = 10
"""px; ultralytics leaves smaller pictures out."""
STRICTNESS = 0.07
"""A landmark's loss is half its most where it is off by 2.35 times this part of the face's size, the root of its box's
area: 0.16 of it. The 0.2 that ultralytics takes for points it does not know makes that 0.47, nearly as far as from an
eye to the mouth. Source: object keypoint similarity, as COCO defines it."""
_UPRIGHT = (None, 1)
_ORIENTATION = 274  # EXIF's tag


def write_dataset(train: Part, val: Part, folder: Path, landmarks: bool) -> Path:
    """Writes `images/{train,val}`, `labels/{train,val}` and `dataset.yaml`; where that is there, all is.

    Pictures are links and not copies, but for those that ultralytics reads otherwise than we do, or would write to: a
    turned one (EXIF), 16 bits, palette, transparency, CMYK, a JPEG without its end. They are numbered, as two in
    different folders may have one name.

    Args:
        train: pictures and their faces.
        val: likewise.
        folder: to write to.
        landmarks: labels of a pose network, with five points a face; 0 0 0 where one is unknown or out of the picture.

    Returns:
        The `dataset.yaml`.

    Raises:
        FacelineError: where no training picture has a face, or one does not decode.
    """
    described = folder / "dataset.yaml"
    if described.is_file():
        return described
    if all(picture.ignore.all() for picture in train.pictures):
        raise FacelineError("detect.yolo: none of the scenes to train with has a face to find. Name others")
    for name, part in (("train", train), ("val", val)):
        images, labels = folder / "images" / name, folder / "labels" / name
        for place in (images, labels):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        for number, (picture, path) in enumerate(zip(part.pictures, part.paths, strict=True)):
            size = _put(path, images / f"{number:06}{path.suffix.lower()}")
            if size:
                text = yolo_lines(_to_find(picture, size), landmarks)
                (labels / f"{number:06}.txt").write_text(text, encoding="ascii")
    points = {"kpt_shape": [KEYPOINTS, 3], "flip_idx": list(FLIP), "kpt_oks_sigmas": [STRICTNESS] * KEYPOINTS}
    content = {"path": str(folder.resolve()), "train": "images/train", "val": "images/val", "names": {0: "face"}}
    described.write_text(yaml.safe_dump(content | (points if landmarks else {})), encoding="utf-8")
    return described


def _put(path: Path, place: Path) -> tuple[int, int] | None:
    """Has the picture at `path` stand at `place`; gives width and height, upright; None: it is too small."""
    size = _as_it_is(path)
    copy = None if size else Image.fromarray(read_photo(path))
    size = size or copy.size
    if min(size) < SMALLEST_SIDE:
        return None
    if copy is None:
        _link(path.resolve(), place)
    else:
        copy.save(place.with_suffix(".png"), compress_level=1)
    return size


def _as_it_is(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture that ultralytics reads as `read_photo` does, and leaves alone; else None."""
    try:
        with Image.open(path, formats=("JPEG", "PNG", "BMP", "WEBP")) as image:
            plain = image.mode in ("RGB", "L") and "transparency" not in image.info
            if not plain or image.getexif().get(_ORIENTATION) not in _UPRIGHT:
                return None
            size, is_jpeg = image.size, image.format == "JPEG"
        if not is_jpeg:
            return size
        with path.open("rb") as file:
            file.seek(-2, os.SEEK_END)
            return size if file.read() == b"\xff\xd9" else None
    except (OSError, SyntaxError, ValueError):  # read_photo says what is wrong
        return None


def _link(path: Path, place: Path) -> None:
    for link in (place.hardlink_to, place.symlink_to):
        try:
            link(path)
        except OSError:  # another file system, or one without links
            continue
        return
    shutil.copyfile(path, place)


def _to_find(picture: Annotation, size: tuple[int, int]) -> Annotation:
    """The same, with faces that lie wholly out of the picture ignored."""
    corners = np.clip(picture.boxes.reshape(-1, 2, 2), 0, size)
    gone = (corners[:, 1] <= corners[:, 0]).any(axis=1)
    return dataclasses.replace(picture, ignore=picture.ignore | gone, size=size)
