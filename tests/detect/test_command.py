"""faceline-detect PHOTOS --json FILE --draw FOLDER"""

import json
import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from faceline_detect.__main__ import main


@pytest.mark.real
def test_faces_as_json_and_as_pictures(tmp_path, monkeypatch, real_data, capsys):
    photo = sorted((real_data / "recognition/people").glob("*/*.jpg"))[0]
    folder = tmp_path / "photos/holiday"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(photo.read_bytes())
    (folder / "b.jpg").write_bytes(b"broken")
    (folder / "c.txt").write_text("no photo")
    monkeypatch.chdir(tmp_path)
    assert main(["photos", "--json", "faces.json", "--draw", "drawn"]) == 0
    records = json.loads((tmp_path / "faces.json").read_text())
    assert sorted(records) == ["photos/holiday/a.jpg", "photos/holiday/b.jpg"]
    found, broken = records["photos/holiday/a.jpg"], records["photos/holiday/b.jpg"]
    assert (found["width"], found["height"]) == (250, 250)
    assert np.shape(found["faces"][0]["landmarks"]) == (5, 2)
    left, top, right, bottom = found["faces"][0]["box"]
    assert left < 125 < right
    assert top < 125 < bottom
    assert "no JPEG" in broken["fault"]
    drawn = cv2.imread(str(tmp_path / "drawn/photos/holiday/a.jpg.jpg"))
    assert drawn.shape == (250, 250, 3)
    assert np.abs(drawn.astype(int) - cv2.imread(str(photo))).max() > 100
    assert main(["photos"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed[printed.index("{") :]) == records


def test_what_is_not_there_or_holds_no_photos_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "nowhere is not there" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 1
    assert "no photos there" in capsys.readouterr().err


def run(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_help_is_quick():
    start = time.monotonic()
    assert "--draw" in run("-m", "faceline_detect", "--help")
    assert time.monotonic() - start < 2
    code = "import sys, faceline_detect.__main__; print({'torch', 'cv2', 'numpy'} & set(sys.modules))"
    assert run("-c", code) == "set()\n"
