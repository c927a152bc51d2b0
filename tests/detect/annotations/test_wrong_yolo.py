"""What is wrong in YOLO's labels is named with file and line; with skip_bad it is counted."""

import re

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations

SKIP = "Mend it, or go on without it: --skip-bad (detect.skip_bad: true)"
OUT = "the picture is left out"
IGNORED = "the face is ignored"

YOLO = {
    "columns": ("0 0.5 0.5 0.1\n", ":1: has 4 columns, expected 5 or 20", OUT, "b"),
    "no number": ("\n0 0.5 0.5 0.1 ?\n", ":2: '?' is no number", OUT, "b"),
    "class": (
        "3 0.5 0.5 0.1 0.1\n",
        ":1: class 3 is not 0, and there is no data.yaml that says which is the face",
        OUT,
        "b",
    ),
    "outside": (
        "0 1.5 0.5 0.1 0.1\n",
        ":1: the box 290 67.5 20 15 lies outside the picture of 200 x 150 px (a.jpg)",
        IGNORED,
        "ab",
    ),
    "zero size": ("0 0.5 0.5 0 0.1\n", ":1: the box 100 67.5 0 15 has a zero size (a.jpg)", IGNORED, "ab"),
}


@pytest.mark.parametrize(("text", "said", "outcome", "left"), YOLO.values(), ids=YOLO)
def test_wrong_yolo(write_labels, tmp_path, text, said, outcome, left):
    (tmp_path / "images/small.jpg").unlink()
    file = write_labels("labels/a.txt", text)
    with pytest.raises(FacelineError) as error:
        read_annotations(tmp_path)
    assert str(error.value) == f"{file}{said}. {SKIP}"
    read = read_annotations(tmp_path, skip_bad=True)
    assert read.left_out == (f"{file}{said}: {outcome}",)
    assert [picture.path for picture in read.pictures] == [f"{letter}.jpg" for letter in left]


def test_a_label_file_without_a_picture(write_labels, tmp_path):
    (tmp_path / "images/small.jpg").unlink()
    file = write_labels("labels/c.txt", "")
    write_labels("labels/classes.txt", "face")
    write_labels("labels/a.txt", "")
    with pytest.raises(FacelineError, match=f"^{re.escape(str(file))}: its picture is not there. Mend"):
        read_annotations(tmp_path)
    read = read_annotations(tmp_path, skip_bad=True)
    assert (len(read.pictures), len(read.left_out)) == (2, 1)


def test_a_small_picture_of_yolo(write_labels, tmp_path):
    write_labels("labels/a.txt", "")
    with pytest.raises(FacelineError, match=r"labels/small.txt: .*images/small.jpg is 30 x 10 px, and a side should"):
        read_annotations(tmp_path)
