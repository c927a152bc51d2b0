"""Which epochs are kept, when training ends, and what is logged."""

import json
import sys

import numpy as np
import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_train.classifier import Classifier
from faceline_train.selection import file_name
from faceline_train.validating import validate


def test_training_stops_when_nothing_gets_better(run, rows_of, content_of):
    artifacts = run(epochs=50, lr=1e-9, early_stopping__patience=2, augment__preset="none")
    assert len(rows_of(artifacts)) == content_of(artifacts)["best_epoch"] + 2 < 50


def test_training_stops_by_the_metric_that_was_named(run, rows_of):
    """train_loss, held to be the better the higher it is, is best at first."""
    rows = rows_of(
        run(
            epochs=9,
            lr=0.003,
            early_stopping__monitor="train_loss",
            early_stopping__mode="max",
            early_stopping__patience=1,
        )
    )
    losses = [row["train_loss"] for row in rows]
    fell = next(index for index in range(1, len(losses)) if losses[index] < max(losses[:index]))
    assert len(rows) == fell + 1 < 9


@pytest.mark.parametrize(("monitor", "mode"), [("val_loss", "min"), ("train_loss", "max"), ("val_f1", "max")])
def test_the_best_is_chosen_by_the_metric_that_was_named(run, rows_of, content_of, monitor, mode):
    artifacts = run(epochs=4, checkpoint__monitor=monitor, checkpoint__mode=mode)
    sign = 1 if mode == "max" else -1
    best = max(rows_of(artifacts), key=lambda row: (sign * row[monitor], -row["val_loss"]))
    content = content_of(artifacts, "best_model.pth")
    assert (content["epoch"], content["monitor"]) == (best["epoch"], monitor)
    assert content["best"] == pytest.approx(best[monitor])


def test_the_best_may_lie_within_an_epoch(run, monkeypatch, content_of):
    """Validated after each of three batches; the second is told to be the best."""
    accuracies = iter([0.1, 0.9, 0.2])
    original = Classifier.log_dict

    def log_dict(self, figures):
        if "val_acc" in figures:
            figures["val_acc"] = torch.tensor(next(accuracies))
            weights.append(self.recogniser.head.weight.detach().clone())
        original(self, figures)

    weights = []
    monkeypatch.setattr(Classifier, "log_dict", log_dict)
    artifacts = run(epochs=1, trainer__val_check_interval=1)
    content = content_of(artifacts, "best_model.pth")
    assert content["best"] == pytest.approx(0.9)
    assert torch.equal(content["state_dict"]["head.weight"], weights[1])


def test_the_best_few_are_kept_under_names_of_their_own(run, rows_of, stop_at_step, stopped, weights_of):
    """Over a stop and a restart as well."""
    changes = {
        "epochs": 5,
        "checkpoint__save_top_k": 2,
        "checkpoint__monitor": "train_loss",
        "checkpoint__mode": "min",
        "checkpoint__filename": "{epoch:02d}_{train_loss:.4f}",
    }
    stop_at_step(11)
    with pytest.raises(stopped):
        run(**changes)
    artifacts = run(**changes)
    rows = sorted(rows_of(artifacts), key=lambda row: row["train_loss"])[:2]
    names = {f"{int(row['epoch']):02d}_{row['train_loss']:.4f}.pth" for row in rows}
    found = {path.name for path in (artifacts / "checkpoints").iterdir()}
    assert found == names | {"best_model.pth", "final_model.pth", "head.pth"}
    best = file_name("{epoch:02d}_{train_loss:.4f}", int(rows[0]["epoch"]), {"train_loss": rows[0]["train_loss"]})
    assert torch.equal(
        weights_of(artifacts, best)["head.weight"], weights_of(artifacts, "best_model.pth")["head.weight"]
    )


