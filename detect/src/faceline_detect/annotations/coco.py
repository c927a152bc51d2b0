"""COCO's json: pictures, and faces with box, area, iscrowd, and five keypoints with visibility 0, 1 or 2.

What COCO has no keys for stands under keys of our own: WIDER FACE's attributes by their names, where they are not 0,
and `score`.

Source: "Data format" of the COCO data set.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from faceline_core.errors import FacelineError
from faceline_detect.annotations.drafts import Draft, unsaid
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import ATTRIBUTES, Annotation
from faceline_detect.annotations.text import LARGEST, RowError

POINTS = ("left_eye", "right_eye", "nose", "left_mouth_corner", "right_mouth_corner")
_FACE = "face"


def parse_coco(text: str, name: str, faults: Faults) -> list[Draft]:
    """The pictures of a file, and of its annotations those of faces.

    Where there are several categories, faces are those called `face`. Ignored are annotations with `iscrowd` 1.

    Args:
        text: of the file.
        name: of the file, for messages.
        faults: what is told of what is wrong.

    Raises:
        FacelineError: where the file is no COCO json, or it is not told which category is the face.
    """
    content = _loaded(text, name)
    category = _face_category(content, name)
    faces: dict[Any, list[Mapping[str, Any]]] = {}
    listed: dict[Any, tuple[str, str, tuple[int, int] | None]] = {}
    for image in content["images"]:
        place = f"{name}: image {image.get('id')}"
        if not isinstance(image.get("file_name"), str) or not _is_key(image.get("id")):
            faults.picture(place, "has no file_name or no id")
        elif image["id"] in listed:
            faults.picture(place, f"{image['file_name']} has the id of {listed[image['id']][0]}")
        else:
            listed[image["id"]] = (image["file_name"], place, _size(image))
            faces[image["id"]] = []
    for annotation in content["annotations"]:
        owner, kind = annotation.get("image_id"), annotation.get("category_id", category)
        if category is not None and kind != category:
            continue
        if not _is_key(owner) or owner not in faces:
            faults.label(f"{name}: annotation {annotation.get('id')}", f"is of image {owner}, which is not listed")
        else:
            faces[owner].append(annotation)
    drafts = (_draft(*listed[owner], faces[owner], name, faults) for owner in listed)
    return [draft for draft in drafts if draft is not None]


def _loaded(text: str, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise FacelineError(f"{name}: is no JSON ({error}). Copy it again") from None
    for key in ("images", "annotations"):
        records = content.get(key) if isinstance(content, dict) else None
        if not isinstance(records, list) or any(not isinstance(record, dict) for record in records):
            raise FacelineError(f"{name}: has no list of records under {key!r}, as COCO has it. Name another file")
    return content


def _face_category(content: Mapping[str, Any], name: str) -> Any:
    """The id of the category of faces; None where all annotations are faces."""
    categories = [one for one in content.get("categories") or [] if isinstance(one, dict)]
    if len(categories) <= 1:
        return None
    called = [one.get("id") for one in categories if str(one.get("name")).lower() == _FACE]
    if len(called) != 1:
        names = ", ".join(str(one.get("name")) for one in categories[:8])
        raise FacelineError(f"{name}: none of its categories ({names}) is called face. Call the one that is so")
    return called[0]


def _is_key(value: object) -> bool:
    return isinstance(value, int | str)


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _draft(
    path: str,
    place: str,
    size: tuple[int, int] | None,
    faces: list[Mapping[str, Any]],
    name: str,
    faults: Faults,
) -> Draft | None:
    draft = Draft(path, place, *unsaid(len(faces)), lines=range(len(faces)), size=size)
    draft.lines = [face.get("id") for face in faces]
    draft.numbered = f"{name}: annotation "
    for i, face in enumerate(faces):
        try:
            draft.boxes[i] = _numbers(face, "bbox", 4)
            if "keypoints" in face:
                points = _numbers(face, "keypoints", 15).reshape(5, 3)
                draft.landmarks[i] = np.where(points[:, 2:] > 0, points[:, :2], np.nan)
                draft.hidden[i] = points[:, 2] == 1
            if face.get("score") is not None:
                draft.scores[i] = _numbers({"score": [face["score"]]}, "score", 1)[0]
            draft.ignore[i] = bool(_whole(face, "iscrowd"))
            draft.attributes[i] = [_whole(face, attribute) for attribute in ATTRIBUTES]
        except RowError as fault:
            faults.picture(draft.place_of(i), str(fault))
            return None
    return draft


def _numbers(record: Mapping[str, Any], key: str, count: int) -> np.ndarray:
    values = record.get(key)
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)}" if isinstance(values, list) else "none"
        raise RowError(f"{key} should hold {count} numbers, found {found}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise RowError(f"{key}: {json.dumps(value)[:40]} is no number of use")
    return np.array(values, np.float64)


def _whole(record: Mapping[str, Any], key: str) -> int:
    value = record.get(key, 0)
    if not isinstance(value, int) or abs(value) > LARGEST:
        raise RowError(f"{key}: {json.dumps(value)[:40]} is no whole number")
    return int(value)


def coco_text(pictures: Iterable[Annotation]) -> str:
    """COCO's json of pictures whose sizes are known, a record a line."""
    images, annotations = [], []
    for image_id, picture in enumerate(pictures, 1):
        width, height = picture.size
        image = {"id": image_id, "file_name": picture.path, "width": width, "height": height}
        images.append(json.dumps(image, ensure_ascii=False))
        for face in _faces(picture):
            annotations.append(json.dumps({"id": len(annotations) + 1, "image_id": image_id, **face}))
    category = {"id": 1, "name": _FACE, "supercategory": "person", "keypoints": POINTS, "skeleton": []}
    parts = (("images", images), ("annotations", annotations), ("categories", [json.dumps(category)]))
    return "{\n" + ",\n".join(f'"{key}": [\n' + ",\n".join(records) + "\n]" for key, records in parts) + "\n}\n"


def _faces(picture: Annotation) -> Iterator[dict[str, Any]]:
    sizes = picture.boxes[:, 2:] - picture.boxes[:, :2]
    boxes = np.c_[picture.boxes[:, :2], sizes].tolist()
    known = np.isfinite(picture.landmarks).all(axis=-1)
    for i, box in enumerate(boxes):
        face: dict[str, Any] = {
            "category_id": 1,
            "bbox": [_plain(value) for value in box],
            "area": _plain(max(0.0, box[2] * box[3])),
            "iscrowd": int(picture.ignore[i]),
        }
        if known[i].any():
            seen = 2 - (picture.hidden[i].astype(int) if picture.hidden is not None else np.zeros(5, int))
            face["keypoints"] = [
                value
                for point, visible, is_known in zip(picture.landmarks[i].tolist(), seen.tolist(), known[i], strict=True)
                for value in ((*map(_plain, point), visible) if is_known else (0, 0, 0))
            ]
            face["num_keypoints"] = int(known[i].sum())
        face |= {name: value for name, value in zip(ATTRIBUTES, picture.attributes[i].tolist(), strict=True) if value}
        if picture.scores is not None and np.isfinite(picture.scores[i]):
            face["score"] = _plain(float(picture.scores[i]))
        yield face


def _plain(value: float) -> float | int:
    """To 1e-9, and whole numbers without a point."""
    return int(value) if value.is_integer() else round(value, 9)
