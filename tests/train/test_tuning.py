"""The search: what a study draws, keeps, goes on with, refuses and writes."""

import csv
import gc
import json
import math
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pytest
import sqlalchemy
import yaml
from optuna.trial import TrialState
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.parameters.reading import StageParameters, check_values, read_values
from faceline_core.parameters.training import SearchSpace
from faceline_train import KEYS
from faceline_train.classifier import DivergedError
from faceline_train.tuning import report, spaces
from faceline_train.tuning.search import search
from faceline_train.tuning.store import counts

PARAMS = Path(__file__).parents[2] / "params.yaml"
LR = {"distribution": "loguniform", "low": 1e-4, "high": 1e-2}
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    """What takes most of the time: looking through torch's objects after each trial, waiting for the disk, pictures."""

    def hurry(connection, _):
        connection.execute("PRAGMA synchronous = OFF")

    gc.freeze()
    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", hurry)
    if "pictures" not in request.node.name:
        monkeypatch.setattr(report, "draw_history", lambda *_: None)
        monkeypatch.setattr(report, "draw_importance", lambda *_: "not drawn")
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", hurry)
    gc.unfreeze()


@dataclass
class Trained:
    history: list[dict[str, float]] = field(default_factory=list)


def values_with(n_trials: int = 4, searched: dict | None = None, **changes) -> dict:
    """params.yaml with a small study; names of other parameters have __ for the dot."""
    settings = {"epochs": 4, "optuna.n_trials": n_trials, "optuna.search_spaces": searched or {"lr": LR}}
    settings |= {name.replace("__", "."): value for name, value in changes.items()}
    return spaces.with_changes(read_values(PARAMS), settings)


def accuracy(parameters, epoch: int) -> float:
    """Of a training that is best at lr 0.002, and learns for 4 epochs."""
    return (1 - 0.4 * abs(math.log10(parameters.lr / 0.002))) * (1 - 0.5**epoch)


def train(parameters, artifacts, on_epoch, scratch):
    """Stands in for faceline_train.training.train: quick, and its result is known."""
    assert artifacts.parent.parent == scratch
    artifacts.mkdir(parents=True, exist_ok=True)
    print("[train] a line of the training")
    rows = []
    for epoch in range(1, parameters.epochs + 1):
        rows.append({"epoch": epoch, "val_acc": accuracy(parameters, epoch), "val_loss": 1 / epoch})
        on_epoch(epoch, rows[-1])
    return Trained(rows)


def drawn(study: optuna.Study) -> list[dict]:
    return [trial.user_attrs["values"] for trial in study.trials if counts(trial)]


