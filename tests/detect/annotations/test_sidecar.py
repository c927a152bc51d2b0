"""What a label text has no place for lies beside it, and belongs to it."""

import json
import re

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations, write_annotations


@pytest.mark.parametrize(
    ("kind", "name"),
    [("wider", "wider.faceline.jsonl"), ("retinaface", "label.faceline.jsonl"), ("yolo", "faceline.jsonl")],
)
def test_its_name_and_what_it_holds(label_set, tmp_path, kind, name):
    write_annotations(label_set, tmp_path / kind, kind)
    header, *records = map(json.loads, (tmp_path / kind / name).read_text().splitlines())
    assert header == {"format": "faceline-annotations", "version": 1}
    assert [record["picture"] for record in records] == [picture.path for picture in label_set.pictures], "in order"
    assert [record["size"] for record in records] == [[200, 150]] * 3 + [[120, 130]]
    first, second = (set(record) - {"picture", "labels", "size"} for record in records[:2])
    assert (first, second) == {
        "wider": ({"boxes", "landmarks", "hidden", "scores"}, {"boxes", "landmarks"}),
        "retinaface": ({"attributes"}, {"ignore", "attributes"}),
        "yolo": ({"boxes", "attributes", "scores"}, {"faces", "boxes", "landmarks", "ignore", "attributes"}),
    }[kind]
    assert kind != "yolo" or (records[1]["faces"], list(records[1]["landmarks"])) == ([4, 3], ["1"])
    assert not list((tmp_path / kind).rglob("*.new"))


def test_coco_has_none(label_set, tmp_path):
    write_annotations(label_set, tmp_path / "coco", "coco")
    assert [file.name for file in (tmp_path / "coco").iterdir()] == ["coco.json"]


def test_without_it_labels_are_read_as_they_stand(label_set, tmp_path):
    write_annotations(label_set, tmp_path / "yolo", "yolo", link="hard")
    (tmp_path / "yolo/faceline.jsonl").unlink()
    read = read_annotations(tmp_path / "yolo")
    assert [(picture.path, len(picture.boxes)) for picture in read.pictures] == [
        ("all ignored.jpg", 0),
        ("empty.png", 0),
        ("0--Parade/2.b.jpg", 1),
        ("9--Press/one.jpg", 4),
    ]


@pytest.mark.parametrize(
    ("kind", "place"), [("wider", "wider.txt:1"), ("retinaface", "label.txt:1"), ("yolo", "one.txt")]
)
def test_changed_labels_are_told(label_set, tmp_path, kind, place):
    write_annotations(label_set, tmp_path / kind, kind, link="hard")
    file = {"wider": "wider.txt", "retinaface": "label.txt", "yolo": "labels/9--Press/one.txt"}[kind]
    text = (tmp_path / kind / file).read_text()
    first = next(line for line in text.splitlines() if len(line.split()) > 3)
    (tmp_path / kind / file).write_text(text.replace(first + "\n", first.replace("2", "3") + "\n", 1))
    with pytest.raises(FacelineError, match=f"{place}: the faces of 9--Press/one.jpg were changed since"):
        read_annotations(tmp_path / kind)
    read = read_annotations(tmp_path / kind, skip_bad=True)
    assert len(read.pictures) == 3
    assert "the picture is left out" in read.left_out[0]
    record = next((tmp_path / kind).glob("*faceline.jsonl"))
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if "9--Press" not in line))
    assert [len(picture.boxes) for picture in read_annotations(tmp_path / kind).pictures] == [4, 0, 2, 4], "it is last"


def test_one_of_other_labels_is_told(label_set, tmp_path):
    write_annotations(label_set, tmp_path / "yolo", "yolo", link="hard")
    (tmp_path / "moved").mkdir()
    for part in ("images", "labels"):
        (tmp_path / "moved" / part).mkdir()
        (tmp_path / "yolo" / part).rename(tmp_path / "moved" / part / "train")
    (tmp_path / "yolo/faceline.jsonl").rename(tmp_path / "moved/faceline.jsonl")
    with pytest.raises(FacelineError, match=r"moved/faceline.jsonl speaks of none of these pictures. Remove it where"):
        read_annotations(tmp_path / "moved")


def test_another_size_is_told(label_set, tmp_path, draw):
    write_annotations(label_set, tmp_path / "yolo", "yolo", link="symbolic")
    draw(label_set.folder / "9--Press/one.jpg", (100, 75))
    with pytest.raises(
        FacelineError, match=r"one.txt: 9--Press/one.jpg is 100 x 75 px upright, and its labels are of 200 x 150 px"
    ):
        read_annotations(tmp_path / "yolo")


def test_blanks_and_ends_of_lines_are_no_change(label_set, tmp_path, same):
    write_annotations(label_set, tmp_path / "retinaface", "retinaface", link="hard")
    file = tmp_path / "retinaface/label.txt"
    rows = (line if line.startswith("#") else line.replace(" ", "   ") for line in file.read_text().splitlines())
    file.write_bytes("\r\n".join(rows).encode())
    same(label_set, read_annotations(tmp_path / "retinaface"), px=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: should say format faceline-annotations and version 1. Convert again, or remove the file"),
        ('{"format": "faceline-annotations", "version": 9}', "1: should say format faceline-annotations and version 1"),
        (
            '{"format": "faceline-annotations", "version": 1}\n\n{',
            "3: is no record of a picture. Convert again, or take",
        ),
        (
            '{"format": "faceline-annotations", "version": 1}\n{}',
            "2: is no record of a picture. Convert again, or take",
        ),
    ],
)
def test_one_that_does_not_do(label_set, tmp_path, text, said):
    write_annotations(label_set, tmp_path / "wider", "wider", link="hard")
    file = tmp_path / "wider/wider.faceline.jsonl"
    file.write_text(text)
    with pytest.raises(FacelineError, match=f"^{re.escape(str(file))}:{said}"):
        read_annotations(tmp_path / "wider")


@pytest.mark.parametrize("value", [{"0": [1, 2]}, {"9": [0] * 6}, [1], {"x": 1}, {"0": None}, {"0": 1e300}])
def test_a_broken_record(label_set, tmp_path, value):
    write_annotations(label_set, tmp_path / "retinaface", "retinaface", link="hard")
    file = tmp_path / "retinaface/label.faceline.jsonl"
    header, first, *others = file.read_text().splitlines()
    file.write_text("\n".join([header, json.dumps(json.loads(first) | {"attributes": value}), *others]))
    with pytest.raises(FacelineError, match=r"label.faceline.jsonl: the record of 9--Press/one.jpg is broken \("):
        read_annotations(tmp_path / "retinaface")
