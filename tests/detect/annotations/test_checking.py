"""Pictures that cannot be used, and labels that can though they look odd."""

import re

import numpy as np
import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations

GOOD = "b.jpg\n1\n10 10 20 20\n"


def test_large_pictures(write_labels, tmp_path, draw):
    draw(tmp_path / "images/wide.png", (20_000, 20))
    with pytest.raises(FacelineError, match=r"wider.txt:1: .*wide.png is 20000 x 20 px, more than a side of 19999 and"):
        read_annotations(write_labels("wider.txt", "wide.png\n0\n"))


def test_more_pixels_than_are_read(write_labels, tmp_path, huge_picture):
    (tmp_path / "images/huge.png").write_bytes(huge_picture)
    with pytest.raises(FacelineError, match=r"wider.txt:1: .*huge.png is 70000 x 70000 px, more than a side"):
        read_annotations(write_labels("wider.txt", "huge.png\n0\n"))


def test_no_picture(write_labels, tmp_path):
    (tmp_path / "images/broken.jpg").write_bytes(b"nothing")
    file = write_labels("wider.txt", "broken.jpg\n0\n" + GOOD)
    with pytest.raises(FacelineError, match=f"^{re.escape(str(file))}:1: .*broken.jpg has no header of a JPEG"):
        read_annotations(file)


def test_what_is_allowed(write_labels):
    """A box that reaches out by less than half, landmarks beside a box, some of them unknown."""
    points = " 0.5 20 0 39.5 20 0 20 0.5 1 20 39.5 0 -1 -1 -1"
    file = write_labels("label.txt", f"# a.jpg\n10 10 20 20{points} 0.5\n-9 10 20 20\n185 140 20 15\n")
    (picture,) = read_annotations(file).pictures
    assert not picture.ignore.any()
    assert picture.with_landmarks.tolist() == [False] * 3
    assert np.isfinite(picture.landmarks[0]).all(axis=1).tolist() == [True] * 4 + [False]


def test_a_negative_size_is_ignored_where_it_spans(write_labels):
    (picture, _) = read_annotations(write_labels("w.txt", "a.jpg\n1\n50 50 -20 30\n" + GOOD), skip_bad=True).pictures
    assert picture.boxes.tolist() == [[30, 50, 50, 80]]


def test_nothing_left(write_labels):
    file = write_labels("wider.txt", "small.jpg\n0\n")
    with pytest.raises(
        FacelineError, match=f"^{re.escape(str(file))} has labels of no picture that can be used: .*10 px"
    ):
        read_annotations(file, skip_bad=True)


def test_pictures_elsewhere(write_labels, tmp_path, draw):
    file = write_labels("wider.txt", "d.jpg\n0\ne.jpg\n0\n")
    with pytest.raises(
        FacelineError,
        match=rf"wider.txt:1: d.jpg is not in {tmp_path}/images or {tmp_path}, nor any other of the 2 pictures. Put",
    ):
        read_annotations(file)
    with pytest.raises(FacelineError, match="nowhere is no folder"):
        read_annotations(file, images=tmp_path / "nowhere")
    for name in ("d.jpg", "e.jpg"):
        draw(tmp_path / "elsewhere" / name)
    assert read_annotations(file, images=tmp_path / "elsewhere").folder == tmp_path / "elsewhere"


def test_archives_of_wider_face_unpacked_side_by_side(write_labels, tmp_path, draw):
    file = write_labels("wider_face_split/wider_face_val_bbx_gt.txt", "0--Parade/a.jpg\n1\n1 2 30 40\n")
    draw(tmp_path / "WIDER_val/images/0--Parade/a.jpg")
    assert read_annotations(file).folder == tmp_path / "WIDER_val/images"
    assert read_annotations(tmp_path / "wider_face_split").source == file