def table(artifacts: Path) -> list[dict[str, str]]:
    with (artifacts / "tune/trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_study_writes_a_table_two_pictures_and_the_command(tmp_path, capsys):
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


@pytest.mark.parametrize(
    "value",
    [0.002134, 1e-05, 2.303e-06, 1e-07, 1234567.0, 16, True, False, None, "cosine", "timm/resnet18.a1_in1k", "null",
     "true", "16", "1e-5", "my weights.pth", 'a"b', "a\\b", "a\\", 'a\\"b', "x,y=[z]", "it's", ""],
)  # fmt: skip
def test_dvc_reads_the_command_as_it_was_meant(tmp_path, value):
    hydra = pytest.importorskip("dvc.utils.hydra")
    *words, setting = shlex.split(spaces.command({"weights": value}))
    assert words == ["dvc", "exp", "run", "-S"]
    file = tmp_path / "params.yaml"
    file.write_text("weights: none\n")
    hydra.apply_overrides(file, [setting])
    found = read_values(file)["weights"]
    assert (type(found), found) == (type(value), value)


def test_what_is_drawn_lies_within_the_space_and_is_short():
    searched = {
        "lr": SearchSpace(**LR),
        "loss.m": SearchSpace(distribution="uniform", low=0.123456, high=0.123489),
        "epochs": SearchSpace(distribution="int", low=3, high=5),
        "freeze_ratio": SearchSpace(distribution="categorical", choices=[True, 0.5, 0.0]),
        "weights": SearchSpace(distribution="categorical", choices=["none", "pretrained"]),
    }
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = [spaces.suggest(study.ask(), searched) for _ in range(60)]
    by_name = {name: [one[name] for one in seen] for name in searched}
    assert all(1e-4 <= lr <= 1e-2 and float(f"{lr:.4g}") == lr for lr in by_name["lr"])
    assert 10 < sum(lr < 1e-3 for lr in by_name["lr"]) < 50, "as many below the middle of the logarithms as above"
    assert all(0.123456 <= m <= 0.123489 for m in by_name["loss.m"])
    assert {(type(one), one) for one in by_name["epochs"]} == {(int, 3), (int, 4), (int, 5)}
    assert {(type(one), one) for one in by_name["freeze_ratio"]} == {(bool, True), (float, 0.5), (float, 0.0)}
    assert set(by_name["weights"]) == {"none", "pretrained"}


@pytest.mark.parametrize(
    ("name", "space", "says"),
    [
        ("zzz", LR, "no parameter; known are model_name, weights, "),
        ("optimizer.weight_deacy", LR, "no parameter; did you mean optimizer.weight_decay"),
        ("optimizer.weight_decay.x", LR, "no parameter"),
        ("optimizer", LR, "a section is not searched as a whole. Name one of optimizer.name, optimizer.weight_decay"),
        ("img_size", LR, "faces would have to be cut again"),
        ("preprocess.val_ratio", LR, "faces would have to be cut again"),
        ("dataset.holdout", LR, "do not compare"),
        ("seed", LR, "luck"),
        ("trainer.devices", LR, "one device"),
        ("checkpoint.monitor", LR, "does not change what is learned"),
        ("evaluate.bootstrap", LR, "the train stage does not use it"),
        ("freeze_ratio", {"distribution": "uniform", "low": 0.0, "high": 1.5}, "freeze_ratio: should be less than"),
        ("epochs", LR, "epochs: should be a valid integer"),
        ("scheduler.name", {"distribution": "categorical", "choices": ["cosine", "cosin"]}, "scheduler.name: should"),
        ("classes", {"distribution": "categorical", "choices": ["anna"]}, "do not compare"),
        ("optimizer.betas", {"distribution": "uniform", "low": 0.1, "high": 0.9}, "optimizer.betas: should be a valid"),
    ],
)
def test_what_may_not_be_searched_is_refused_before_the_first_trial(tmp_path, name, space, says):
    values = values_with(searched={name: space})
    with pytest.raises(FacelineError) as caught:
        search(values, "params.yaml", lambda *_, **__: pytest.fail("a trial began"), artifacts=tmp_path)
    assert str(caught.value).startswith(f"params.yaml: optuna.search_spaces.{name}")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_other_parameter_of_training_may_be_searched():
    values = read_values(PARAMS)
    taken = []
    for name, value in spaces.flat(values).items():
        if not isinstance(value, list):
            try:
                space = SearchSpace(distribution="categorical", choices=[value])
                spaces.check_spaces({name: space}, values, "params.yaml")
                taken.append(name)
            except FacelineError:
                pass
    for name in ("model_name", "weights", "head", "epochs", "batch_size", "lr", "freeze_ratio", "loss.m", "loss.s",
                 "optimizer.name", "optimizer.momentum", "scheduler.name", "scheduler.warmup_steps", "augment.preset",
                 "trainer.precision", "trainer.gradient_clip_val", "early_stopping.patience"):  # fmt: skip
        assert name in taken
    assert not any(name.startswith(("sample.", "preprocess.", "dataset.", "evaluate.", "optuna.")) for name in taken)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optuna__metric": "val_accc"}, "optuna.metric: val_accc is not logged"),
        ({"optuna__metric": "val_recall"}, "add recall to logging.metrics"),
        ({"trainer__devices": 2}, "a trial runs on one device"),
        ({"trainer__fast_dev_run": True}, "trainer.fast_dev_run"),
        ({"ckpt_path": "a.pth"}, "only_weights_load"),
        ({"optuna__search_spaces": {}}, "optuna.search_spaces is empty"),
        ({"lr": -1}, "lr: should be greater than 0"),
        ({"optuna__storage": "nonsense"}, "no database URL"),
        ({"optuna__storage": "sqlite:////nowhere/at/all.db"}, "does not answer: unable to open database file"),
        ({"optuna__storage": "postgresql+psycopg2://anna:secret@127.0.0.1:1/x"}, "Run: pip install psycopg2"),
        ({"optuna__storage": "nosuch://127.0.0.1/x"}, "optuna.storage: nosuch://127.0.0.1/x"),
    ],
)
def test_what_cannot_do_is_one_line(tmp_path, changes, says):
    with pytest.raises(FacelineError) as caught:
        search(values_with(**changes), "params.yaml", train, artifacts=tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "tune").mkdir()
    (tmp_path / "tune/study.db").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(FacelineError, match=r"study\.db does not answer: file is not a database"):
        search(values_with(), "params.yaml", train, artifacts=tmp_path)


