"""What is wrong in COCO's json is named with its record; with skip_bad it is counted."""

import json

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations

SKIP = "Mend it, or go on without it: --skip-bad (detect.skip_bad: true)"
OUT = "the picture is left out"
IGNORED = "the face is ignored"


def coco(**changes):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 150}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "iscrowd": 0}],
        "categories": [{"id": 1, "name": "face"}],
    }
    for key, value in changes.items():
        record, _, name = key.partition("_in_")
        target = {"image": content["images"][0], "face": content["annotations"][0]}.get(name)
        if target is None:
            content[key] = value
        else:
            target[record] = value
    return json.dumps(content)


COCO = {
    "box": ({"bbox_in_face": [10, 10, 20]}, "annotation 7: bbox should hold 4 numbers, found 3", OUT, "b"),
    "no box": ({"bbox_in_face": None}, "annotation 7: bbox should hold 4 numbers, found none", OUT, "b"),
    "text": ({"bbox_in_face": [10, "10", 20, 20]}, 'annotation 7: bbox: "10" is no number of use', OUT, "b"),
    "keypoints": (
        {"keypoints_in_face": [1] * 51},
        "annotation 7: keypoints should hold 15 numbers, found 51",
        OUT,
        "b",
    ),
    "iscrowd": ({"iscrowd_in_face": "no"}, 'annotation 7: iscrowd: "no" is no whole number', OUT, "b"),
    "zero size": (
        {"bbox_in_face": [10, 10, 0, 5]},
        "annotation 7: the box 10 10 0 5 has a zero size (a.jpg)",
        IGNORED,
        "ab",
    ),
    "owner": ({"image_id_in_face": 5}, "annotation 7: is of image 5, which is not listed", "it is left out", "ab"),
    "size": (
        {"width_in_image": 400},
        "image 1: a.jpg is 200 x 150 px upright, and its labels are of 400 x 150 px",
        OUT,
        "b",
    ),
    "no name": ({"file_name_in_image": None}, "image 1: has no file_name or no id", OUT, "b"),
    "same id": ({"id_in_image": 2}, "image 2: b.jpg has the id of a.jpg", OUT, "a"),
    "same name": ({"file_name_in_image": "b.jpg"}, "image 2: b.jpg has a record already, {}: image 1", OUT, ""),
    "missing": ({"file_name_in_image": "c.jpg"}, "image 1: {folder}/images/c.jpg is not there", OUT, "b"),
}


@pytest.mark.parametrize(("changes", "said", "outcome", "left"), COCO.values(), ids=COCO)
def test_wrong_coco(write_labels, tmp_path, changes, said, outcome, left):
    file = write_labels("coco.json", coco(**changes))
    said = f"{file}: {said.format(file, folder=tmp_path)}"
    with pytest.raises(FacelineError) as error:
        read_annotations(tmp_path)
    assert str(error.value) == f"{said}. {SKIP}"
    if left:
        read = read_annotations(file, skip_bad=True)
        assert read.left_out[0] == f"{said}: {outcome}"
        assert [picture.path for picture in read.pictures] == [f"{letter}.jpg" for letter in left]


def test_a_picture_whose_annotation_has_no_owner_is_not_wrong(write_labels):
    read = read_annotations(write_labels("coco.json", coco(image_id_in_face=5)), skip_bad=True)
    assert [len(picture.boxes) for picture in read.pictures] == [0, 0]


def test_an_ignored_face_may_be_anything(write_labels):
    file = write_labels(
        "coco.json", coco(iscrowd_in_face=1, bbox_in_face=[300, 300, 0, 0], keypoints_in_face=[9, 9, 2] * 5)
    )
    assert read_annotations(file).pictures[0].ignore.tolist() == [True]
