"""The command line: options, bad input, and an earlier sample that stays when a run fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceline_core.errors import FacelineError
from faceline_sample.dataset import draw_dataset
from faceline_sample.names import MOST

ROOT = Path(__file__).parents[2]


def run(*options, cwd=ROOT):
    path = os.pathsep.join(str(ROOT / package / "src") for package in ("core", "sample"))
    return subprocess.run(
        [sys.executable, "-m", "faceline_sample", *map(str, options)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_options_overrule_the_parameters_and_the_last_line_sums_up(tmp_path):
    occlusion = ("--occluded", 1, "--occluders", "scarf", "veil")
    result = run("--people", 2, "--photos", 1, "--scenes", 0, "--seed", 3, "--out", tmp_path / "out", *occlusion)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith("[sample] 2 people x 1 photos and 0 scenes in ")
    assert len(list((tmp_path / "out/recognition/people").iterdir())) == 2
    assert (tmp_path / "out/detection/label.txt").read_text() == ""
    rows = (tmp_path / "out/recognition/truth.csv").read_text().splitlines()[1:]
    assert [row.split(",")[-3] in ("scarf", "veil") for row in rows] == [True, True]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--people", 0], "people is 0"),
        (["--photos", -1], "photos is -1"),
        (["--scenes", -1], "scenes is -1"),
        (["--seed", -1], "seed is -1"),
        (["--occluded", 1.5], "occluded is 1.5"),
        (["--occluders", "scarf", "veill"], "occluders holds 'veill'"),
        (["--people", MOST + 1], f"names for {MOST}"),
        (["--params", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line(options, words, tmp_path):
    result = run(*options, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FacelineError, match=r"thesis\.txt"):
        draw_dataset(1, 1, 0, 0, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_out_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(FacelineError, match="is a file"):
        draw_dataset(1, 1, 0, 0, tmp_path / "out")


def test_a_failed_run_leaves_the_earlier_sample(tmp_path, monkeypatch):
    out = tmp_path / "out"
    draw_dataset(1, 1, 0, 0, out, processes=1)
    before = sorted(str(p) for p in out.rglob("*"))

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("faceline_sample.dataset._work", stop)
    with pytest.raises(KeyboardInterrupt):
        draw_dataset(2, 1, 0, 1, out)
    assert sorted(str(p) for p in out.rglob("*")) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_help_does_not_import_the_drawing():
    start = time.monotonic()
    result = run("--help")
    assert result.returncode == 0
    assert "--people" in result.stdout
    assert time.monotonic() - start < 5  # half a second on an idle machine
    code = "import sys, faceline_sample.__main__; sys.exit('cv2' in sys.modules or 'numpy' in sys.modules)"
    path = os.pathsep.join(str(ROOT / package / "src") for package in ("core", "sample"))
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 0
