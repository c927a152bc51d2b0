"""A study from the first trial to its report."""

import math
import shlex
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import torch
import yaml
from optuna.trial import TrialState
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.parameters.reading import StageParameters, check_values
from faceline_train import KEYS
from faceline_train.classifier import DivergedError
from faceline_train.tuning import report, spaces
from faceline_train.tuning.search import search

LR = {"distribution": "loguniform", "low": 1e-4, "high": 1e-2}


def test_a_study_writes_a_table_two_pictures_and_the_command(tmp_path, capsys, values_with, train, table):
    searched = {"lr": LR, "freeze_ratio": {"distribution": "categorical", "choices": [True, 0.5]}}
    study = search(values_with(8, searched), "params.yaml", train, artifacts=tmp_path)
    rows = table(tmp_path)
    assert [row["trial"] for row in rows] == [str(place) for place in range(1, 9)]
    assert {row["state"] for row in rows} <= {"complete", "pruned"}
    best = max((row for row in rows if row["state"] == "complete"), key=lambda row: float(row["val_acc"]))
    assert float(best["val_acc"]) == study.best_value
    assert best["best_epoch"] == best["epochs_trained"] == "4"
    for picture in ("history.png", "importance.png"):
        with Image.open(tmp_path / "tune" / picture) as image:
            assert image.width > 600
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20
    said = capsys.readouterr().out
    assert said.count("[tune] trial ") == 8
    assert "a line of the training" not in said
    assert (tmp_path / "tune/train.log").read_text().count("a line of the training") == 8
    command = said.strip().splitlines()[-1].strip()
    assert command == f"dvc exp run -S lr={best['lr']} -S freeze_ratio={best['freeze_ratio']}"
    assert not (tmp_path / ".scratch").exists() or not list((tmp_path / ".scratch").iterdir())


def test_a_trial_that_diverges_is_one_of_the_trials_and_the_study_goes_on(tmp_path, capsys, values_with, train, table):
    def diverges(parameters, **rest):
        if parameters.lr < 0.0008:
            raise DivergedError("the loss is nan in epoch 1: training diverged. Lower lr. The weights: x.pth")
        return train(parameters, **rest)

    search(values_with(6), "params.yaml", diverges, artifacts=tmp_path)
    rows = table(tmp_path)
    assert rows[0]["state"] == "failed", "the study begins with one"
    assert {row["state"] == "failed" for row in rows} == {True, False}
    for row in rows:
        assert (float(row["lr"]) < 0.0008) == (row["state"] == "failed")
        assert row["reason"] == ("the loss is nan in epoch 1: training diverged" if row["state"] == "failed" else "")
    assert "failed: the loss is nan in epoch 1: training diverged\n" in capsys.readouterr().out


def test_values_that_do_not_go_together_fail_their_trial(tmp_path, values_with, train, table):
    searched = {"optimizer.momentum": {"distribution": "categorical", "choices": [0.0, 0.9]}}
    values = values_with(6, searched, optimizer__name="sgd", optimizer__nesterov=True)
    search(values, "params.yaml", train, artifacts=tmp_path)
    rows = table(tmp_path)
    assert {row["optimizer.momentum"] for row in rows} == {"0.0", "0.9"}
    for row in rows:
        assert (row["state"] == "failed") == (row["optimizer.momentum"] == "0.0")
        assert (row["reason"] == "params.yaml: optimizer: nesterov needs a momentum above 0") == (
            row["state"] == "failed"
        )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FacelineError("batch_size: larger than the data"), "batch_size: larger than the data"),
        (torch.OutOfMemoryError("CUDA out of memory"), "the device has too little memory for it"),
    ],
)
def test_a_later_trial_that_fails_is_recorded_with_its_reason(tmp_path, values_with, train, table, error, reason):
    calls = []

    def fails_once(parameters, **rest):
        calls.append(parameters.lr)
        if len(calls) == 2:
            raise error
        return train(parameters, **rest)

    search(values_with(3), "params.yaml", fails_once, artifacts=tmp_path)
    assert [row["state"] for row in table(tmp_path)] == ["complete", "failed", "complete"]
    assert table(tmp_path)[1]["reason"] == reason


