"""Labels are written whole or not at all, and over nothing else."""

import os
from dataclasses import replace

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import Annotations, read_annotations, write_annotations

KINDS = ("wider", "retinaface", "coco", "yolo")


@pytest.mark.parametrize("kind", KINDS)
def test_an_earlier_one_of_the_same_format_is_replaced(label_set, tmp_path, same, kind):
    write_annotations(label_set, tmp_path / "labels", kind, link="hard")
    fewer = replace(label_set, pictures=label_set.pictures[1:])
    write_annotations(fewer, tmp_path / "labels", kind, link="hard")
    same(fewer, read_annotations(tmp_path / "labels"))
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_another_format_is_not_replaced(label_set, tmp_path, kind, other):
    if kind == other:
        return
    write_annotations(label_set, tmp_path / "labels", other)
    before = sorted(file.name for file in (tmp_path / "labels").iterdir())
    with pytest.raises(FacelineError, match=rf"labels holds .*, which no {kind} labels have, and would be replaced"):
        write_annotations(label_set, tmp_path / "labels", kind)
    assert sorted(file.name for file in (tmp_path / "labels").iterdir()) == before


def test_a_folder_whose_label_file_is_of_another_format_is_not_replaced(label_set, tmp_path):
    write_annotations(label_set, tmp_path / "labels/label.txt", "wider")
    with pytest.raises(FacelineError, match=r"labels holds label.txt, which no retinaface labels have"):
        write_annotations(label_set, tmp_path / "labels", "retinaface")


def test_files(label_set, tmp_path):
    file = tmp_path / "labels.txt"
    write_annotations(label_set, file, "wider")
    write_annotations(replace(label_set, pictures=label_set.pictures[:1]), file, "wider")
    with pytest.raises(
        FacelineError, match=r"labels.txt is there and holds no retinaface labels; it would be replaced"
    ):
        write_annotations(label_set, file, "retinaface")
    with pytest.raises(FacelineError, match=r"labels.txt is named as a file, and a folder is to be written"):
        write_annotations(label_set, file, "wider", link="hard")
    with pytest.raises(FacelineError, match=r"data.yaml is named as a file, and a folder is to be written"):
        write_annotations(label_set, tmp_path / "data.yaml", "yolo")
    with pytest.raises(FacelineError, match=r"labels.txt is the file that is read. Name another one to write"):
        write_annotations(read_annotations(file, images=label_set.folder), file, "wider")
    assert read_annotations(file, images=label_set.folder).pictures[0].path == "9--Press/one.jpg"
    (tmp_path / "file").write_text("")
    with pytest.raises(FacelineError, match="file is a file, and a folder is to be written"):
        write_annotations(label_set, tmp_path / "file", "wider")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("a.json", "wider", "as labels of coco are, and wider is to be written. Name a folder or a .txt"),
        ("a.JSON", "retinaface", "as labels of coco are, and retinaface is to be written. Name a folder or a .txt"),
        ("a.txt", "coco", "as labels of wider or retinaface are, and coco is to be written. Name a folder or a .json"),
        ("a.txt", "yolo", "as labels of wider or retinaface are, and yolo is to be written. Name a folder"),
        ("a.json", "yolo", "as labels of coco are, and yolo is to be written. Name a folder"),
        ("data.yaml", "coco", "as labels of yolo are, and coco is to be written. Name a folder or a .json"),
        ("a.yml", "wider", "as labels of yolo are, and wider is to be written. Name a folder or a .txt"),
    ],
)
def test_a_name_of_another_format_is_refused(label_set, tmp_path, name, kind, said):
    with pytest.raises(FacelineError) as error:
        write_annotations(label_set, tmp_path / name, kind)
    assert str(error.value) == f"{tmp_path / name} is named {said}"
    assert not (tmp_path / name).exists()


def test_a_name_in_capitals_is_a_file_too(label_set, tmp_path, same):
    for name, kind in (("a.JSON", "coco"), ("a.TXT", "wider")):
        assert write_annotations(label_set, tmp_path / name, kind) == tmp_path / name
        same(label_set, read_annotations(tmp_path / name, images=label_set.folder))


