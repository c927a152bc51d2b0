"""`--split`, `--checkpoint` and `--output`: other photos, another recogniser, and the stage's own results untouched."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import faceline_evaluate
from faceline_core.data.faces import read_face
from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser, save_checkpoint
from faceline_core.models.recogniser import Recogniser
from faceline_evaluate.__main__ import main
from faceline_evaluate.evaluation import evaluate

PARAMS = Path(__file__).parents[2] / "params.yaml"
TRAINED = {"epoch": 3, "monitor": "val_acc", "best": 0.5, "data_sha256": "x", "parameters": {}}
KNOWN = ["person_00", "person_01", "person_02", "person_03"]


def write_recogniser(path, classes):
    """With settled BatchNorm statistics and a loud head: it tells the patterns apart, and names them at random."""
    torch.manual_seed(5)
    recogniser = Recogniser("mobilenet_v3_small", 32, classes).train()
    for module in recogniser.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    patterns = torch.nn.functional.interpolate(255 * torch.rand(48, 3, 4, 4), size=32, mode="bicubic")
    with torch.no_grad():
        recogniser(patterns.clamp(0, 255))
        recogniser.head.weight.normal_()
    save_checkpoint(path, recogniser.eval(), **TRAINED)
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory, write_processed):
    """A project whose stage has run: data/processed, artifacts with a checkpoint, metrics.json and evaluate/."""
    root = tmp_path_factory.mktemp("phases")
    write_processed(root, people=4, photos=6, size=32, noise=60, test=2)
    write_recogniser(root / "artifacts/checkpoints/best_model.pth", KNOWN)
    text = PARAMS.read_text().replace("bootstrap: 500", "bootstrap: 10")
    (root / "params.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main([]) == 0
    return root


@pytest.fixture(autouse=True)
def project(measured, monkeypatch):
    monkeypatch.chdir(measured)
    return measured


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def accuracy_slow(checkpoint, folder):
    """One face at a time."""
    recogniser, _ = load_recogniser(checkpoint)
    faces = [(path.parent.name, read_face(path, 32)) for path in folder.glob("*/*.jpg")]
    with torch.no_grad():
        guesses = [recogniser(torch.from_numpy(face).permute(2, 0, 1)[None]).argmax().item() for _, face in faces]
    return np.mean([recogniser.classes[guess] == person for guess, (person, _) in zip(guesses, faces, strict=True)])


def test_without_options_it_is_the_stage(project):
    metrics = json.loads((project / "artifacts/metrics.json").read_text())
    assert list(metrics) == ["test", "checkpoint", "unseen", "unseen_val"]
    assert metrics["checkpoint"] | {"sha256": ""} == {"sha256": "", "epoch": 3, "monitor": "val_acc", "best": 0.5}
    checkpoint = project / "artifacts/checkpoints/best_model.pth"
    assert metrics["test"]["accuracy"] == accuracy_slow(checkpoint, project / "data/processed/test")
    assert 0 < metrics["test"]["accuracy"] < 1, "or it shows little"
    assert not (project / "artifacts/evaluations").exists()


def test_val_is_measured_beside_the_stage(project, capsys):
    shutil.copy(project / "artifacts/checkpoints/best_model.pth", project / "artifacts/checkpoints/final.model.pth")
    stage = [project / "artifacts/metrics.json", *files(project / "artifacts/evaluate")]
    before = [path.read_bytes() for path in stage]
    assert main(["--split", "val", "--checkpoint", "artifacts/checkpoints/final.model.pth"]) == 0
    assert [path.read_bytes() for path in stage] == before
    results = project / "artifacts/evaluations/final.model_val"
    metrics = json.loads((results / "metrics.json").read_text())
    assert list(metrics) == ["val", "checkpoint", "unseen", "unseen_val"]
    assert metrics["val"]["accuracy"] == accuracy_slow(
        project / "artifacts/checkpoints/final.model.pth", project / "data/processed/val"
    )
    assert metrics["unseen"] == json.loads(stage[0].read_text())["unseen"]
    out = capsys.readouterr().out
    where = "artifacts/evaluations/final.model_val"
    assert f"figures: {where}/metrics.json, tables and pictures: {where}/evaluate" in out
    assert "artifacts/checkpoints/final.model.pth: " in out
    assert f"({len(read_split(project / 'data/processed', 'val').paths)} val faces of 4 people)" in out


def test_results_go_where_output_says(project, tmp_path):
    assert main(["--output", str(tmp_path / "deep/here")]) == 0
    expected = {path.relative_to(project / "artifacts") for path in files(project / "artifacts/evaluate")}
    written = {path.relative_to(tmp_path / "deep/here") for path in files(tmp_path / "deep/here")}
    assert written == expected | {Path("metrics.json")}
    assert (tmp_path / "deep/here/metrics.json").read_bytes() == (project / "artifacts/metrics.json").read_bytes()


@pytest.mark.parametrize("name", ["taken", "taken/below"])
def test_output_in_the_way_is_seen_before_the_work(tmp_path, capsys, name):
    (tmp_path / "taken").write_text("mine")
    assert main(["--output", str(tmp_path / name)]) == 1
    assert f"--output {tmp_path / name}: a folder was expected" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


def test_people_of_another_data_set_are_all_unknown(project, tmp_path, capsys):
    other = write_recogniser(tmp_path / "other.pth", ["Ana", "Bo"])
    assert main(["--checkpoint", str(other)]) == 0
    results = project / "artifacts/evaluations/other_test"
    metrics = json.loads((results / "metrics.json").read_text())
    assert list(metrics) == ["checkpoint", "unseen", "unseen_val"]
    assert metrics["unseen"]["people"] == 4
    assert {path.name for path in (results / "evaluate").iterdir()} == {
        "roc.csv",
        "roc.png",
        "scores.csv",
        "scores.png",
    }
    out = capsys.readouterr().out
    assert f"note: {other} was trained on none of the 4 people of test: known people go unmeasured" in out
    assert "known people: accuracy" not in out


def test_people_that_are_not_its_own_are_counted(tmp_path, capsys):
    half = write_recogniser(tmp_path / "half.pth", ["person_01", "person_02", "Ana"])
    assert main(["--checkpoint", str(half), "--output", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (metrics["test"]["people"], metrics["test"]["faces"], metrics["test"]["people_without_faces"]) == (2, 4, 1)
    assert "note: 2 of 4 people of test were not trained on: they are left out" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "out/evaluate/confusion.csv").open()))
    assert {row["actual"] for row in rows} == {"person_01", "person_02"}


def test_unknown_people_that_were_trained_on_are_named(project, tmp_path, capsys):
    leaky = write_recogniser(tmp_path / "leaky.pth", [*KNOWN, *(f"person_{number:02}" for number in range(8, 11))])
    assert main(["--checkpoint", str(leaky)]) == 1
    error = capsys.readouterr().err
    assert "leaky.pth was trained on people of data/processed/unseen: person_08, person_09, person_10. They" in error
    assert not (project / "artifacts/evaluations/leaky_test").exists()


def test_nobody_to_measure(project, tmp_path, parameters_with):
    other = write_recogniser(tmp_path / "other.pth", ["Ana", "Bo"])
    shutil.copytree(project / "data/processed/test", tmp_path / "processed/test")
    parameters = parameters_with(faceline_evaluate.KEYS, {})
    with pytest.raises(FacelineError, match=r"none of the 4 people .* there is nobody to measure"):
        evaluate(parameters, tmp_path / "processed", checkpoint=other, output=tmp_path / "out")
    with pytest.raises(FacelineError, match=r"processed/val holds no faces.*preprocess\.val_ratio"):
        evaluate(parameters, tmp_path / "processed", split="val", checkpoint=other, output=tmp_path / "out")


@pytest.mark.parametrize("name", ["none.pth", "folder"])
def test_a_checkpoint_that_is_not_there(tmp_path, capsys, name):
    (tmp_path / "folder").mkdir()
    assert main(["--checkpoint", str(tmp_path / name)]) == 1
    assert f"{tmp_path / name} is not there" in capsys.readouterr().err
