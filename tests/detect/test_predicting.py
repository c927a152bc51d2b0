"""What predict writes and says of photos with faces, without, and of files that are none; the detector is ours."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.faces import Face
from faceline_detect.predicting import predict

POINTS = np.array([[30, 30], [50, 30], [40, 40], [32, 50], [48, 50]], np.float32)


class Finds:
    """In a photo of W px, W - 100 faces, every other one without landmarks."""

    landmarks, confidence = True, 0.5

    def __init__(self):
        self.searched = []

    def detect(self, images):
        self.searched += [image.shape[:2] for image in images]
        return [[self._face(number) for number in range(max(0, image.shape[1] - 100))] for image in images]

    def _face(self, number):
        box = np.array([20.125, 10, 60, 70 + number], np.float32)
        return Face(box, None if number % 2 else POINTS + number, 0.9 - number / 10)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A function that makes a folder of photos of some widths, 80 px high, and of files that are none."""
    monkeypatch.chdir(tmp_path)

    def make(widths=(), broken=0):
        (tmp_path / "photos").mkdir(exist_ok=True)
        for width in widths:
            Image.new("RGB", (width, 80)).save(tmp_path / f"photos/{width}.png")
        for number in range(broken):
            (tmp_path / f"photos/b{number:02}.jpg").write_bytes(b"")
        return tmp_path / "photos"

    return make


def found(*places, size=None):
    detector = Finds()
    predict(places, lambda: detector, places[0].with_name("out"), size)
    return detector


def lines(capsys):
    return [line.removeprefix("[detect] ") for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("widths", "broken", "said"),
    [
        ([100], 0, "0 faces in 1 photo -> "),
        ([101], 1, "1 face in 1 photo -> (1 photo does not decode)"),
        ([101, 102, 103], 2, "6 faces in 3 photos -> (2 photos do not decode)"),
        ([101, 12], 0, "1 face in 1 photo -> (1 photo is too small)"),
        ([19, 12], 1, "0 faces in 0 photos -> (1 photo does not decode; 2 photos are too small)"),
    ],
)
def test_what_is_counted(photos, capsys, widths, broken, said):
    folder = photos(widths, broken)
    found(folder)
    assert lines(capsys)[-1].replace(f"{folder.with_name('out')}", "").replace("->  (", "-> (") == said


def test_faces_that_cannot_be_cut_out_are_counted(photos, capsys):
    found(photos([102]), size=32)
    assert lines(capsys)[-1].endswith("(1 face without landmarks was not cut out)")
    found(photos([104]), size=32)
    assert lines(capsys)[-1].endswith("(3 faces without landmarks were not cut out)")


def test_each_photo_that_is_left_out_has_a_line_and_a_row(photos, capsys):
    folder = photos([101, 19, 20], broken=1)
    assert sorted(found(folder).searched) == [(80, 20), (80, 101)], "nothing is too small from 20 px"
    expected = {
        f"{folder}/19.png": "is 19 x 80 px, and a side should have 20 or more",
        f"{folder}/b00.jpg": "does not decode: the file is empty",
    }
    assert lines(capsys)[:-1] == [f"left out: {photo}: {why}" for photo, why in expected.items()]
    records = json.loads((folder.parent / "out/faces.json").read_text())
    assert {photo: record["fault"] for photo, record in records.items() if "fault" in record} == expected
    assert records[f"{folder}/19.png"] | {"fault": ""} == {"width": 19, "height": 80, "faces": [], "fault": ""}
    with (folder.parent / "out/faces.csv").open() as file:
        rows = {row["photo"]: row["fault"] for row in csv.DictReader(file)}
    assert rows == expected | {f"{folder}/101.png": ""}


def test_ten_lines_and_where_the_others_are(photos, capsys):
    folder = photos([101], broken=12)
    found(folder)
    said = lines(capsys)
    assert [line.startswith("left out: ") for line in said] == [True] * 10 + [False] * 2
    assert said[10] == f"and 2 more: {folder.with_name('out')}/faces.csv"


def test_no_photo_that_can_be_read_is_an_error_and_an_earlier_folder_stays(photos, capsys):
    folder = photos([101])
    found(folder)
    before = (folder.parent / "out/faces.json").read_bytes()
    (folder / "101.png").unlink()
    photos(broken=11)
    capsys.readouterr()
    with pytest.raises(FacelineError, match=r"none of 11 photos can be read, and nothing was written to .*out"):
        found(folder)
    said = lines(capsys)
    assert said[0] == f"left out: {folder}/b00.jpg: does not decode: the file is empty"
    assert said[10:] == ["and 1 more: like these"]
    assert (folder.parent / "out/faces.json").read_bytes() == before
    with pytest.raises(FacelineError, match=r"b00\.jpg cannot be read, and"):
        found(folder / "b00.jpg")
    assert [path.name for path in folder.parent.glob(".*")] == []


def test_json_has_a_line_a_face(photos):
    folder = photos([100, 101, 103, 19], broken=1)
    found(folder)
    text = (folder.parent / "out/faces.json").read_text()
    assert [line.strip().rstrip(",").endswith("}") for line in text.splitlines() if '"score"' in line] == [True] * 4
    assert [json.loads(line.rstrip(",")) for line in text.splitlines() if '"score"' in line] == [
        {"box": [20.12, 10, 60, 70 + n], "landmarks": None if n % 2 else (POINTS + n).tolist(), "score": 0.9 - n / 10}
        for n in (0, 0, 1, 2)
    ]
    records = json.loads(text)
    assert [path.rpartition("/")[2] for path in records] == ["100.png", "101.png", "103.png", "19.png", "b00.jpg"]
    assert [len(record.get("faces", [])) for record in records.values()] == [0, 1, 3, 0, 0]
    assert (records[f"{folder}/103.png"]["width"], records[f"{folder}/103.png"]["height"]) == (103, 80)


def test_a_name_that_is_no_text_can_be_said(photos, capsys):
    folder = photos([101])
    (folder / "\udcff.jpg").write_bytes(b"")
    found(folder)
    assert lines(capsys)[0] == rf"left out: {folder}/\udcff.jpg: does not decode: the file is empty"


def test_progress_counts_photos(photos, monkeypatch):
    """Eight at a time, and the last ones."""
    seen = []

    def watched(items, total, stage, noun, count):
        items = list(items)
        seen.append((total, stage, noun, [count(item) for item in items]))
        return items

    monkeypatch.setattr("faceline_detect.predicting.progress", watched)
    found(photos(range(30, 40)))
    assert seen == [(10, "detect", "photos", [8, 2])]