def test_pictures_are_never_lost(label_set, tmp_path, draw):
    write_annotations(label_set, label_set.folder / "wider.txt", "wider")
    with pytest.raises(FacelineError, match=r"pictures holds .*/pictures, which is read, and would be replaced"):
        write_annotations(label_set, label_set.folder, "wider")
    write_annotations(label_set, tmp_path / "yolo", "yolo", link="hard")
    read = read_annotations(tmp_path / "yolo")
    with pytest.raises(FacelineError, match=r"yolo holds .*, which is read, and would be replaced"):
        write_annotations(read, tmp_path / "yolo", "yolo")
    draw(tmp_path / "yolo/images/own.jpg")
    with pytest.raises(FacelineError, match=r"yolo holds .*own.jpg, which is no link, and would be lost"):
        write_annotations(label_set, tmp_path / "yolo", "yolo")
    assert (tmp_path / "yolo/images/own.jpg").is_file()


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links(label_set, tmp_path, link):
    write_annotations(label_set, tmp_path / "sets/yolo", "yolo", link=link)
    for picture in label_set.pictures:
        linked, original = tmp_path / "sets/yolo/images" / picture.path, label_set.folder / picture.path
        assert linked.samefile(original)
        assert linked.is_symlink() == (link == "symbolic")
        assert link == "hard" or not os.path.isabs(linked.readlink()), "both can move together"  # noqa: PTH117
    (tmp_path / "moved").mkdir()
    for name in ("sets", "pictures"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert len(read_annotations(tmp_path / "moved/sets/yolo").pictures) == 4


def test_nothing_is_left_of_what_fails(label_set, tmp_path, labelled):
    twins = Annotations([labelled("a.jpg", []), labelled("a.png", [])], label_set.folder, label_set.source)
    write_annotations(label_set, tmp_path / "yolo", "yolo")
    with pytest.raises(FacelineError, match=r"a.png and a.jpg would share YOLO's label file a.txt. Rename one"):
        write_annotations(twins, tmp_path / "yolo", "yolo")
    assert len(read_annotations(tmp_path / "yolo", images=label_set.folder).pictures) == 4
    with pytest.raises(FacelineError, match=r"a.jpg: YOLO takes no picture of such an ending|b.gif: YOLO takes no"):
        write_annotations(replace(twins, pictures=[labelled("b.gif", [])]), tmp_path / "gif", "yolo")
    with pytest.raises(FacelineError, match=r"' a.jpg': retinaface labels cannot name it so. Rename it"):
        write_annotations(replace(twins, pictures=[labelled(" a.jpg", [])]), tmp_path / "labels.txt", "retinaface")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pictures", "yolo"]


def test_wider_has_whole_px_and_invalid_faces(label_set, tmp_path):
    write_annotations(label_set, tmp_path / "wider.txt", "wider")
    lines = (tmp_path / "wider.txt").read_text().splitlines()
    assert lines[:3] == ["9--Press/one.jpg", "4", "20 30 40 40 0 0 0 0 0 0"]
    assert lines[6:12] == [
        "0--Parade/2.b.jpg",
        "4",
        "5 6 0 0 0 0 0 0 0 0",
        "10 10 30 40 0 0 0 1 0 0",
        "60 60 0 20 2 0 0 1 0 0",
        "-5 40 35 40 0 0 0 0 0 0",
    ]
    assert lines[12:15] == ["empty.png", "0", "0 0 0 0 0 0 0 0 0 0"]
    assert lines[17] == "10 10 30 40 0 0 0 1 0 0", "ignored"


def test_coco_is_what_its_readers_expect(label_set, tmp_path):
    import json

    write_annotations(label_set, tmp_path / "coco.json", "coco")
    content = json.loads((tmp_path / "coco.json").read_text())
    assert content["images"][0] == {"id": 1, "file_name": "9--Press/one.jpg", "width": 200, "height": 150}
    assert [category["name"] for category in content["categories"]] == ["face"]
    faces = content["annotations"]
    assert [face["id"] for face in faces] == list(range(1, 11))
    assert [face["iscrowd"] for face in faces] == [0, 0, 0, 0, 1, 1, 1, 0, 1, 1]
    assert faces[0] == {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 30, 40, 40], "area": 1600, "iscrowd": 0,
        "keypoints": [32, 41, 1, 50, 40, 2, 41, 51, 2, 33, 60, 2, 49, 61, 1], "num_keypoints": 5, "score": 0.82,
    }  # fmt: skip
    assert faces[2]["keypoints"] == [32.125, 41, 1, 0, 0, 0, 41, 51.5, 2, 0, 0, 0, 49, 61, 2]
    assert faces[1] == {
        "id": 2, "image_id": 1, "category_id": 1, "bbox": [100.25, 20.5, 30, 39.625], "area": 1188.75, "iscrowd": 0,
        "blur": 2, "illumination": 1, "occlusion": 2, "pose": 1,
    }  # fmt: skip
