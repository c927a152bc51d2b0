"""What is wrong in WIDER FACE's and RetinaFace's texts is named with its line; with skip_bad it is counted."""

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations

SKIP = "Mend it, or go on without it: --skip-bad (detect.skip_bad: true)"
OUT = "the picture is left out"
IGNORED = "the face is ignored"
BOTH = "both are left out"
GOOD = "b.jpg\n1\n10 10 20 20\n"
NO = " -1 -1 -1"

WIDER = {  # text, the line and what is said of it, what becomes of it, which pictures are left
    "count missing": (
        "a.jpg\n10 10 20 20\n" + GOOD,
        "2: the number of faces of a.jpg was expected, found '10 10 20 20'",
        OUT,
        "b",
    ),
    "count missing at the end": (GOOD + "a.jpg\n", "4: the file ends before the number of faces of a.jpg", OUT, "b"),
    "count missing before a path": (
        "a.jpg\n" + GOOD,
        "2: the number of faces of a.jpg was expected, found 'b.jpg'",
        OUT,
        "b",
    ),
    "count too large": ("a.jpg\n2\n10 10 20 20\n" + GOOD, "2: a.jpg should have 2 faces, and has 1 row", OUT, "b"),
    "count too large at the end": (
        GOOD + "a.jpg\n2\n10 10 20 20\n",
        "5: a.jpg should have 2 faces, and has 1 row",
        OUT,
        "b",
    ),
    "count too small": (
        "a.jpg\n1\n10 10 20 20\n9 9 9 9\n" + GOOD,
        "2: a.jpg should have 1 face, and has more rows",
        OUT,
        "b",
    ),
    "count 0 with a face": (
        "a.jpg\n0\n10 10 20 20\n" + GOOD,
        "2: a.jpg should have 0 faces, and has more rows",
        OUT,
        "b",
    ),
    "no number": ("a.jpg\n1\n10 1o 20 20\n" + GOOD, "3: '1o' is no number", OUT, "b"),
    "nan": ("a.jpg\n1\n10 nan 20 20\n" + GOOD, "3: 'nan' is no number of use", OUT, "b"),
    "part of an attribute": (
        "a.jpg\n1\n10 10 20 20 0 0.5 0 0 0 0\n" + GOOD,
        "3: an attribute is no whole number",
        OUT,
        "b",
    ),
    "column": ("a.jpg\n1\n10\n" + GOOD, "3: has 1 column, expected 4 or 10", OUT, "b"),
    "columns": ("a.jpg\n1\n10 10 20 20 0\n" + GOOD, "3: has 5 columns, expected 4 or 10", OUT, "b"),
    "outside": (
        "a.jpg\n1\n190 10 30 20\n" + GOOD,
        "3: the box 190 10 30 20 lies outside the picture of 200 x 150 px (a.jpg)",
        IGNORED,
        "ab",
    ),
    "negative size": (
        "a.jpg\n1\n50 50 -20 30\n" + GOOD,
        "3: the box 50 50 -20 30 has a negative size (a.jpg)",
        IGNORED,
        "ab",
    ),
    "two records": ("a.jpg\n0\n./a.jpg\n1\n10 10 20 20\n" + GOOD, "3: a.jpg has a record already, {}:1", BOTH, "b"),
    "small": (
        "small.jpg\n0\n" + GOOD,
        "1: {folder}/images/small.jpg is 30 x 10 px, and a side should have 20 or more",
        OUT,
        "b",
    ),
    "missing": ("c.jpg\n0\n" + GOOD, "1: {folder}/images/c.jpg is not there", OUT, "b"),
    "elsewhere": ("../a.jpg\n0\n" + GOOD, "1: '../a.jpg' should be a path below the folder of pictures", OUT, "b"),
}

RETINAFACE = {
    "no picture": (
        "10 10 20 20\n# b.jpg\n",
        "1: a row before the first # line, which names a picture",
        "it is left out",
        "b",
    ),
    "no name": ("#\n10 10 20 20\n# b.jpg\n", "1: names no picture after #", OUT, "b"),
    "columns": (
        "# a.jpg\n1 1 2 2\n10 10 20 20 5\n9 9 9 9\n# b.jpg\n1 1 2 2\n",
        "3: has 5 columns, expected 4 or 19 or 20",
        OUT,
        "b",
    ),
    "no number": ("# a.jpg\n10 10 20 x\n# b.jpg\n", "2: 'x' is no number", OUT, "b"),
    "flag": (
        "# a.jpg\n10 10 20 20" + " 12 12 7" + 4 * NO + " 1\n# b.jpg\n",
        "2: a landmark's flag is 7, not -1, 0 or 1",
        OUT,
        "b",
    ),
    "zero size": ("# a.jpg\n10 10 0 20\n# b.jpg\n", "2: the box 10 10 0 20 has a zero size (a.jpg)", IGNORED, "ab"),
    "landmark": (
        "# a.jpg\n10 10 20 20" + " 41 12 0" + 4 * NO + " 1\n# b.jpg\n",
        "2: the landmark 41 12 lies outside the box 10 10 20 20 (a.jpg)",
        IGNORED,
        "ab",
    ),
    "two records": ("# a.jpg\n# b.jpg\n# a.jpg\n1 1 9 9\n", "3: a.jpg has a record already, {}:1", BOTH, "b"),
}

CASES = [("wider.txt", *case) for case in WIDER.values()] + [("label.txt", *case) for case in RETINAFACE.values()]
NAMES = [f"wider, {name}" for name in WIDER] + [f"retinaface, {name}" for name in RETINAFACE]


@pytest.mark.parametrize(("name", "text", "said", "outcome", "left"), CASES, ids=NAMES)
def test_wrong_text(write_labels, tmp_path, name, text, said, outcome, left):
    file = write_labels(name, text)
    said = f"{file}:{said.format(file, folder=tmp_path)}"
    with pytest.raises(FacelineError) as error:
        read_annotations(tmp_path)
    assert str(error.value) == f"{said}. {SKIP}"
    read = read_annotations(file, skip_bad=True)
    assert read.left_out == (f"{said}: {outcome}",)
    assert [picture.path for picture in read.pictures] == [f"{letter}.jpg" for letter in left]
    if outcome == IGNORED:
        assert read.pictures[0].ignore.tolist() == [True]
