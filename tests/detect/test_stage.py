"""The detect stage, from labels to measured detectors, on a few drawn scenes."""

import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

import faceline_detect
from faceline_core.errors import FacelineError
from faceline_core.faces import read_photo
from faceline_core.parameters.reading import StageParameters, check_values
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_detect.detecting import detect
from faceline_detect.detectors import load
from faceline_detect.retinaface import searching
from faceline_detect.training import retinaface as training

ROOT = Path(__file__).parents[2]
WITH_YOLO = ["retinaface", "yolo"] if find_spec("ultralytics") else ["retinaface"]


@pytest.fixture
def parameters(drawn_scenes):
    """A function that gives the stage's parameters: those of params.yaml with values that run in seconds."""

    def given(train=("retinaface",), recipe="params.yaml", trainer=None, **changes) -> StageParameters:
        values = yaml.safe_load((ROOT / recipe).read_text())
        section = values["detect"]
        section |= {"data": str(drawn_scenes), "scenes": ".", "test_scenes": None}
        section["train"] = section["train"] if train is None else list(train)
        section["val_ratio"] = 0.2
        section["test"] |= {"official_lists": None, "short_side": None, "long_side": None}
        section["retinaface"] |= {"side": 64, "epochs": 2, "batch_size": 3, "weights": "none"}
        section["yolo"] |= {"side": 64, "epochs": 1, "batch_size": 4}
        for name, value in changes.items():
            section[name] = section[name] | value if isinstance(value, dict) else value
        values["trainer"] |= {"accelerator": "cpu", "precision": 32} | (trainer or {})
        return StageParameters(check_values(values, "params.yaml"), faceline_detect.KEYS)

    return given


