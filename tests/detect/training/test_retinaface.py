"""A run of RetinaFace: what chooses its epoch, and when it ends. The values of the epochs are given, not measured."""

import csv
import dataclasses
import shutil

import cv2
import numpy as np
import pytest

from faceline_core.parameters import StageParameters
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.retinaface.checkpoint import load_retinaface
from faceline_detect.retinaface.searching import Search
from faceline_detect.scenes import Part, Scenes
from faceline_detect.training import retinaface
from faceline_detect.training.retinaface import search_of, train_retinaface

SEARCH = {
    "confidence": 0.03, "nms": 0.35, "short_side": 300, "long_side": 500, "scales": [0.5, 1.0, 1.5], "flip": True,
    "precision": "bf16",
}  # fmt: skip
VALUES = [0.2, 0.5, 0.4, 0.3, 0.1, 0.3]  # of the epochs


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """Five pictures of noise; those to measure on are not there, and reading one would fail."""
    folder = tmp_path_factory.mktemp("noise")
    nothing, zeros = np.full((1, 5, 2), np.nan), np.zeros((1, 6), np.int64)
    pictures = []
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
        box = np.array([[10.0, 10, 44, 50]])
        pictures.append(Annotation(f"{number}.png", box, nothing, np.zeros(1, bool), zeros, (64, 64)))
    return Scenes(Part(pictures[:4], folder), Part(pictures[4:], folder), Part(pictures[:2], folder / "nowhere"))


@pytest.fixture
def run(scenes, parameters_with, monkeypatch, tmp_path):
    """A function that trains until it ends, and gives the epochs' values, the checkpoint's content, what chooses."""

    def trained(**changes):
        given = {"side": 64, "epochs": len(VALUES), "batch_size": 4, "weights": "none"} | changes
        values = {f"detect.retinaface.{name}": value for name, value in given.items()}
        values |= {f"detect.test.{name}": value for name, value in SEARCH.items()}
        values |= {"trainer.accelerator": "cpu", "trainer.precision": 32}
        parameters: StageParameters = parameters_with(("seed", "trainer", "detect"), values)
        chosen_with = []

        class Choosing:
            def __init__(self, part: Part, search: Search):
                chosen_with.append((part, search))
                self.left = iter(VALUES)

            def __call__(self, _network: object) -> float:
                return next(self.left)

        monkeypatch.setattr(retinaface, "Choosing", Choosing)
        result = train_retinaface(parameters.detect, parameters.trainer, 1, scenes, tmp_path)
        with result.history.open() as file:
            rows = [float(row["val_ap"]) for row in csv.DictReader(file)]
        return rows, load_retinaface(result.model)[1], chosen_with

    return trained


def test_search_of_is_detect_test_whole(parameters_with):
    values = {f"detect.test.{name}": value for name, value in SEARCH.items()}
    assert search_of(parameters_with(("detect",), values).detect) == Search(
        confidence=0.03, nms=0.35, short_side=300, long_side=500, scales=(0.5, 1.0, 1.5), flip=True, precision="bf16"
    )


def test_the_epoch_is_chosen_with_the_scenes_to_choose_with(run, scenes):
    _, _, chosen_with = run(epochs=1)
    ((part, search),) = chosen_with
    assert part is scenes.val
    assert search == Search(0.03, 0.35, 300, 500, (0.5, 1.0, 1.5), True, "bf16")


@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 3), (2, 4), (3, 5)])
def test_patience_ends_a_run_without_a_better_epoch(run, patience, epochs):
    rows, checkpoint, _ = run(patience=patience)
    assert rows == pytest.approx(VALUES[:epochs])
    assert checkpoint["epoch"] == 2


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"detect.retinaface.lr": 0.004}, True),
        ({"detect.retinaface.augment.flip": 0.4}, True),
        ({"detect.test.nms": 0.3}, True),  # the best epoch is chosen with it
        ({"trainer.gradient_clip_val": 1.0}, True),
        ({"seed": 7}, True),
        ({"detect.test.working_confidence": 0.3}, False),
        ({"detect.search.short_side": 640}, False),
        ({"detect.fusion.conf_type": "avg"}, False),
        ({"detect.yolo.lr": 0.02}, False),
        ({"trainer.checkpoint_minutes": 1.0}, False),
        ({"trainer.compile": True}, False),
    ],
)
def test_what_trains_anew(parameters_with, scenes, changes, anew):
    first, second = (
        retinaface._run_key(given.detect, given.trainer, given.seed, scenes, 32)
        for given in (parameters_with(("seed", "trainer", "detect"), each) for each in ({}, changes))
    )
    assert (first != second) == anew


def test_other_labels_pictures_and_weights_train_anew(parameters_with, scenes, tmp_path):
    def key(train: Part, weights: str = "none") -> object:
        given = parameters_with(("seed", "trainer", "detect"), {"detect.retinaface.weights": weights})
        return retinaface._run_key(given.detect, given.trainer, given.seed, Scenes(train, *rest), 32)

    rest, (pictures, folder) = (scenes.val, scenes.test), scenes.train
    moved = dataclasses.replace(pictures[0], boxes=pictures[0].boxes + 1)
    shutil.copytree(folder, tmp_path / "other")
    cv2.imwrite(str(tmp_path / "other/1.png"), np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "one.pth").write_bytes(b"1")
    keys = [key(scenes.train), key(Part([moved, *pictures[1:]], folder)), key(Part(pictures, tmp_path / "other"))]
    keys.append(key(scenes.train, str(tmp_path / "one.pth")))
    (tmp_path / "one.pth").write_bytes(b"2")
    keys.append(key(scenes.train, str(tmp_path / "one.pth")))
    assert all(one != other for place, one in enumerate(keys) for other in keys[:place])
    assert key(scenes.train) == keys[0]
