"""Which label file is meant, and of which format it is."""

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations, write_annotations
from faceline_detect.annotations.locating import locate

WIDER, RETINAFACE = "1--a/1.jpg\n1\n1 2 3 4\n", "# 1--a/1.jpg\n1 2 3 4\n"
COCO = '{"images": [], "annotations": []}'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (WIDER, "wider"),
        ("\r\n" + WIDER.replace("\n", "\r\n"), "wider"),
        ("a.jpg\n1 2 3 4\n", "wider"),
        ("no ending\n0\n0 0 0 0 0 0 0 0 0 0\n", "wider"),
        (RETINAFACE, "retinaface"),
        ("1 2 3 4\n" + RETINAFACE, "retinaface"),
        ("# 2.jpg\n", "retinaface"),
        (COCO, "coco"),
        ("\ufeff" + WIDER, "wider"),
        ("\ufeff# 2.jpg\n", "retinaface"),
    ],
)
def test_files_are_told_by_their_content(tmp_path, text, kind):
    (tmp_path / "labels").write_text(text)
    assert locate(tmp_path / "labels", None) == (tmp_path / "labels", kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty, and no label file"),
        ("0 0.5 0.5 0.1 0.1\n", "has rows of numbers and names no picture; of YOLO's labels the folder is to be named"),
        ("some words\nand more", "is of none of the formats that are known"),
        ('{"faces": []}', "is of none of the formats that are known"),
    ],
)
def test_other_files_are_refused(tmp_path, text, said):
    (tmp_path / "labels").write_text(text)
    with pytest.raises(FacelineError, match=f"labels: {said}. Name another file, or say what it is: --from"):
        locate(tmp_path / "labels", None)
    assert locate(tmp_path / "labels", "wider")[1] == "wider", "named"


def test_folders(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(FacelineError, match=r"holds no labels: label.txt, wider.txt, .* Name the file itself"):
        locate(tmp_path, None)
    (tmp_path / "labels").mkdir()
    assert locate(tmp_path, None) == (tmp_path, "yolo")
    (tmp_path / "data.yaml").write_text("")
    (tmp_path / "notes.json").write_text("{}")
    assert locate(tmp_path, None) == (tmp_path, "yolo")
    (tmp_path / "train.json").write_text(COCO)
    assert locate(tmp_path, None) == (tmp_path / "train.json", "coco")
    (tmp_path / "wider_face_val_bbx_gt.txt").write_text(WIDER)
    assert locate(tmp_path, None) == (tmp_path / "wider_face_val_bbx_gt.txt", "wider")
    (tmp_path / "label.txt").write_text(RETINAFACE)
    assert locate(tmp_path, None) == (tmp_path / "label.txt", "retinaface")
    for kind in ("wider", "retinaface", "coco", "yolo"):
        assert locate(tmp_path, kind)[1] == kind
    (tmp_path / "val.json").write_text(COCO)
    with pytest.raises(FacelineError, match=r"holds train.json and val.json. Name one of them"):
        locate(tmp_path, "coco")


def test_nothing_there(tmp_path):
    with pytest.raises(FacelineError, match=r"nowhere is not there\. Name a label file, or a folder with one"):
        read_annotations(tmp_path / "nowhere")
    with pytest.raises(FacelineError, match="'widder' is no format of labels: did you mean wider"):
        read_annotations(tmp_path, kind="widder")


def test_a_format_that_is_named_wins(label_set, tmp_path):
    write_annotations(label_set, tmp_path / "labels.txt", "retinaface")
    with pytest.raises(FacelineError, match=r"labels.txt:2: the number of faces of # 9--Press/one.jpg was expected"):
        read_annotations(tmp_path / "labels.txt", kind="wider", images=label_set.folder)


def test_not_text(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"a.jpg\n0\n\xff\xfe")
    with pytest.raises(FacelineError, match=r"labels.txt is not UTF-8 text \(byte 8\). Save it as UTF-8"):
        read_annotations(tmp_path / "labels.txt")
