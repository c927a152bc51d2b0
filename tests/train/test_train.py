import csv
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

import faceline_train
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.stage.console import guarded
from faceline_train.training import train

SMALL = {
    "model_name": "mobilenet_v3_small",
    "img_size": 32,
    "epochs": 2,
    "batch_size": 6,
    "lr": 0.001,
    "weights": "none",
    "freeze_ratio": 0.0,
    "classes": None,
    "scheduler.name": "plateau",
    "scheduler.patience": 0,
    "trainer.early_stopping": 0,
    "trainer.num_workers": 0,
    "trainer.accelerator": "cpu",
    "trainer.precision": 32,
}


@pytest.fixture
def settings(parameters_with):
    return lambda **changes: parameters_with(
        faceline_train.KEYS, SMALL | {k.replace("__", "."): v for k, v in changes.items()}
    )


@pytest.fixture
def run(tmp_path, write_processed, settings):
    processed = write_processed(tmp_path, size=32)

    def start(artifacts="artifacts", **changes):
        train(settings(**changes), processed, tmp_path / artifacts)
        return tmp_path / artifacts

    return start


def tensors(path):
    return torch.load(path, weights_only=True)["state_dict"]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_a_run_learns_and_leaves_its_files(run, capsys):
    artifacts = run(epochs=6, scheduler__patience=3, model_name="resnet18")
    assert sorted(str(p.relative_to(artifacts)) for p in artifacts.rglob("*") if p.is_file()) == [
        "checkpoints/best_model.pth",
        "checkpoints/final_model.pth",
        "train/history.csv",
    ]
    rows = list(csv.DictReader((artifacts / "train/history.csv").open()))
    assert list(rows[0]) == ["epoch", "train_loss", "train_acc", "val_loss", "val_acc", "lr", "seconds"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"]) / 2
    recogniser, content = load_recogniser(artifacts / "checkpoints/best_model.pth")
    best = max(rows, key=lambda row: (float(row["val_acc"]), -float(row["val_loss"])))
    assert content["epoch"] == content["best_epoch"] == int(best["epoch"])
    assert content["best_val_acc"] == pytest.approx(float(best["val_acc"]))
    assert content["best_val_acc"] == 1.0
    assert content["classes"] == [f"person_{i:02}" for i in range(4)] == recogniser.classes
    assert content["parameters"]["lr"] == 0.001
    assert content["optimizer"]["state"]
    assert "num_bad_epochs" in content["scheduler"]
    final = torch.load(artifacts / "checkpoints/final_model.pth", weights_only=True)
    assert final["epoch"] == 6
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[train] 4 people, 16 training and 4 validation faces"
    assert lines[1].startswith("[train] resnet18, 11.2 M parameters (11.2 M trained), cpu")
    assert lines[2].startswith("[train] epoch 1/6  train_loss ")
    assert lines[-1].startswith(f"[train] best val_acc 1.000 at epoch {best['epoch']} -> ")


def test_two_runs_are_bit_identical(run):
    first, second = run("a"), run("b")
    assert_same(tensors(first / "checkpoints/final_model.pth"), tensors(second / "checkpoints/final_model.pth"))


class _StopError(Exception):
    pass


def stop_at_step(monkeypatch, last):
    """Lets the `last` training step raise, once; returns the list of steps, which goes on growing."""
    original = faceline_train.training.Classifier.training_step
    steps = []

    def training_step(self, batch, index):
        steps.append(index)
        if len(steps) == last:
            raise _StopError
        return original(self, batch, index)

    monkeypatch.setattr(faceline_train.training.Classifier, "training_step", training_step)
    return steps


@pytest.mark.parametrize(("scheduler", "workers"), [("plateau", 0), ("cosine", 1)])
def test_a_stopped_run_goes_on_to_the_same_weights(run, monkeypatch, scheduler, workers):
    """Stopped in the middle of the third epoch of four; patience 0 moves the plateau's rate every time."""
    changes = {"epochs": 4, "scheduler__name": scheduler, "trainer__num_workers": workers}
    whole = run("whole", **changes)
    steps = stop_at_step(monkeypatch, 8)
    with pytest.raises(_StopError):
        run("stopped", **changes)
    assert len(steps) == 8
    artifacts = run("stopped", **changes)
    assert len(steps) == 8 + 3 * 2, "16 faces in batches of 6 are 3 steps; epochs 3 and 4 were left"
    for name in ("best_model.pth", "final_model.pth"):
        assert_same(tensors(whole / "checkpoints" / name), tensors(artifacts / "checkpoints" / name))
    columns = [
        [(row["epoch"], row["train_loss"], row["lr"]) for row in csv.DictReader((path / "train/history.csv").open())]
        for path in (whole, artifacts)
    ]
    assert columns[0] == columns[1]
    assert len(columns[0]) == 4
    assert not list((artifacts / ".scratch").glob("train-*"))


def test_other_parameters_do_not_go_on_where_another_run_was(run, monkeypatch, capsys):
    stop_at_step(monkeypatch, 5)
    with pytest.raises(_StopError):
        run(epochs=3)
    run(epochs=2)
    assert "goes on" not in capsys.readouterr().out


def test_worker_processes_change_nothing(run):
    first, second = run("a"), run("b", trainer__num_workers=2)
    assert_same(tensors(first / "checkpoints/final_model.pth"), tensors(second / "checkpoints/final_model.pth"))


def test_a_frozen_backbone_stays_as_it_came(run):
    source = run("source")
    artifacts = run(freeze_ratio=1.0, weights=str(source / "checkpoints/final_model.pth"), epochs=2, lr=0.01)
    before, after = (tensors(path / "checkpoints/final_model.pth") for path in (source, artifacts))
    for name in before:
        if name.startswith("backbone."):
            assert torch.equal(before[name], after[name]), name
    assert not torch.equal(before["head.weight"], after["head.weight"])


def test_training_stops_when_nothing_gets_better(run):
    artifacts = run(epochs=50, lr=1e-9, trainer__early_stopping=2, augment__flip=0.0)
    rows = list(csv.DictReader((artifacts / "train/history.csv").open()))
    content = torch.load(artifacts / "checkpoints/final_model.pth", weights_only=True)
    assert len(rows) == content["best_epoch"] + 2 < 50


def test_classes_restrict_and_order(run):
    artifacts = run(classes=["person_02", "person_00"], epochs=1)
    recogniser, content = load_recogniser(artifacts / "checkpoints/best_model.pth")
    assert content["classes"] == ["person_02", "person_00"]
    assert recogniser.head.out_features == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["person_00", "nobody"]}, "no faces of nobody"),
        ({"classes": ["person_00", "person_09"]}, "no faces of person_09 (person_09: held back as unseen)"),
        ({"classes": ["person_00"]}, "a classifier needs two"),
        ({"classes": ["nobody"]}, "holds no faces of the 1 people asked for"),
        ({"img_size": 96}, "is 32 x 32 px, expected 96 x 96"),
        ({"model_name": "resnet81"}, "did you mean resnet18?"),
        ({"model_name": "mobilefacenet"}, "takes faces of 112 px"),
        ({"weights": "none.pth"}, "none.pth is not there"),
    ],
)
def test_what_does_not_do_is_told_and_earlier_outputs_stay(run, changes, message):
    artifacts = run(epochs=1)
    before = (artifacts / "checkpoints/best_model.pth").read_bytes()
    with pytest.raises(FacelineError) as caught:
        run(**changes)
    assert message in str(caught.value)
    assert (artifacts / "checkpoints/best_model.pth").read_bytes() == before


