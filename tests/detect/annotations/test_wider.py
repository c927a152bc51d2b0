"""WIDER FACE's text, against a reader that is plainly right."""

import numpy as np
import pytest

from faceline_detect.annotations import read_annotations
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.wider import parse_wider

TEXT = """0--Parade/0_Parade_1.jpg
2
10 11 12 13 0 0 0 0 0 0 
20 21 22 23 2 1 1 1 2 1 

123/45.png
0
0 0 0 0 0 0 0 0 0 0 
9--Press/with a blank.JPEG
3
5 6 0 0 0 0 0 0 0 0 
7 8 0 9 0 0 0 0 0 0 
1 2 3 4 1 0 0 0 0 0
last.jpg
0
"""  # noqa: W291 (WIDER FACE's rows end with a blank)


def plain(text):
    """Path, count, rows; one record after the other, as the data set's readme says."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    found, at = [], 0
    while at < len(lines):
        path, count = lines[at], int(lines[at + 1])
        rows = [[int(word) for word in line.split()] for line in lines[at + 2 : at + 2 + count]]
        at += 2 + count
        if count == 0 and at < len(lines) and lines[at].split() == ["0"] * 10:
            at += 1
        found.append((path, rows))
    return found


@pytest.mark.parametrize("ends", ["\n", "\r\n", "  \n", "\n\n"])
def test_as_the_plain_reader(ends):
    drafts = parse_wider(TEXT.replace("\n", ends), "wider.txt", Faults(skip_bad=False))
    for draft, (path, rows) in zip(drafts, plain(TEXT), strict=True):
        assert draft.path == path
        np.testing.assert_array_equal(draft.boxes, np.array(rows).reshape(-1, 10)[:, :4])
        np.testing.assert_array_equal(draft.attributes, np.array(rows).reshape(-1, 10)[:, 4:])
        assert draft.ignore.tolist() == [row[2] == 0 or row[3] == 0 or row[7] == 1 for row in rows]


def test_lines_are_those_of_the_file():
    drafts = parse_wider(TEXT, "wider.txt", Faults(skip_bad=False))
    assert [draft.place for draft in drafts] == ["wider.txt:1", "wider.txt:6", "wider.txt:9", "wider.txt:14"]
    assert drafts[2].place_of(2) == "wider.txt:13"


def test_rows_of_a_box_alone():
    (draft,) = parse_wider("a.jpg\n1\n1 2 3 4\n", "wider.txt", Faults(skip_bad=False))
    assert draft.boxes.tolist() == [[1, 2, 3, 4]]
    assert not draft.attributes.any()


def test_a_real_file_as_the_plain_reader(real_data):
    file = real_data / "detection/bbx_gt.txt"
    read = read_annotations(file)
    for picture, (path, rows) in zip(read.pictures, plain(file.read_text()), strict=True):
        x, y, w, h = np.array(rows)[:, :4].T
        assert picture.path == path
        np.testing.assert_array_equal(picture.boxes, np.c_[x, y, x + w, y + h])


def test_the_official_validation_set(real_data):
    """Its boxes and invalid flags as the official .mat has them, written as the official text is."""
    from scipy.io import loadmat

    content = loadmat(real_data / "wider_gt/wider_face_val.mat")
    lines, boxes, invalid = [], [], []
    for event, (name,) in enumerate(content["event_list"]):
        for file, box, flag in zip(
            content["file_list"][event][0], content["face_bbx_list"][event][0], content["invalid_label_list"][event][0],
            strict=True,
        ):  # fmt: skip
            rows = [(*row, 0, 0, 0, bad, 0, 0) for row, (bad,) in zip(box[0].tolist(), flag[0].tolist(), strict=True)]
            empty = len(rows) == 1 and not any(rows[0])
            lines += [f"{name[0]}/{file[0][0]}.jpg", str(0 if empty else len(rows))]
            lines += [" ".join(map(str, row)) + " " for row in rows]
            boxes += [] if empty else [row[:4] for row in rows]
            invalid += [] if empty else [row[7] for row in rows]
    drafts = parse_wider("\n".join(lines), "val.txt", Faults(skip_bad=False))
    assert (len(drafts), sum(not len(draft.boxes) for draft in drafts)) == (3226, 4)
    np.testing.assert_array_equal(np.concatenate([draft.boxes for draft in drafts]), boxes)
    ignored = np.array(invalid, bool) | (np.array(boxes)[:, 2:] == 0).any(axis=1)
    np.testing.assert_array_equal(np.concatenate([draft.ignore for draft in drafts]), ignored)
    assert (len(boxes), sum(invalid), int(ignored.sum())) == (39704, 585, 591)