def test_a_study_in_parts_draws_what_it_draws_in_one_go(tmp_path):
    values = values_with(14)  # Optuna draws at random for 10 trials, and then by what it found
    whole = search(values, "params.yaml", train, artifacts=tmp_path / "whole")
    parts = tmp_path / "parts"
    for n_trials in (3, 12, 14):
        study = search(values, "params.yaml", train, n_trials=n_trials, artifacts=parts)
        assert sum(map(counts, study.trials)) == n_trials
    assert drawn(study) == drawn(whole)
    assert len({one["lr"] for one in drawn(whole)}) == 14
    assert [trial.value for trial in study.trials] == [trial.value for trial in whole.trials]


def test_a_study_that_is_done_shows_its_report_again(tmp_path, capsys):
    search(values_with(), "params.yaml", train, artifacts=tmp_path)
    command = capsys.readouterr().out.strip().splitlines()[-1]
    search(values_with(), "params.yaml", lambda *_, **__: pytest.fail("a trial began"), artifacts=tmp_path)
    assert capsys.readouterr().out.strip().splitlines()[-1] == command


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"epochs": 5}, "begun with epochs 4 (now 5)"),
        ({"optuna__direction": "minimize"}, "optuna.direction maximize (now minimize)"),
        ({"optuna__metric": "val_loss"}, "optuna.metric val_acc (now val_loss)"),
        ({"searched": {"lr": LR | {"high": 0.1}}}, "optuna.search_spaces.lr.high 0.01 (now 0.1)"),
        ({"trainer__gradient_clip_val": 1.0}, "trainer.gradient_clip_val 0.0 (now 1.0)"),
        ({"augment__transforms": [{"name": "GaussianBlur"}]}, "augment.transforms []"),
    ],
)
def test_a_study_is_not_mixed_with_another(tmp_path, changes, says):
    search(values_with(1), "params.yaml", train, artifacts=tmp_path)
    with pytest.raises(FacelineError) as caught:
        search(values_with(2, **changes), "params.yaml", train, artifacts=tmp_path)
    assert says in str(caught.value)
    assert "Take another study_name" in str(caught.value)
    search(values_with(2, **changes, optuna__study_name="other"), "params.yaml", train, artifacts=tmp_path)


def test_what_differs_between_machines_does_not_part_a_study(tmp_path):
    search(values_with(1), "params.yaml", train, artifacts=tmp_path)
    changes = {"trainer__precision": "bf16", "dataset__num_workers": 3, "dataset__cache": "disk", "lr": 0.5}
    study = search(values_with(2, optuna__pruner="none", **changes), "params.yaml", train, artifacts=tmp_path)
    assert len(study.trials) == 2


def test_other_faces_are_another_study(tmp_path):
    faces = tmp_path / "faces"
    (faces / "train/anna").mkdir(parents=True)
    (faces / "train/anna/1.jpg").write_bytes(b"1")
    values = values_with(1, dataset__path=str(faces))
    search(values, "params.yaml", train, artifacts=tmp_path)
    (faces / "train/anna/2.jpg").write_bytes(b"2")
    with pytest.raises(FacelineError, match="begun with other faces"):
        search(values, "params.yaml", train, artifacts=tmp_path)


def test_a_study_of_which_nothing_came_may_become_another(tmp_path):
    def fails(*_, **__):
        raise FacelineError("data/processed is not there")

    with pytest.raises(FacelineError, match="data/processed is not there"):
        search(values_with(2), "params.yaml", fails, artifacts=tmp_path)
    study = search(values_with(2, optuna__direction="minimize"), "params.yaml", train, artifacts=tmp_path)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2


def test_a_trial_that_diverges_is_one_of_the_trials_and_the_study_goes_on(tmp_path, capsys):
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


def test_values_that_do_not_go_together_fail_their_trial(tmp_path):
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


def test_a_later_trial_that_fails_is_recorded_with_its_reason(tmp_path):
    calls = []

    def fails_once(parameters, **rest):
        calls.append(parameters.lr)
        if len(calls) == 2:
            raise FacelineError("batch_size: larger than the data")
        return train(parameters, **rest)

    search(values_with(3), "params.yaml", fails_once, artifacts=tmp_path)
    assert [row["state"] for row in table(tmp_path)] == ["complete", "failed", "complete"]
    assert table(tmp_path)[1]["reason"] == "batch_size: larger than the data"


