"""`faceline-detect convert`, its options and what it says."""

import argparse

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations, write_annotations
from faceline_detect.converting_command import FORMATS, add_convert, convert_labels


@pytest.fixture
def convert():
    """A function that takes what stands behind `faceline-detect convert`."""

    def run(*arguments):
        parser = argparse.ArgumentParser()
        add_convert(parser.add_subparsers(dest="command"))
        convert_labels(parser.parse_args(["convert", *map(str, arguments)]))

    return run


def test_formats_are_those_that_are_read_and_written():
    from faceline_detect.annotations.locating import KINDS

    assert FORMATS == KINDS


def test_there_and_back(label_set, tmp_path, same, convert, capsys):
    write_annotations(label_set, tmp_path / "source.txt", "retinaface")
    convert(tmp_path / "source.txt", tmp_path / "yolo", "--to", "yolo", "--images", label_set.folder, "--link-images")
    assert capsys.readouterr().out.splitlines() == [
        "[detect] 4 images, 1 of them without a face",
        "[detect] 10 faces, 4 at most (9--Press/one.jpg); 5 of them ignored",
        "[detect] the others by height: 0 of < 10, 0 of 10-16, 0 of 16-32, 5 of 32-64, 0 of 64-128, 0 of >= 128 px; "
        "3 without all five landmarks",
        "[detect] 0 labels or images were wrong",
        f"[detect] {tmp_path}/source.txt -> {tmp_path}/yolo/data.yaml",
    ]
    convert(tmp_path / "yolo", tmp_path / "coco.json", "--to", "coco")
    convert(tmp_path / "coco.json", tmp_path / "wider", "--to", "wider", "--from", "coco", "--images", label_set.folder)
    same(label_set, read_annotations(tmp_path / "wider", images=label_set.folder), px=0)


def test_without_links_it_says_where_pictures_are_looked_for(label_set, tmp_path, convert, capsys):
    write_annotations(label_set, label_set.folder / "label.txt", "retinaface")
    convert(label_set.folder, tmp_path / "yolo", "--to", "yolo")
    assert f"note: YOLO looks for the pictures in {tmp_path}/yolo/images: link each there" in capsys.readouterr().out


def test_wrong_labels_are_counted(write_labels, tmp_path, convert, capsys):
    rows = ["a.jpg", "30", *["190 10 30 20"] * 30, "b.jpg", "1", "1 1 9 9", "c.jpg", "0"]
    file = write_labels("wider.txt", "\n".join(rows))
    with pytest.raises(FacelineError, match=r"wider.txt:36: .*c.jpg is not there"):
        convert(file, tmp_path / "label.txt", "--to", "retinaface")
    assert not (tmp_path / "label.txt").exists()
    convert(file, tmp_path / "label.txt", "--to", "retinaface", "--skip-bad")
    said = capsys.readouterr().out
    assert f"note: {file}:36: {tmp_path}/images/c.jpg is not there: the picture is left out" in said
    assert said.count("[detect] note:") == 21
    assert "note: 11 more like these" in said
    assert "31 labels or images were wrong" in said
    assert "31 faces, 30 at most (a.jpg); 30 of them ignored" in said
    (first, second) = read_annotations(tmp_path / "label.txt").pictures
    assert (first.ignore.all(), second.ignore.any()) == (True, False)