def test_every_second_epoch_is_kept_where_it_is_asked_for(run):
    artifacts = run(epochs=5, checkpoint__save_top_k=-1, checkpoint__every_n_epochs=2, checkpoint__filename="{epoch}")
    assert {path.stem for path in (artifacts / "checkpoints").iterdir()} == {
        *("2", "4", "best_model", "final_model", "head")
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint__monitor": "val_ac"}, "checkpoint.monitor: val_ac is not logged; did you mean val_acc"),
        ({"checkpoint__monitor": "val_recall"}, "val_recall is not logged; add recall to logging.metrics"),
        ({"early_stopping__monitor": "loss"}, "early_stopping.monitor: loss is not logged; did you mean"),
        ({"checkpoint__filename": "{epoch}_{val_au}"}, "checkpoint.filename: val_au is not logged; did you mean"),
        ({"checkpoint__filename": "{val_acc:.2f}"}, "names no {epoch}"),
        ({"checkpoint__filename": "a/{epoch}"}, "is no file name of its own"),
        ({"checkpoint__filename": "{epoch:zz}"}, "is no pattern"),
    ],
)
def test_a_metric_that_is_not_logged_is_told_before_training(run, stop_at_step, changes, message):
    steps = stop_at_step(1)
    with pytest.raises(FacelineError) as caught:
        run(checkpoint__save_top_k=1, **changes)
    assert message in str(caught.value)
    assert not steps


def test_metrics_are_those_of_the_list_and_right(run, rows_of, processed, settings):
    """Against scikit-learn, on what the checkpoint says of the validation faces."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    from faceline_core.data.faces import read_face
    from faceline_core.data.split import read_split
    from faceline_core.models.checkpoint import load_recogniser

    artifacts = run(epochs=1, logging__metrics=["recall", "acc", "precision", "f1"])
    (row,) = rows_of(artifacts)
    assert list(row)[5:10] == ["train_f1", "val_loss", "val_recall", "val_acc", "val_precision"]
    recogniser, _ = load_recogniser(artifacts / "checkpoints/best_model.pth")
    split = read_split(processed, "val")
    with torch.no_grad():
        faces = np.stack([read_face(path, 32) for path in split.paths])
        logits = recogniser(torch.from_numpy(faces).permute(0, 3, 1, 2))
    predicted = logits.argmax(1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        split.labels, predicted, average="macro", zero_division=0
    )
    expected = {
        "val_loss": float(torch.nn.functional.cross_entropy(logits, torch.tensor(split.labels))),
        "val_acc": accuracy_score(split.labels, predicted),
        "val_precision": precision,
        "val_recall": recall,
        "val_f1": f1,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    figures = validate(
        settings(dataset__path=str(processed), logging__metrics=["acc", "precision", "recall", "f1"]),
        artifacts / "checkpoints/best_model.pth",
        artifacts,
    )
    assert figures == pytest.approx(expected, abs=1e-5), "faceline-train --validate"


def test_validation_of_another_size_is_told(run, settings, processed):
    artifacts = run(epochs=1)
    with pytest.raises(FacelineError, match="takes faces of 32 px, img_size is 64"):
        validate(settings(dataset__path=str(processed), img_size=64), artifacts / "checkpoints/best_model.pth")


def test_loggers_write_offline(run, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    artifacts = run(epochs=2, logging__loggers=["tensorboard", "wandb"], logging__offline=True, run_name="logged")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(artifacts / "logs/tensorboard/logged"))
    events.Reload()
    assert [event.value for event in events.Scalars("val_acc")]
    assert len(events.Scalars("train_loss")) == 2
    (offline,) = (artifacts / "logs/wandb/wandb").glob("offline-run-*")
    assert list(offline.glob("*.wandb"))


def test_a_logger_that_is_not_installed_says_how_to(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else sys.modules[name])
    with pytest.raises(FacelineError, match=r"wandb is not installed. Run: \.venv/bin/pip install wandb"):
        run(logging__loggers=["wandb"])


def test_what_a_checkpoint_says_of_its_run_is_plain(run, content_of):
    artifacts = run(epochs=1)
    content = content_of(artifacts, "best_model.pth")
    json.dumps({key: value for key, value in content.items() if key not in ("state_dict", "person_embeddings")})