def test_a_metric_that_is_nan_throughout_fails_the_trial(tmp_path, capsys):
    def nan(parameters, artifacts, on_epoch, scratch):  # noqa: ARG001
        rows = [{"epoch": epoch, "val_acc": math.nan} for epoch in (1, 2)]
        for row in rows:
            on_epoch(row["epoch"], row)
        return Trained(rows)

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
def test_a_bad_trial_costs_an_epoch_and_not_a_run(tmp_path, pruner, fewer):
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


def test_a_trial_that_was_stopped_is_gone_on_with(tmp_path):
    calls, stops = [], [2, 3]

    def stopped(parameters, artifacts, on_epoch, scratch):
        calls.append((parameters.lr, artifacts, (artifacts / "progress").exists()))
        artifacts.mkdir(parents=True, exist_ok=True)
        (artifacts / "progress").touch()
        if len(calls) in stops:
            on_epoch(1, {"epoch": 1, "val_acc": accuracy(parameters, 1)})
            raise KeyboardInterrupt
        return train(parameters, artifacts, on_epoch, scratch)

    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            search(values_with(3), "params.yaml", stopped, artifacts=tmp_path)
    study = search(values_with(3), "params.yaml", stopped, artifacts=tmp_path)
    assert calls[1][:2] == calls[2][:2] == calls[3][:2], "the same values in the same folder"
    assert [there for _, _, there in calls] == [False, False, True, True, False]
    assert [row["trial"] for row in table(tmp_path)] == ["1", "2", "3"]
    assert len(drawn(study)) == len({one["lr"] for one in drawn(study)}) == 3
    assert not list(tmp_path.glob(".scratch/*/*"))


def run_apart(n_trials: int, artifacts: Path, log: Path, seconds: float) -> None:
    """A process that works on the study; each of its trials takes some seconds, and leaves a line in `log`."""

    def slow(parameters, **rest):
        with log.open("a") as file:
            file.write(json.dumps([os.getpid(), parameters.lr]) + "\n")
        time.sleep(seconds)
        return train(parameters, **rest)

    search(values_with(n_trials), "params.yaml", slow, artifacts=artifacts, grace=2)


def lines_of(log: Path) -> list[tuple[int, float]]:
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_trial_whose_process_was_killed_is_done_again(tmp_path):
    log = tmp_path / "log"
    process = FORK.Process(target=run_apart, args=(3, tmp_path, log, 60))
    process.start()
    while not lines_of(log):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    study = search(values_with(3), "params.yaml", train, artifacts=tmp_path, grace=2)
    assert sum(map(counts, study.trials)) == 3
    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 1
    assert lines_of(log)[0][1] in [one["lr"] for one in drawn(study)]
    assert len({one["lr"] for one in drawn(study)}) == 3


def test_two_processes_share_a_study_and_leave_each_other_alone(tmp_path):
    log = tmp_path / "log"
    processes = [FORK.Process(target=run_apart, args=(6, tmp_path, log, seconds)) for seconds in (4, 0.4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    pids, drawn_by_either = zip(*lines_of(log), strict=True)
    assert set(pids) == {process.pid for process in processes}, "both worked"
    assert len(set(drawn_by_either)) == len(drawn_by_either) in (6, 7), "none was drawn twice, or done twice"
    assert {row["state"] for row in table(tmp_path)} <= {"complete", "pruned"}, "a trial longer than grace lived"


def test_the_values_of_a_trial_are_those_that_it_trains_with(tmp_path):
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help"], "usage: faceline-train tune"),
        ([], "[tune] error: params.yaml: optuna.search_spaces.lrr is no parameter; did you mean lr"),
        (["--trials", "0"], "faceline-train tune: error: argument --trials: should be 1 or more, found 0"),
    ],
)  # fmt: skip
def test_the_command_line_answers_before_anything_heavy_is_loaded(tmp_path, arguments, says):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("    lr: {distribution", "    lrr: {distribution"))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "faceline_train", "tune", *arguments],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": ":".join(str(PARAMS.parent / name / "src") for name in ("core", "train"))},
    )  # fmt: skip
    told = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("import time:")]
    assert any(line.startswith(says) for line in told)
    assert "Traceback" not in done.stderr
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert loaded & {"torch", "numpy", "lightning", "optuna", "sqlalchemy", "matplotlib"} == set()


class PrunesTheSecond(optuna.pruners.BasePruner):
    def prune(self, study, trial):  # noqa: ARG002
        return trial.number == 1


def test_a_real_study_and_its_winner_trained_by_itself(tmp_path, monkeypatch, write_processed, capsys):
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
