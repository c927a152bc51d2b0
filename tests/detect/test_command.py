"""faceline-detect predict PHOTOS [--output FOLDER] [--crops]"""

import csv
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from faceline_core.faces import align, read_photo
from faceline_detect.__main__ import main


@pytest.mark.real
def test_faces_as_json_as_a_table_as_pictures_and_as_crops(tmp_path, monkeypatch, real_data, capsys):
    photo = sorted((real_data / "recognition/people").glob("*/*.jpg"))[0]
    folder = tmp_path / "photos/holiday"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(photo.read_bytes())
    (folder / "b.jpg").write_bytes(b"broken")
    (folder / "c.txt").write_text("no photo")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # what is there from the first time is replaced
        assert main(["predict", "photos", "--output", "found", "--crops", "--size", "96"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "[detect] left out: photos/holiday/b.jpg: does not decode: it is no JPEG, PNG, WebP, BMP or TIFF",
        "[detect] 1 face in 1 photo -> found (1 photo does not decode)",
    ]
    records = json.loads((tmp_path / "found/faces.json").read_text())
    assert list(records) == ["photos/holiday/a.jpg", "photos/holiday/b.jpg"]
    found, broken = records.values()
    assert (found["width"], found["height"]) == (250, 250)
    (face,) = found["faces"]
    left, top, right, bottom = face["box"]
    assert left < 125 < right
    assert top < 125 < bottom
    assert "no JPEG" in broken["fault"]
    with (tmp_path / "found/faces.csv").open() as file:
        first, second = csv.DictReader(file)
    assert [float(first[edge]) for edge in ("left", "top", "right", "bottom")] == face["box"]
    assert [float(first["right_eye_x"]), float(first["right_eye_y"])] == face["landmarks"][1]
    assert (second["photo"], second["face"], second["fault"]) == ("photos/holiday/b.jpg", "", broken["fault"])
    drawn = cv2.imread(str(tmp_path / "found/pictures/photos/holiday/a.jpg.jpg"))
    assert drawn.shape == (250, 250, 3)
    assert np.abs(drawn.astype(int) - cv2.imread(str(photo))).max() > 100
    crop = read_photo(tmp_path / "found/crops/photos/holiday/a.jpg_face1.jpg")
    expected = align(read_photo(photo), np.array(face["landmarks"], np.float32), 96)
    assert np.abs(crop.astype(int) - expected).mean() < 4


def test_what_does_not_do_is_one_line_and_loses_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    cv2.imwrite("photo.png", np.zeros((40, 40, 3), np.uint8))
    for arguments, expected in (
        (["nowhere"], "nowhere is not there"),
        (["empty"], "no photos there"),
        (["photo.png", "--output", "mine"], "holds letter.txt, which predict never wrote"),
        (["photo.png", "--output", "photo.png"], "is a file"),
        (["photo.png", "--crops", "--size", "4"], "--size 4: expected 16 to 1024 px"),
        (["photo.png", "--size", "0"], "--size 0: expected 16 to 1024 px"),
        (["photo.png", "--confidence", "3"], "--confidence 3: expected 0 to 1"),
        (["photo.png", "--confidence=-0.1"], "--confidence -0.1: expected 0 to 1"),
        (["photo.png", "--confidence", "nan"], "--confidence nan: expected 0 to 1"),
        (["photo.png", "--detector", "retinaface"], "artifacts/detect/retinaface/detector.json is not there. Train"),
    ):
        assert main(["predict", *arguments]) == 1
        assert expected in capsys.readouterr().err
    assert (tmp_path / "mine/letter.txt").read_text() == "dear"


def run(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_help_loads_nothing_heavy():
    assert "predict" in run("-m", "faceline_detect", "--help")
    code = "import sys, faceline_detect.__main__; print({'torch', 'cv2', 'numpy'} & set(sys.modules))"
    assert run("-c", code) == "set()\n"
