"""RetinaFace's text and COCO's json as others write them."""

import json

import numpy as np
import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations
from faceline_detect.annotations.coco import parse_coco
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.retinaface_text import parse_retinaface

PUBLISHED = """# 0--Parade/0_Parade_marchingband_1_849.jpg
449 330 122 149 488.906 373.643 0.0 542.089 376.442 0.0 515.031 412.83 0.0 485.174 425.893 1.0 538.357 431.491 0.0 0.82
# 9.jpg
78 221 7 8 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 0.2
3 4 20 20 5 6 0 -1 -1 0 7.5 8 -1 9 9 0 11 11 1
#empty.jpg
# val.jpg
5 6 7 8
"""


def test_retinaface_row_by_row():
    drafts = parse_retinaface(PUBLISHED, "label.txt", Faults(skip_bad=False))
    assert [draft.path for draft in drafts] == [
        "0--Parade/0_Parade_marchingband_1_849.jpg", "9.jpg", "empty.jpg", "val.jpg",
    ]  # fmt: skip
    assert [draft.place for draft in drafts] == ["label.txt:1", "label.txt:3", "label.txt:6", "label.txt:7"]
    assert [draft.lines for draft in drafts] == [[2], [4, 5], [], [8]]
    assert drafts[0].landmarks[0].tolist()[3:] == [[485.174, 425.893], [538.357, 431.491]]
    assert drafts[0].hidden[0].tolist() == [False, False, False, True, False]
    np.testing.assert_array_equal(drafts[1].scores, [0.2, np.nan])
    nan = [np.nan, np.nan]
    np.testing.assert_array_equal(drafts[1].landmarks, [[nan] * 5, [[5, 6], nan, nan, [9, 9], [11, 11]]])
    assert drafts[1].hidden.tolist() == [[False] * 5, [False, False, False, False, True]]
    assert drafts[3].boxes.tolist() == [[5, 6, 7, 8]]
    assert np.isnan(drafts[3].landmarks).all()


def coco(categories):
    faces = [{"id": 10 + kind, "image_id": "x", "category_id": kind, "bbox": [kind, 2, 3, 4]} for kind in (1, 2, 7)]
    return json.dumps(
        {"images": [{"id": "x", "file_name": "a.jpg"}], "annotations": faces, "categories": categories, "info": {}}
    )


@pytest.mark.parametrize(
    ("names", "taken"), [({1: "person", 2: "Face", 7: "car"}, [2]), ({4: "head"}, [1, 2, 7]), ({}, [1, 2, 7])]
)
def test_coco_takes_the_category_of_faces(names, taken):
    text = coco([{"id": key, "name": name} for key, name in names.items()])
    (draft,) = parse_coco(text, "coco.json", Faults(skip_bad=False))
    assert draft.boxes[:, 0].tolist() == taken
    assert draft.lines == [10 + kind for kind in taken]
    assert (draft.size, draft.ignore.any()) == (None, False)


def test_coco_that_does_not_tell_its_faces():
    with pytest.raises(FacelineError, match=r"coco.json: none of its categories \(person, head\) is called face. Call"):
        parse_coco(coco([{"id": 1, "name": "person"}, {"id": 2, "name": "head"}]), "coco.json", Faults(skip_bad=False))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images" "annotations"', "is no JSON .*Copy it again"),
        ('{"images": [1], "annotations": []}', "has no list of records under 'images', as COCO has it. Name another"),
        ('{"images": [], "annotations": {}}', "has no list of records under 'annotations'"),
        ('{"images": [], "annotations": []}', "has labels of no picture that can be used. Name another label file"),
    ],
)
def test_json_that_is_not_cocos(tmp_path, text, said):
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(FacelineError, match=f"coco.json:? {said}"):
        read_annotations(tmp_path / "coco.json")
