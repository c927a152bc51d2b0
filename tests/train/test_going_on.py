"""Runs that are stopped, and go on."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest
import torch
import yaml

from faceline_core.errors import FacelineError
from faceline_train.classifier import Classifier

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("scheduler", "workers", "mean", "network"),
    [
        ("plateau", 0, 0.0, "mobilenet_v3_small"),
        ("cosine", 1, 0.0, "efficientnet_b0"),  # with stochastic depth, which draws
        ("multistep", 0, 0.9, "mobilenet_v3_small"),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    run, stop_at_step, stopped, weights_of, assert_same, rows_of, scheduler, workers, mean, network
):
    """Stopped in the middle of the third epoch of four; patience 0 moves the plateau's rate every time."""
    changes = {
        "model_name": network,
        "epochs": 4,
        "scheduler__name": scheduler,
        "scheduler__milestones": [2, 3],
        "dataset__num_workers": workers,
        "optimizer__ema_decay": mean,
        "augment__preset": "standard",
    }
    whole = run("whole", **changes)
    steps = stop_at_step(8)
    with pytest.raises(stopped):
        run("stopped", **changes)
    assert len(steps) == 8
    assert multiprocessing.active_children() == [], "its workers, too, are stopped"
    artifacts = run("stopped", **changes)
    assert len(steps) == 8 + 3 * 2, "16 faces in batches of 6 are 3 steps; epochs 3 and 4 were left"
    for name in ("best_model.pth", "final_model.pth"):
        assert_same(weights_of(whole, name), weights_of(artifacts, name))
    columns = [[(row["epoch"], row["train_loss"], row["lr"]) for row in rows_of(path)] for path in (whole, artifacts)]
    assert columns[0] == columns[1]
    assert len(columns[0]) == 4
    assert not list((artifacts / ".scratch").glob("train-*"))


@pytest.mark.parametrize(("step", "lost"), [(2, True), (5, False)])
def test_ctrl_c_before_an_epoch_has_ended_says_that_nothing_is_kept(run, monkeypatch, capsys, step, lost):
    original, steps = Classifier.training_step, count(1)

    def training_step(self, batch, index):
        if next(steps) == step:
            raise KeyboardInterrupt
        return original(self, batch, index)

    monkeypatch.setattr(Classifier, "training_step", training_step)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert ("nothing is kept before an epoch has ended" in capsys.readouterr().out) is lost
    run()
    assert ("epoch 1/2" in capsys.readouterr().out) is lost


def test_within_a_long_epoch_a_run_goes_on_from_a_step(run, stop_at_step, stopped, weights_of, assert_same, rows_of):
    """Stopped at the sixth of eight steps of the first epoch, with a state kept after every step."""
    changes = {"epochs": 2, "batch_size": 2, "trainer__checkpoint_minutes": 1e-9}
    whole = run("whole", **changes)
    steps = stop_at_step(6)
    with pytest.raises(stopped):
        run("stopped", **changes)
    artifacts = run("stopped", **changes)
    assert len(steps) == 6 + 3 + 8, "steps 6 to 8 of the first epoch, and the second"
    assert_same(weights_of(whole), weights_of(artifacts))
    assert [row["train_loss"] for row in rows_of(whole)] == pytest.approx(
        [row["train_loss"] for row in rows_of(artifacts)], rel=1e-6
    )


def test_other_parameters_do_not_go_on_where_another_run_was(run, stop_at_step, stopped, capsys):
    stop_at_step(5)
    with pytest.raises(stopped):
        run(epochs=3)
    run(epochs=2)
    assert "goes on" not in capsys.readouterr().out


def test_what_changes_no_weight_does_not_start_a_run_anew(run, stop_at_step, stopped, capsys):
    stop_at_step(5)
    with pytest.raises(stopped):
        run(epochs=3)
    run(epochs=3, trainer__fast_dev_run=True)
    run(epochs=3, dataset__cache="none", logging__refresh_rate=5, run_name="again")
    assert "goes on where it was stopped" in capsys.readouterr().out


def test_a_checkpoint_that_is_named_is_trained_on_from(run, weights_of, assert_same, rows_of, capsys):
    changes = {"scheduler__name": "cosine", "scheduler__total_steps": 12}
    whole = run("whole", epochs=4, **changes)
    half = run("half", epochs=2, **changes)
    artifacts = run("rest", epochs=4, ckpt_path=str(half / "checkpoints/final_model.pth"), **changes)
    assert_same(weights_of(whole), weights_of(artifacts))
    assert [row["train_loss"] for row in rows_of(whole)] == [row["train_loss"] for row in rows_of(artifacts)]
    assert f"goes on from {half / 'checkpoints/final_model.pth'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.1}, "was trained with lr: 0.001, found 0.1"),
        ({"optimizer__name": "sgd"}, "optimizer.name: adam, found sgd"),
        ({"optimizer__weight_decay": 0.0}, "optimizer.weight_decay: 0.0001, found 0.0"),
        ({"scheduler__name": "multistep"}, "scheduler.name: plateau, found multistep"),
        ({"freeze_ratio": 0.5}, "freeze_ratio: 0.0, found 0.5"),
        ({"logging__metrics": ["acc"]}, "logging.metrics: ['acc', 'f1'], found ['acc']"),
    ],
)
def test_a_state_does_not_go_on_with_what_it_is_not_of(run, changes, message):
    source = run("source", epochs=1)
    with pytest.raises(FacelineError) as caught:
        run("next", epochs=2, ckpt_path=str(source / "checkpoints/final_model.pth"), **changes)
    assert message in str(caught.value)
    assert "only_weights_load: true" in str(caught.value)


