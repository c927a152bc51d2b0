"""What the stage says at its end, with a stand-in for the networks."""

from pathlib import Path

import pytest
import yaml

import faceline_detect
from faceline_core.parameters.reading import StageParameters, check_values
from faceline_detect import detecting
from faceline_detect.detecting import detect

ROOT = Path(__file__).parents[2]


class Blind:
    def detect(self, images):
        return [[] for _ in images]


@pytest.fixture
def said(drawn_scenes, tmp_path, monkeypatch, capsys):
    """A function that gives the last lines of a run in which nothing is trained."""
    monkeypatch.setattr(detecting, "load", lambda *_: Blind())

    def lines(weights):
        values = yaml.safe_load((ROOT / "params.yaml").read_text())
        values["detect"] |= {"data": str(drawn_scenes), "train": [], "val_ratio": 0.2, "test_ratio": 0.4}
        values["detect"]["fusion"]["weights"] = weights
        detect(StageParameters(check_values(values, "params.yaml"), faceline_detect.KEYS), tmp_path)
        return capsys.readouterr().out.splitlines()[-3:]

    return lines


@pytest.mark.parametrize(
    ("weights", "names"),
    [({"retinaface": 1.0, "yolo": 2.0}, "retinaface and yolo"), ({"yolo": 1.0, "mtcnn": 1.0}, "yolo")],
)
def test_a_fusion_that_is_left_out_has_its_line_and_dvc_plots_its_file(said, tmp_path, weights, names):
    detector, fusion, _ = said(weights)
    assert detector.startswith(
        "[detect] mtcnn: AP easy (50 px or more) 0.000, medium (30 px) 0.000, hard (10 px) 0.000"
    )
    assert (
        fusion == f"[detect] the fusion is left out: detect.fusion.weights names {names}, which detect.train does not"
    )
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    (files,) = (plot["detectors"]["y"] for plot in plots if "detectors" in plot)
    rows = {name: len((tmp_path / Path(name).relative_to("artifacts")).read_text().splitlines()) for name in files}
    assert sorted(rows.values()) == [1, 1, 1, 202], "all are there, without rows where nothing was measured"