def test_a_metric_that_is_nan_throughout_fails_the_trial(tmp_path, capsys, values_with, table):
    def nan(parameters, artifacts, on_epoch, scratch):  # noqa: ARG001
        rows = [{"epoch": epoch, "val_acc": math.nan} for epoch in (1, 2)]
        for row in rows:
            on_epoch(row["epoch"], row)
        return SimpleNamespace(history=rows)

    search(values_with(7), "params.yaml", nan, artifacts=tmp_path)
    assert {row["state"] for row in table(tmp_path)} == {"failed"}
    said = capsys.readouterr().out
    assert "val_acc is NaN in every epoch" in said
    assert "no trial finished, so there is nothing to adopt" in said


def test_the_best_row_by_a_loop():
    rows = [{"epoch": e, "a": v} for e, v in enumerate([0.3, math.nan, 0.9, 0.9, 0.1, math.inf], 1)]
    assert report.best_row(rows, "a", "maximize") == rows[2]
    assert report.best_row(rows, "a", "minimize") == rows[4]
    assert report.best_row(rows[1:2], "a", "maximize") is None


@pytest.mark.parametrize(("pruner", "fewer"), [("none", False), ("median", True), ("hyperband", True)])
def test_a_bad_trial_costs_an_epoch_and_not_a_run(tmp_path, pruner, fewer, values_with, train, table):
    search(values_with(12, epochs=10, optuna__pruner=pruner), "params.yaml", train, artifacts=tmp_path)
    rows = table(tmp_path)
    epochs = {row["state"]: {int(r["epochs_trained"]) for r in rows if r["state"] == row["state"]} for row in rows}
    assert epochs["complete"] == {10}
    assert ("pruned" in epochs) == fewer
    if fewer:
        assert min(epochs["pruned"]) == 1
        best = max(rows, key=lambda row: accuracy_of(row["lr"]))
        assert best["state"] == "complete"


def accuracy_of(lr: str) -> float:
    return -abs(math.log10(float(lr) / 0.002))


def test_the_values_of_a_trial_are_those_that_it_trains_with(tmp_path, values_with, train, drawn):
    seen = []

    def watched(parameters, **rest):
        seen.append(parameters)
        return train(parameters, **rest)

    searched = {"lr": LR, "scheduler.name": {"distribution": "categorical", "choices": ["cosine", "multistep"]}}
    values = values_with(3, searched, run_name="mine", trainer__devices="auto", logging__loggers=["tensorboard"])
    study = search(values, "params.yaml", watched, artifacts=tmp_path)
    for parameters, one in zip(seen, drawn(study), strict=True):
        own = spaces.with_changes(values, one)
        expected = check_values(own, "").model_dump(mode="json")
        for name, value in parameters.as_dict().items():
            if name not in ("trainer", "logging", "checkpoint", "run_name"):
                assert value == expected[name]
        assert parameters.trainer.devices == 1
        assert parameters.run_name is None
        assert parameters.logging.loggers == []


class PrunesTheSecond(optuna.pruners.BasePruner):
    def prune(self, study, trial):  # noqa: ARG002
        return trial.number == 1


def test_a_real_study_and_its_winner_trained_by_itself(
    tmp_path, monkeypatch, write_processed, capsys, values_with, table
):
    from faceline_train.training import train as real_train

    write_processed(tmp_path, people=3, size=32)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("faceline_train.tuning.search.build_pruner", lambda _: PrunesTheSecond())
    small = {"model_name": "mobilenet_v3_small", "img_size": 32, "batch_size": 4, "dataset__num_workers": 0}
    searched = {"lr": LR, "freeze_ratio": {"distribution": "categorical", "choices": [0.0, 0.5]}}
    values = values_with(
        3, searched, **small, epochs=2, optuna__metric="val_loss", optuna__direction="minimize", trainer__precision=32
    )
    study = search(values, "params.yaml", real_train)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE]
    assert [row["epochs_trained"] for row in table(Path("artifacts"))] == ["2", "1", "2"]
    assert not list(Path("artifacts/.scratch").glob("tune-*"))
    said = capsys.readouterr().out
    assert "[train]" not in said

    settings = [word for word in shlex.split(said.strip().splitlines()[-1]) if "=" in word]
    winner = {name: yaml.safe_load(value) for name, value in (setting.split("=") for setting in settings)}
    parameters = StageParameters(check_values(spaces.with_changes(values, winner), ""), KEYS)
    history = real_train(parameters, artifacts=Path("again")).history
    assert min(row["val_loss"] for row in history) == study.best_value, "to the last bit"