def figures_of(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_every_detector_is_trained_measured_and_ready_for_others(parameters, tmp_path, drawn_scenes, capsys):
    folder = detect(parameters(WITH_YOLO), tmp_path / "artifacts")
    names = ["mtcnn", *WITH_YOLO] + (["fused"] if "yolo" in WITH_YOLO else [])
    figures = figures_of(folder)
    assert list(figures) == names
    assert len({one["faces"] for one in figures.values()}) == 1, "all are measured on the same faces"
    photo = read_photo(next((drawn_scenes / "images").iterdir()))
    output = capsys.readouterr().out
    for name in names:
        assert load(name, folder / name, confidence=0.01).detect([photo])[0] is not None
        assert (folder / f"report/pr_curve_{name}.csv").is_file()
        assert (folder / f"report/worst_{name}.jpg").is_file()
        assert f"[detect] {name}: AP easy " in output
    with (folder / "report/retinaface/history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert (folder / "report/retinaface/first_batch.jpg").is_file()
    assert not list(tmp_path.rglob("progress.ckpt")), "what is finished keeps nothing to go on from"
    detect(parameters(WITH_YOLO, fusion={"iou_threshold": 0.6}), tmp_path / "artifacts")
    output = capsys.readouterr().out
    assert "RetinaFace was trained before" in output, "another fusion trains nothing anew"
    assert "epoch 1/" not in output


def test_what_mtcnn_is_does_not_depend_on_what_is_trained(parameters, tmp_path):
    texts = [
        (detect(parameters(train, retinaface={"epochs": 1}), tmp_path / name) / "mtcnn/detector.json").read_bytes()
        for name, train in (("one", []), ("other", ["retinaface"]))
    ]
    assert texts[0] == texts[1]


def test_what_is_not_trained_says_so_where_it_is_asked_for(parameters, tmp_path):
    folder = detect(parameters([]), tmp_path)
    assert list(figures_of(folder)) == ["mtcnn"]
    for name, cure in (("retinaface", "add retinaface"), ("fused", "name all of detect.fusion.weights")):
        with pytest.raises(FacelineError, match=f"{name} was not trained .*In detect.train {cure}"):
            load(name, folder / name)


def test_the_fusion_may_hold_mtcnn(parameters, tmp_path):
    weights = {"mtcnn": 1.0, "retinaface": 1.0}
    folder = detect(parameters(fusion={"weights": weights}, retinaface={"epochs": 1}), tmp_path)
    figures = figures_of(folder)
    assert set(figures["fused"]["gain_over"]) == set(weights)
    assert figures["fused"]["recall"] >= figures["mtcnn"]["recall"]


def test_a_stopped_training_goes_on_to_the_same_weights(parameters, tmp_path, monkeypatch, capsys):
    whole = detect(parameters(), tmp_path / "whole") / "retinaface/model.pth"

    def stop(row, epochs):
        if row["epoch"] == 2:
            raise KeyboardInterrupt
        return line(row, epochs)

    line = training._epoch_line
    with monkeypatch.context() as patch:
        patch.setattr(training, "_epoch_line", stop)
        with pytest.raises(KeyboardInterrupt):
            detect(parameters(), tmp_path / "stopped")
    assert not (tmp_path / "stopped/detect").exists()
    stopped = detect(parameters(), tmp_path / "stopped") / "retinaface/model.pth"
    output = capsys.readouterr().out
    assert "[detect] goes on where it was stopped" in output
    assert output.count("epoch 1/2") == 2
    expected, found = (read_tensor_file(path)["state_dict"] for path in (whole, stopped))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_other_scenes_may_choose_and_measure(parameters, tmp_path, drawn_scenes, capsys):
    with pytest.raises(FacelineError, match=r"detect.val_scenes: .*scene_0.* is among the scenes that are trained on"):
        detect(parameters(val_scenes="label.txt"), tmp_path)
    for part, numbers in (("train", range(6)), ("val", range(6, 8)), ("test", range(8, 10))):
        copy = tmp_path / "data" / part
        (copy / "images").mkdir(parents=True)
        text = (drawn_scenes / "label.txt").read_text().split("# ")[1:]
        (copy / "label.txt").write_text("".join(f"# {text[number]}" for number in numbers))
        for number in numbers:
            os.link(drawn_scenes / f"images/scene_{number:05}.jpg", copy / f"images/scene_{number:05}.jpg")
    places = {"data": str(tmp_path / "data"), "scenes": "train", "val_scenes": "val", "test_scenes": "test"}
    detect(parameters(train=[], **places), tmp_path)
    assert "6 scenes with" in (output := capsys.readouterr().out)
    assert "2 to choose with, 2 to measure on" in output


def test_who_never_saw_a_landmark_gives_none(parameters, tmp_path, drawn_scenes):
    copy = tmp_path / "data"
    copy.mkdir()
    (copy / "images").symlink_to(drawn_scenes / "images")
    (copy / "wider.txt").write_text((drawn_scenes / "wider.txt").read_text())
    folder = detect(parameters(data=str(copy), retinaface={"epochs": 1}), tmp_path / "artifacts")
    detector = load("retinaface", folder / "retinaface", confidence=0.0)
    (faces,) = detector.detect([read_photo(next((copy / "images").iterdir()))])
    assert not detector.landmarks
    assert faces
    assert {face.landmarks is None for face in faces} == {True}


def test_weights_of_before_are_taken_as_they_are(parameters, tmp_path):
    first = detect(parameters(retinaface={"epochs": 1}), tmp_path / "first") / "retinaface/model.pth"
    second = detect(parameters(retinaface={"epochs": 0, "weights": str(first)}), tmp_path / "second")
    one, other = (read_tensor_file(path)["state_dict"] for path in (first, second / "retinaface/model.pth"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": "nowhere"}, "nowhere is not there. Draw scenes"),
        ({"retinaface": {"batch_size": 64}}, "detect.retinaface.batch_size: 64 scenes a batch, but there are"),
        ({"retinaface": {"weights": "gone.pth"}}, "detect.retinaface.weights: gone.pth is not there"),
        ({"test": {"official_lists": "nowhere"}}, "nowhere/wider_easy_val.mat is not there"),
        ({"train": ["yolo"], "yolo": {"model": "yolo99z.yaml"}}, "detect.yolo.model: yolo99z.yaml is no file"),
    ],
)
def test_what_does_not_do_is_one_line(parameters, tmp_path, changes, expected):
    with pytest.raises(FacelineError) as caught:
        detect(parameters(**changes), tmp_path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_recipe_of_retinaface_trains(parameters, tmp_path, capsys):
    trainer, recipe = {"fast_dev_run": True}, "recipes/wider_retinaface.yaml"
    detect(parameters(None, recipe, trainer, retinaface={"batch_size": 2}), tmp_path)
    output = capsys.readouterr().out
    assert "RetinaFace resnet50" in output
    assert "fast_dev_run: a batch of training and one of validation went through" in output
    assert not (tmp_path / "detect").exists()


@pytest.mark.skipif("yolo" not in WITH_YOLO, reason="ultralytics is not installed")
def test_the_recipe_of_yolo_trains_and_measures_at_the_side_of_training(parameters, tmp_path, drawn_scenes, capsys):
    folder = detect(parameters(None, "recipes/wider_yolo.yaml", test={"flip": True}), tmp_path)
    assert list(figures_of(folder)) == ["mtcnn", "yolo"]
    assert json.loads((folder / "yolo/detector.json").read_text())["search"] == {"confidence": 0.5, "nms": 0.4}
    detector = load("yolo", folder / "yolo", confidence=0.0)
    assert (detector.landmarks, detector._search.side) == (True, 64)
    assert detector.detect([read_photo(next((drawn_scenes / "images").iterdir()))])[0]
    assert "others search" not in capsys.readouterr().out, "RetinaFace is not there"


@pytest.fixture
def searched(monkeypatch):
    """The shorter sides at which RetinaFace has looked at pictures."""
    sides = set()
    resized = searching.resized
    monkeypatch.setattr(searching, "resized", lambda image, size: sides.add(min(size)) or resized(image, size))
    return sides


def test_others_search_as_detect_search_says_and_figures_are_of_detect_test(
    parameters, tmp_path, drawn_scenes, searched, monkeypatch, capsys
):
    changes = {"test": {"short_side": 128, "scales": [0.5, 1.0]}, "retinaface": {"epochs": 1}}
    weights = {"fusion": {"weights": {"mtcnn": 1.0, "retinaface": 1.0}}}
    folder = detect(parameters(search={"short_side": 96}, **changes, **weights), tmp_path / "artifacts")
    assert searched == {64, 128}
    assert (
        "[detect] retinaface was measured at short_side 128, scales [0.5, 1.0] (detect.test); others search with it at "
        "short_side 96, scales [1.0] (detect.search)\n"
    ) in capsys.readouterr().out
    figures = (folder / "metrics.json").read_bytes()
    photo = read_photo(next((drawn_scenes / "images").iterdir()))
    monkeypatch.chdir(tmp_path)
    for name in ("retinaface", "fused"):
        searched.clear()
        load(name).detect([photo])
        assert searched == {96}
    searched.clear()
    load("retinaface", folder / "retinaface/model.pth").detect([photo])
    assert searched == {min(photo.shape[:2])}, "a file by itself says how it was measured, which is not for others"
    search = {"short_side": 128, "scales": [0.5, 1.0]}
    detect(parameters(search=search, **changes, **weights), tmp_path / "artifacts")
    output = capsys.readouterr().out
    assert "RetinaFace was trained before" in output
    assert "others search" not in output
    assert (folder / "metrics.json").read_bytes() == figures


def test_two_processes_train_together(parameters, tmp_path):
    given = parameters(trainer={"devices": 2, "strategy": "ddp"}, retinaface={"batch_size": 4, "epochs": 1})
    values = yaml.safe_load((ROOT / "params.yaml").read_text()) | given.as_dict()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    environment = os.environ | {"PYTHONPATH": ":".join(str(path) for path in ROOT.glob("*/src"))}
    done = subprocess.run(
        [sys.executable, "-m", "faceline_detect"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("[detect] epoch 1/1") == 1, "one of them speaks"
    assert figures_of(tmp_path / "artifacts/detect")["retinaface"]["faces"]
