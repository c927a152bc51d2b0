"""Folders as YOLO's users lay them out, and the text of one picture."""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations, write_annotations, yolo_lines
from faceline_detect.annotations.yolo_folder import open_yolo

ROW = "0 0.5 0.5 0.1 0.2\n"  # of 200 x 150 px: 90 60 20 30


@pytest.fixture
def lay(tmp_path, draw):
    """A function that writes pictures of 200 x 150 px, and texts, below a folder."""

    def write(**files: str | None):
        for name, text in files.items():
            file = tmp_path / name.replace("__", "/").replace("_jpg", ".jpg").replace("_txt", ".txt")
            if text is None:
                draw(file)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        return tmp_path

    return write


def paths(read):
    return [picture.path for picture in read.pictures]


def test_images_and_labels(lay):
    root = lay(images__b_jpg=None, images__x__a_jpg=None, labels__b_txt=ROW, labels__x__a_txt="")
    read = read_annotations(root)
    assert paths(read) == ["b.jpg", "x/a.jpg"]
    assert read.pictures[0].boxes.tolist() == [[90, 60, 110, 90]]
    assert len(read.pictures[1].boxes) == 0
    assert read.folder == root / "images"


def test_a_picture_without_a_label_file_has_no_faces(lay):
    read = read_annotations(lay(images__a_jpg=None, images__b_jpg=None, labels__a_txt=ROW))
    assert [len(picture.boxes) for picture in read.pictures] == [1, 0]


def test_pictures_alone_are_not_taken_for_background(lay):
    root = lay(images__a_jpg=None, images__b_jpg=None)
    with pytest.raises(FacelineError, match=r"images holds no labels"):
        read_annotations(root / "images")
    with pytest.raises(FacelineError, match=r"images has no data.yaml, no labels/, and no labels where YOLO looks"):
        open_yolo(root / "images", None)
    (root / "labels").mkdir()
    for place in (root, root / "images"):
        with pytest.raises(FacelineError, match=r"none of its 2 pictures has labels, as .*/labels/a.txt. Label them"):
            read_annotations(place)


def test_splits_of_data_yaml(lay):
    root = lay(
        images__train__a_jpg=None, images__val__b_jpg=None, labels__train__a_txt=ROW, labels__val__b_txt=ROW + ROW
    )
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nval: [images/val, images/train]\nnames: [face]\n")
    for place in (root, root / "data.yaml"):
        assert paths(read_annotations(place)) == ["train/a.jpg", "val/b.jpg"]
    one = read_annotations(root / "images/val")
    assert (paths(one), one.folder) == (["val/b.jpg"], root / "images")


def test_splits_that_each_have_images_and_labels(lay):
    root = lay(train__images__a_jpg=None, valid__images__b_jpg=None, train__labels__a_txt=ROW, valid__labels__b_txt="")
    (root / "data.yaml").write_text("train: train/images\nval: valid/images\nnc: 1\nnames: ['face']\n")
    read = read_annotations(root)
    assert (paths(read), read.folder) == (["train/images/a.jpg", "valid/images/b.jpg"], root)


def test_lists_of_pictures(lay):
    root = lay(images__a_jpg=None, images__b_jpg=None, labels__a_txt=ROW, list_txt="./images/a.jpg\n\n")
    (root / "data.yaml").write_text("train: list.txt\nval: list.txt\nnames: {0: face}\n")
    assert paths(read_annotations(root)) == ["a.jpg"]


def test_other_classes_are_passed_over(lay):
    root = lay(images__a_jpg=None, labels__a_txt="1 0.5 0.5 0.1 0.2\n0 0.2 0.2 0.1 0.1\n2 0.3 0.3 0.1 0.1\n")
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [person, Face, car]\n")
    assert read_annotations(root).pictures[0].boxes.tolist() == [[90, 60, 110, 90]]
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [person, head]\n")
    with pytest.raises(FacelineError, match=r"data.yaml: none of its 2 names is face. Call the class of faces so"):
        read_annotations(root)
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [face, head]\n")
    with pytest.raises(FacelineError, match=r"a.txt:3: class 2 is not 0 to 1\. "):
        read_annotations(root)


