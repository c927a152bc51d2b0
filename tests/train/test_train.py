"""A run of the train stage: what it learns, what it leaves, and that it can be repeated."""

import multiprocessing
import shutil
from contextlib import nullcontext
from pathlib import Path

import cv2
import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_head, load_recogniser
from faceline_core.models.recogniser import Margin, Recogniser
from faceline_core.stage.console import guarded
from faceline_train.classifier import Classifier
from faceline_train.validating import validate

COLUMNS = [
    *("epoch", "train_loss", "train_acc", "train_f1", "val_loss", "val_acc", "val_f1"),
    *("lr", "seconds", "data_seconds"),
]


def test_a_run_learns_and_leaves_its_files(run, rows_of, content_of, capsys):
    artifacts = run(epochs=6, scheduler__name="cosine", scheduler__patience=3, model_name="resnet18")
    assert sorted(str(p.relative_to(artifacts)) for p in artifacts.rglob("*") if p.is_file()) == [
        "checkpoints/best_model.pth",
        "checkpoints/final_model.pth",
        "checkpoints/head.pth",
        "train/first_batch.png",
        "train/history.csv",
    ]
    rows = rows_of(artifacts)
    assert list(rows[0]) == COLUMNS
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 2
    recogniser, content = load_recogniser(artifacts / "checkpoints/best_model.pth")
    best = max(rows, key=lambda row: (row["val_acc"], -row["val_loss"]))
    assert content["epoch"] == content["best_epoch"] == best["epoch"]
    assert (content["monitor"], content["best"]) == ("val_acc", 1.0)
    assert content["classes"] == [f"person_{i:02}" for i in range(4)] == recogniser.classes
    assert content["parameters"]["lr"] == 0.001
    final = content_of(artifacts)
    assert final["epoch"] == 6
    assert final["resume"]["optimizer_states"][0]["state"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[train] 4 people, 16 training and 4 validation faces"
    assert lines[1].startswith("[train] resnet18, 11.2 M parameters (11.2 M trained), cpu in 32 bit, weights from ")
    assert any(line.startswith("[train] epoch 1/6  train_loss ") and "for data" in line for line in lines)
    assert lines[-1].startswith(f"[train] best val_acc 1.000 at epoch {content['epoch']} -> ")


def test_two_runs_are_bit_identical(run, content_of, assert_same):
    """Weights, and what the optimizer knows of each."""
    first, second = (content_of(run(name, augment__preset="standard")) for name in "ab")
    assert_same(first["state_dict"], second["state_dict"])
    of_first, of_second = (content["resume"]["optimizer_states"][0]["state"] for content in (first, second))
    assert of_first
    for index, state in of_first.items():
        assert_same(
            {name: torch.as_tensor(value) for name, value in state.items()},
            {name: torch.as_tensor(value) for name, value in of_second[index].items()},
        )


def test_another_seed_is_another_run(run, weights_of):
    first, second = (weights_of(run(name, epochs=1, seed=seed)) for name, seed in (("a", 1), ("b", 2)))
    assert not torch.equal(first["head.weight"], second["head.weight"])


def test_worker_processes_change_nothing(run, weights_of, assert_same):
    first, second = run("a"), run("b", dataset__num_workers=2)
    assert multiprocessing.active_children() == []
    assert_same(weights_of(first), weights_of(second))


@pytest.mark.parametrize("cache", ["none", "disk"])
def test_where_decoded_faces_are_kept_changes_nothing(run, weights_of, assert_same, cache):
    first, second = run("a", epochs=1), run("b", epochs=1, dataset__cache=cache)
    assert_same(weights_of(first), weights_of(second))


@pytest.mark.parametrize("head", ["arcface", "cosface", "adaface"])
def test_each_margin_head_learns(run, rows_of, head):
    artifacts = run(
        model_name="resnet18", head=head, epochs=4, loss__s=16.0, scheduler__patience=5, augment__preset="none"
    )
    rows = rows_of(artifacts)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 2
    assert rows[-1]["val_acc"] == 1.0
    recogniser, content = load_recogniser(artifacts / "checkpoints/best_model.pth")
    assert (recogniser.head_name, recogniser.margin) == (head, Margin(s=16.0))
    torch.testing.assert_close(
        content["person_embeddings"], torch.nn.functional.normalize(recogniser.head.weight.detach(), dim=0).T
    )


def test_each_checkpoint_of_a_margin_head_has_its_own_columns(run):
    artifacts = run(head="arcface", epochs=3, lr=0.05, freeze_ratio=1.0, checkpoint__save_top_k=-1)
    found = []
    for path in sorted(set((artifacts / "checkpoints").glob("*.pth")) - {artifacts / "checkpoints/head.pth"}):
        recogniser, content = load_recogniser(path)
        columns = torch.nn.functional.normalize(recogniser.head.weight.detach(), dim=0).T
        torch.testing.assert_close(content["person_embeddings"], columns)
        found.append(columns)
    assert len(found) == 5
    assert not torch.equal(found[0], found[1])


def test_person_embeddings_are_the_means_of_each_persons_faces(run, processed):
    recogniser, content = load_recogniser(run(epochs=1) / "checkpoints/best_model.pth")
    for label, person in enumerate(content["classes"]):
        files = sorted((processed / "train" / person).glob("*.jpg"))
        faces = torch.stack([torch.from_numpy(cv2.imread(str(file))[..., ::-1].copy()) for file in files])
        with torch.no_grad():
            unit, _ = recogniser.embed(faces.permute(0, 3, 1, 2))
        mean = torch.nn.functional.normalize(unit.mean(dim=0), dim=0)
        torch.testing.assert_close(content["person_embeddings"][label], mean, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("head", ["softmax", "adaface"])
def test_the_head_alone_fits_on_a_fresh_backbone(run, head):
    folder = run(epochs=1, head=head) / "checkpoints"
    whole, content = load_recogniser(folder / "best_model.pth")
    fresh = Recogniser("mobilenet_v3_small", 32, content["classes"], head=head)
    load_head(fresh, folder / "head.pth")
    assert torch.equal(fresh.head.weight, whole.head.weight)
    fresh.backbone.load_state_dict(whole.backbone.state_dict())
    faces = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(fresh.eval()(faces), whole(faces))
    with pytest.raises(FacelineError, match="other classes"):
        load_head(Recogniser("mobilenet_v3_small", 32, ["a", "b"], head=head), folder / "head.pth")
    with pytest.raises(FacelineError, match=r"another length than resnet18's \(512\)"):
        load_head(Recogniser("resnet18", 32, content["classes"], head=head), folder / "head.pth")
    with pytest.raises(FacelineError, match="holds a head alone"):
        load_recogniser(folder / "head.pth")


def test_classes_restrict_and_order(run):
    artifacts = run(classes=["person_02", "person_00"], epochs=1)
    recogniser, content = load_recogniser(artifacts / "checkpoints/best_model.pth")
    assert content["classes"] == ["person_02", "person_00"] == recogniser.classes


def test_a_last_batch_of_one_face_waits_for_the_next_epoch(run):
    """16 faces in batches of 5: BatchNorm at 1 x 1 px cannot take the sixteenth alone."""
    run(model_name="resnet18", batch_size=5, epochs=1)


def test_accumulated_batches_are_one_large_batch(run, weights_of, assert_same):
    """Without what depends on the batch: BatchNorm's statistics stay, nothing is augmented, SGD keeps the scale."""
    plain = {
        "model_name": "resnet18",
        "epochs": 1,
        "optimizer__name": "sgd",
        "augment__preset": "none",
        "trainer__freeze_batchnorm": True,
    }
    one = run("one", batch_size=8, **plain)
    many = run("many", batch_size=4, trainer__accumulate_grad_batches=2, **plain)
    assert_same(weights_of(one), weights_of(many), atol=1e-5)


def test_a_step_that_a_limit_cuts_short_is_the_mean_over_its_faces(run, weights_of, assert_same):
    plain = {
        "model_name": "resnet18",
        "epochs": 1,
        "batch_size": 4,
        "optimizer__name": "sgd",
        "augment__preset": "none",
        "trainer__freeze_batchnorm": True,
        "trainer__limit_train_batches": 1,
    }
    one = run("one", **plain)
    cut = run("cut", **plain, trainer__accumulate_grad_batches=2)
    assert_same(weights_of(one), weights_of(cut), atol=1e-6)


def test_an_epochs_figures_are_of_its_last_weights(run, rows_of, settings, processed):
    """Where validation within the epoch does not end with it: three batches, validated after the second."""
    artifacts = run(epochs=1, trainer__val_check_interval=2, checkpoint__save_top_k=1, model_name="resnet18")
    (row,) = rows_of(artifacts)
    (kept,) = (artifacts / "checkpoints").glob("001_*.pth")
    for file in (kept, artifacts / "checkpoints/final_model.pth"):
        figures = validate(settings(dataset__path=str(processed)), file, artifacts)
        assert figures["val_loss"] == pytest.approx(row["val_loss"], rel=1e-5)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_backbone_gives_what_it_gives(run, weights_of, monkeypatch):
    """By torch's interpreter of compiled graphs: building machine code takes minutes."""
    compiled = []
    original = torch.nn.Module.compile

    def compile_by_interpreter(self, **_):
        compiled.append(self)
        original(self, backend="aot_eager")

    plain = weights_of(run("plain", epochs=1, model_name="resnet18"))
    monkeypatch.setattr(torch.nn.Module, "compile", compile_by_interpreter)
    artifacts = run("compiled", epochs=1, model_name="resnet18", trainer__compile=True)
    assert len(compiled) == 1
    for name, tensor in weights_of(artifacts).items():
        if tensor.is_floating_point():
            torch.testing.assert_close(plain[name], tensor, atol=0.005, rtol=0)


def test_the_loss_is_smoothed_while_training_only(run):
    """One batch with the first weights: cross-entropy against 1 - e + e / C for the right person, e / C for others."""
    seen = []
    original = Classifier.training_step

    def training_step(self, batch, index):
        loss = original(self, batch, index)
        seen.append((self.recogniser, batch, loss.item()))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", training_step)
        run(epochs=1, batch_size=16, lr=1e-12, loss__label_smoothing=0.2, model_name="resnet18")
    recogniser, batch, found = seen[0]
    with torch.no_grad():
        logs = recogniser.train()(batch.images).double().log_softmax(dim=1)
    expected = -sum(
        logs[i, c] * (0.2 / 4 + (0.8 if c == label else 0)) for i, label in enumerate(batch.labels) for c in range(4)
    )
    assert found == pytest.approx(float(expected) / 16, rel=1e-4)


def test_the_running_mean_of_the_weights_is_what_is_kept(run, content_of, assert_same):
    changes = {"epochs": 2, "scheduler__name": "multistep"}
    plain = content_of(run("plain", **changes))
    mean = content_of(run("mean", optimizer__ema_decay=0.9, **changes))
    raw = {name.removeprefix("recogniser."): value for name, value in mean["resume"]["state_dict"].items()}
    assert_same(plain["state_dict"], {name: raw[name] for name in plain["state_dict"]})
    assert not torch.equal(mean["state_dict"]["head.weight"], raw["head.weight"])


def test_the_backbone_has_a_rate_of_its_own(run, weights_of):
    """0: it stays, and the head moves."""
    changes = {"model_name": "resnet18", "epochs": 1, "augment__preset": "none", "optimizer__weight_decay": 0.0}
    start = weights_of(run("start", **{**changes, "lr": 1e-12}))
    found = weights_of(run("found", **changes, optimizer__backbone_lr_factor=0.0))
    for name, tensor in start.items():
        if name.endswith("weight"):
            same = torch.allclose(tensor, found[name], atol=1e-8)
            assert same == name.startswith("backbone."), name


def test_a_plateau_follows_val_loss(run, rows_of):
    """With patience 0 the rate halves after each epoch whose val_loss is not lower than the lowest."""
    rows = rows_of(run(epochs=8, lr=0.004, model_name="resnet18", augment__preset="none"))
    lowest, rate = float("inf"), 0.004
    for row in rows:
        assert row["lr"] == pytest.approx(rate)
        if row["val_loss"] < lowest * (1 - 1e-4):
            lowest = row["val_loss"]
        else:
            rate /= 2
    assert rate < 0.004, "it never had to fall: the test says nothing"


def test_gradients_are_clipped(run, weights_of):
    """To next to nothing: with SGD the weights then hardly move."""
    changes = {"epochs": 1, "optimizer__name": "sgd", "lr": 0.1, "optimizer__weight_decay": 0.0}
    start = weights_of(run("start", **{**changes, "lr": 1e-12}))["head.weight"]
    moved = [
        (weights_of(run(f"clip{clip}", trainer__gradient_clip_val=clip, **changes))["head.weight"] - start).norm()
        for clip in (0.0, 1e-4)
    ]
    assert moved[1] < 1e-3 < moved[0]


def test_gradients_are_clipped_in_mixed_precision_too(run, rows_of):
    rows = rows_of(run(epochs=1, trainer__gradient_clip_val=1.0, trainer__precision="bf16"))
    assert rows[0]["train_loss"] < 3


def test_a_named_run_keeps_a_copy(run, capsys):
    artifacts = run(epochs=1, run_name="slow")
    run(epochs=1, run_name="slow")
    folders = sorted(path.name for path in (artifacts / "runs").iterdir())
    assert [name[-2:] for name in folders] == ["_1", "_2"]
    assert all(name.startswith("slow_") and len(name) == len("slow_11-25_1") for name in folders)
    kept = artifacts / "runs" / folders[0]
    assert (kept / "checkpoints/best_model.pth").is_file()
    assert (kept / "train/history.csv").is_file()
    assert f"a copy of the run -> {artifacts / 'runs' / folders[1]}" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(run, capsys):
    artifacts = run(trainer__fast_dev_run=True, head="adaface")
    assert [path for path in artifacts.rglob("*") if path.is_file()] == []
    assert "fast_dev_run: a batch of training and one of validation went through" in capsys.readouterr().out


def test_limits_and_validation_within_an_epoch(run, stop_at_step, content_of, rows_of):
    steps = stop_at_step(10**9)
    run("limited", trainer__limit_train_batches=2, trainer__limit_val_batches=1, epochs=2)
    assert len(steps) == 4
    seen = []
    artifacts = run(
        "within", batch_size=4, epochs=2, trainer__val_check_interval=2, on_epoch=lambda *row: seen.append(row)
    )
    assert len(rows_of(artifacts)) == 2
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert content_of(artifacts, "best_model.pth")["best"] == max(
        content_of(artifacts, "best_model.pth")["best"], *(row["val_acc"] for _, row in seen)
    )


def test_a_full_disk_is_one_line(run, monkeypatch, capsys):
    monkeypatch.setattr("faceline_core.models.checkpoint.written_beside", lambda _path: nullcontext(Path("/dev/full")))
    assert guarded("train", run) == 1
    assert "no space left on device. Make room" in capsys.readouterr().err