def test_a_last_batch_of_one_face_waits_for_the_next_epoch(run):
    """16 faces in batches of 5: BatchNorm at 1 x 1 px cannot take the sixteenth alone."""
    run(model_name="resnet18", batch_size=5, epochs=1)


def test_a_diverged_run_says_what_to_change(run):
    with pytest.raises(FacelineError, match=r"is nan in epoch 1: training diverged. Lower lr \(now 1e\+30\)"):
        run(lr=1e30, epochs=1, scheduler__name="cosine", scheduler__warmup=0.0)


def test_a_run_that_had_ended_is_only_handed_over(run, monkeypatch):
    """Stopped after early stopping, before the files were in place."""
    changes = {"epochs": 50, "lr": 1e-9, "trainer__early_stopping": 1, "augment__flip": 0.0}
    whole = run("whole", **changes)

    def full(*_args):
        raise _StopError

    monkeypatch.setattr("faceline_train.training.replaced_folder", full)
    with pytest.raises(_StopError):
        run("stopped", **changes)
    monkeypatch.undo()
    stopped = run("stopped", **changes)
    rows = [(path / "train/history.csv").read_text().count("\n") for path in (whole, stopped)]
    assert rows[0] == rows[1]


def test_a_full_disk_is_one_line(run, monkeypatch, capsys):
    monkeypatch.setattr("faceline_core.models.checkpoint.written_beside", lambda _path: nullcontext(Path("/dev/full")))
    assert guarded("train", run) == 1
    assert "no space left on device. Make room" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(run):
    with pytest.raises(FacelineError, match="sees no CUDA device"):
        run(trainer__accelerator="gpu")