def test_points_without_visibility(lay):
    points = " 0.46 0.45" + " 0.5 0.5" * 3 + " 0 0"
    root = lay(images__a_jpg=None, labels__a_txt=ROW.strip() + points + "\n")
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [face]\nkpt_shape: [5, 2]\n")
    (picture,) = read_annotations(root).pictures
    expected = [[92, 67.5], [100, 75], [100, 75], [100, 75], [np.nan, np.nan]]
    np.testing.assert_array_equal(picture.landmarks[0], expected)
    (root / "data.yaml").write_text("train: images\nval: images\nnames: [face]\nkpt_shape: [17, 3]\n")
    with pytest.raises(FacelineError, match=r"data.yaml: kpt_shape is \[17, 3\], expected \[5, 3\]"):
        read_annotations(root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [face]", "names no train or val"),
        ("- a", "names no train or val"),
        ("a: [", "is no YAML"),
        ("path: /nowhere/at/all\ntrain: images", "path: /nowhere/at/all is not there. Take it out"),
        ("train: pictures", "its pictures should lie in .*/pictures. Put them there, or name them: --images"),
    ],
)
def test_data_yaml_that_does_not_do(lay, text, said):
    root = lay(images__a_jpg=None, labels__a_txt=ROW)
    (root / "data.yaml").write_text(text)
    with pytest.raises(
        FacelineError, match=f"^{re.escape(str(root / 'data.yaml'))}: {said}|^{re.escape(str(root))}: {said}"
    ):
        read_annotations(root)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_pictures_below_another_images(label_set, tmp_path, labelled, draw, same, elsewhere):
    """YOLO puts labels in the place of the last `images`: a set of splits, each with images/, keeps that so."""
    path = "train/images/a.jpg"
    pictures = [*label_set.pictures, labelled(path, [[10, 20, 30, 50]])]
    draw(label_set.folder / path)
    more = replace(label_set, pictures=pictures)
    for _ in range(2):
        write_annotations(more, tmp_path / "yolo", "yolo", link=None if elsewhere else "hard")
        assert (tmp_path / "yolo/images/train/labels/a.txt").is_file()
        same(more, read_annotations(tmp_path / "yolo", images=label_set.folder if elsewhere else None), px=0)


def test_pictures_that_are_elsewhere(lay, tmp_path):
    root = lay(set__labels__x__a_txt=ROW, elsewhere__x__a_jpg=None, elsewhere__b_jpg=None)
    read = read_annotations(root / "set", images=root / "elsewhere")
    assert (paths(read), read.folder) == (["b.jpg", "x/a.jpg"], tmp_path / "elsewhere")


def test_with_a_sidecar_only_labelled_pictures_belong_to_the_set(label_set, tmp_path, draw):
    write_annotations(label_set, tmp_path / "yolo", "yolo")
    draw(label_set.folder / "another.jpg")
    read = read_annotations(tmp_path / "yolo", images=label_set.folder)
    assert paths(read) == paths(label_set)


def test_what_is_written(label_set, tmp_path):
    write_annotations(label_set, tmp_path / "yolo", "yolo")
    assert yaml.safe_load((tmp_path / "yolo/data.yaml").read_text()) == {
        "train": "images",
        "val": "images",
        "names": {0: "face"},
        "kpt_shape": [5, 3],
        "flip_idx": [1, 0, 2, 4, 3],
    }
    labels = {
        file.relative_to(tmp_path / "yolo/labels").as_posix(): file for file in (tmp_path / "yolo").rglob("*.txt")
    }
    assert sorted(labels) == ["0--Parade/2.b.txt", "9--Press/one.txt", "all ignored.txt", "empty.txt"]
    assert labels["empty.txt"].read_text() == labels["all ignored.txt"].read_text() == ""
    rows = [line.split() for line in labels["9--Press/one.txt"].read_text().splitlines()]
    assert [len(row) for row in rows] == [20] * 4
    assert rows[0][:8] == ["0", "0.2", "0.333333333333", "0.2", "0.266666666667", "0.16", "0.273333333333", "1"]
    assert rows[1][5:] == ["0"] * 15
    assert rows[2][5:] == ["0.160625", "0.273333333333", "1", *"000", "0.205", "0.343333333333", "2", *"000",
                           "0.245", "0.406666666667", "2"]  # fmt: skip
    assert rows[3][1:5] == ["0.9", "0.333333333333", "0.2", "0.266666666667"], "cut off at the right edge"
    assert rows[3][8:11] == ["1", "0.266666666667", "2"], "on the edge"
    (left,) = [line.split() for line in labels["0--Parade/2.b.txt"].read_text().splitlines()]
    assert left[1:5] == ["0.075625", "0.4", "0.15125", "0.266666666667"], "cut off at the left edge"


def test_all_numbers_are_fractions(random_set):
    """Whatever reaches out: ultralytics passes over a picture with a value outside 0 to 1."""
    for picture in random_set(3).pictures:
        moved = replace(picture, boxes=picture.boxes - 15, landmarks=picture.landmarks - 15)
        values = [line.split() for line in yolo_lines(moved, landmarks=True).splitlines()]
        assert len(values) == (~picture.ignore).sum()
        for row in np.array(values, float).reshape(-1, 20):
            points = row[5:].reshape(5, 3)
            assert ((row[1:5] >= 0) & (row[1:5] <= 1)).all()
            assert ((points[:, :2] >= 0) & (points[:, :2] <= 1)).all()
            assert (points[points[:, 2] == 0] == 0).all()


def test_lines_need_a_size(label_set):
    with pytest.raises(FacelineError, match="its size is not known"):
        yolo_lines(replace(label_set.pictures[0], size=None), landmarks=False)
