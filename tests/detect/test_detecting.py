"""What the stage hands to whom, and how it compares: with stand-ins for the networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import faceline_detect
from faceline_core.faces import Face, read_photo
from faceline_core.parameters.reading import StageParameters, check_values
from faceline_detect import detecting
from faceline_detect.annotations import Annotation
from faceline_detect.detecting import detect
from faceline_detect.scenes import open_scenes
from faceline_detect.yolo import models, training

ROOT = Path(__file__).parents[2]


@pytest.fixture
def parameters(drawn_scenes: Path) -> StageParameters:
    """Of a stage that trains a YOLO on drawn scenes, and fuses it with MTCNN."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["detect"] |= {"data": str(drawn_scenes), "train": ["yolo"], "val_ratio": 0.2, "test_ratio": 0.4}
    values["detect"]["fusion"]["weights"] = {"mtcnn": 1.0, "yolo": 1.0}
    return StageParameters(check_values(values, "params.yaml"), faceline_detect.KEYS)


class EverySecond:
    """A detector that knows the labels, and finds every second face."""

    def __init__(self, by_photo: dict[bytes, Annotation], first: int):
        self.by_photo, self.first = by_photo, first

    def detect(self, images: list[np.ndarray]) -> list[list[Face]]:
        labels = [self.by_photo[image.tobytes()] for image in images]
        return [[Face(box.astype(np.float32), None, 0.9) for box in each.boxes[self.first :: 2]] for each in labels]


@pytest.fixture
def yolo_was_given(parameters: StageParameters, monkeypatch: pytest.MonkeyPatch) -> list[list[Path]]:
    """Puts stand-ins in the place of YOLO's training and of the detectors; what it was to train and to choose with."""
    test = open_scenes(parameters.detect, parameters.seed).test
    labels = {read_photo(path).tobytes(): picture for path, picture in zip(test.paths, test.pictures, strict=True)}
    given: list[list[Path]] = []

    def train_yolo(_settings, train, val, model, *_, **__):
        given.extend([train.paths, val.paths])
        model.write_bytes(b"weights")

    monkeypatch.setattr(models, "check_model", lambda _: None)
    monkeypatch.setattr(training, "train_yolo", train_yolo)
    monkeypatch.setattr(detecting, "load", lambda name, *_: EverySecond(labels, ["mtcnn", "yolo"].index(name)))
    return given


def test_yolo_chooses_its_epoch_without_the_scenes_that_are_measured_on(parameters, yolo_was_given, tmp_path):
    folder = detect(parameters, tmp_path)
    scenes = open_scenes(parameters.detect, parameters.seed)
    assert yolo_was_given == [scenes.train.paths, scenes.val.paths]
    assert (folder / "yolo/model.pt").read_bytes() == b"weights"


@pytest.mark.usefixtures("yolo_was_given")
def test_a_fusion_that_finds_more_has_a_gain_over_each_member(parameters, tmp_path):
    figures = json.loads((detect(parameters, tmp_path) / "metrics.json").read_text())
    fused = figures["fused"]
    assert fused["recall"] == 1.0
    for member in ("mtcnn", "yolo"):
        assert 0.3 < figures[member]["recall"] < 0.7
        for name in ("recall", "f1", "ap_hard"):
            gain = fused["gain_over"][member][name]
            assert gain["difference"] == pytest.approx(fused[name] - figures[member][name])
            assert 0 < gain["low"] < gain["difference"] < gain["high"]