def test_the_order_of_channels_comes_with_a_checkpoint(run, tmp_path, weights_of, content_of):
    """Weights of the public AdaFace kind see BGR; so does what is trained on from them."""
    changes = {"model_name": "ir_18", "epochs": 1, "lr": 1e-6}
    plain = weights_of(run("plain", **changes))
    public = {name.replace("backbone.", "model."): value for name, value in plain.items() if "backbone." in name}
    torch.save({"state_dict": public}, tmp_path / "adaface.ckpt")
    source = run("source", **changes, weights=str(tmp_path / "adaface.ckpt"))
    assert content_of(source)["normalisation"]["channel_order"] == "bgr"
    file = str(source / "checkpoints/final_model.pth")
    for name, more in (("state", {"epochs": 2}), ("weights", {"only_weights_load": True})):
        artifacts = run(name, **changes | more, ckpt_path=file)
        assert content_of(artifacts)["normalisation"]["channel_order"] == "bgr", name


def test_a_mistake_costs_no_stopped_run_its_state(run, stop_at_step, stopped, capsys):
    stop_at_step(5)
    with pytest.raises(stopped):
        run(epochs=3)
    with pytest.raises(FacelineError):
        run(epochs=3, batch_size=64)
    run(epochs=3)
    assert "goes on where it was stopped" in capsys.readouterr().out


def test_an_early_stopped_run_is_trained_on(run, rows_of):
    changes = {"early_stopping__patience": 1, "lr": 1e-9, "augment__preset": "none"}
    first = run("first", epochs=50, **changes)
    done = len(rows_of(first))
    rest = run("rest", epochs=done + 1, **changes, ckpt_path=str(first / "checkpoints/final_model.pth"))
    assert len(rows_of(rest)) == done + 1


def test_of_a_checkpoint_the_weights_alone(run, weights_of, rows_of):
    source = run("source", epochs=2)
    file = source / "checkpoints/final_model.pth"
    artifacts = run("next", epochs=1, lr=1e-12, ckpt_path=str(file), only_weights_load=True, augment__preset="none")
    assert len(rows_of(artifacts)) == 1
    for name, tensor in weights_of(source).items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(weights_of(artifacts)[name], tensor, atol=1e-6, rtol=0)
    head = run("head", epochs=1, lr=1e-12, ckpt_path=str(source / "checkpoints/head.pth"), only_weights_load=True)
    torch.testing.assert_close(weights_of(head)["head.weight"], weights_of(source, "best_model.pth")["head.weight"])
    assert not torch.equal(
        weights_of(head)["backbone.features.0.0.weight"], weights_of(source)["backbone.features.0.0.weight"]
    )


def test_a_file_of_another_training_is_told(run, tmp_path):
    path = tmp_path / "foreign.ckpt"
    torch.save({"pytorch-lightning_version": "2.0.0", "state_dict": {"net.weight": torch.ones(2)}, "epoch": 3}, path)
    for only_weights in (True, False):
        with pytest.raises(FacelineError, match=r"was not written by Faceline\. Take its backbone alone with weights"):
            run(ckpt_path=str(path), only_weights_load=only_weights, freeze_ratio=True)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("none.pth", {}, "ckpt_path: .*none.pth is not there"),
        ("best_model.pth", {}, "without the optimizer's state. Give final_model.pth"),
        ("final_model.pth", {}, "has trained 1 epochs, and epochs is 1. Raise epochs"),
        ("final_model.pth", {"model_name": "resnet18"}, "was trained with model_name: mobilenet_v3_small"),
        ("final_model.pth", {"head": "arcface"}, "was trained with head: softmax"),
        ("final_model.pth", {"classes": ["person_00", "person_01"]}, "was trained with classes: 4 people"),
        ("final_model.pth", {"model_name": "resnet18", "only_weights_load": True}, "does not fit resnet18"),
        ("../train/history.csv", {}, "no file of"),
    ],
)
def test_a_checkpoint_that_does_not_do_is_told(run, name, changes, message):
    source = run("source", epochs=1)
    with pytest.raises(FacelineError, match=message):
        run("next", epochs=1, ckpt_path=str(source / "checkpoints" / name), **changes)


def test_a_run_that_had_ended_is_only_handed_over(run, monkeypatch, stopped, rows_of):
    """Stopped after early stopping, before the files were in place."""
    changes = {"epochs": 50, "lr": 1e-9, "early_stopping__patience": 1, "augment__preset": "none"}
    whole = run("whole", **changes)

    def full(*_args):
        raise stopped

    monkeypatch.setattr("faceline_train.handover.replaced_folder", full)
    with pytest.raises(stopped):
        run("stopped", **changes)
    monkeypatch.undo()
    assert len(rows_of(whole)) == len(rows_of(run("stopped", **changes)))


def test_a_killed_process_goes_on(tmp_path, processed, weights_of, assert_same, run):
    """kill -9, by the command line."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"model_name": "mobilenet_v3_small", "img_size": 32, "epochs": 6, "batch_size": 6}
    values["trainer"] |= {"accelerator": "cpu"}
    values["dataset"] |= {"path": str(processed), "num_workers": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    environment = os.environ | {"PYTHONPATH": ":".join(str(path) for path in ROOT.glob("*/src"))}
    command = [sys.executable, "-m", "faceline_train"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in process.stdout:
        if line.startswith("[train] epoch 2/6"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "[train] goes on where it was stopped" in again.stdout
    assert "[train] epoch 1/6" not in again.stdout
    whole = run(
        "whole",
        **{
            "epochs": 6,
            "scheduler__name": "cosine",
            "scheduler__patience": 3,
            "scheduler__min_lr": values["scheduler"]["min_lr"],
            "early_stopping__patience": values["early_stopping"]["patience"],
        },
    )
    assert_same(weights_of(whole), weights_of(tmp_path / "artifacts"))
