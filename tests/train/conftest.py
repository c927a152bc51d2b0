"""Runs of the train stage on a few faces."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import faceline_train
from faceline_train.classifier import Classifier
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
    "scheduler.min_lr": 0.0,
    "early_stopping.patience": 0,
    "dataset.num_workers": 0,
    "trainer.accelerator": "cpu",
    "trainer.precision": 32,
}


@pytest.fixture
def settings(parameters_with) -> Callable[..., object]:
    """Parameters of a small run; `scheduler__name="cosine"` changes scheduler.name."""
    return lambda **changes: parameters_with(
        faceline_train.KEYS, SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    )


@pytest.fixture
def processed(tmp_path, write_processed) -> Path:
    """16 training and 4 validation faces of 4 people, 32 px."""
    return write_processed(tmp_path, size=32)


@pytest.fixture
def run(tmp_path, processed, settings) -> Callable[..., Path]:
    """A function that trains into a folder of that name, and returns it."""

    def start(artifacts: str = "artifacts", on_epoch=None, **changes) -> Path:
        train(settings(**{"dataset__path": str(processed), **changes}), tmp_path / artifacts, on_epoch)
        return tmp_path / artifacts

    return start


@pytest.fixture(scope="session")
def content_of() -> Callable[..., dict]:
    """What a checkpoint of a run holds, by default that of final_model.pth."""
    return lambda artifacts, name="final_model.pth": torch.load(artifacts / "checkpoints" / name, weights_only=True)


@pytest.fixture(scope="session")
def weights_of(content_of) -> Callable[..., dict[str, torch.Tensor]]:
    return lambda artifacts, name="final_model.pth": content_of(artifacts, name)["state_dict"]


@pytest.fixture(scope="session")
def assert_same() -> Callable[..., None]:
    """Two state dicts are equal bit for bit, or within a tolerance."""

    def check(first: dict, second: dict, atol: float = 0.0) -> None:
        assert first.keys() == second.keys()
        for name, tensor in first.items():
            torch.testing.assert_close(second[name], tensor, atol=atol, rtol=0, msg=lambda text, name=name: name + text)

    return check


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], list[dict[str, float]]]:
    """The rows of a run's history.csv."""

    def read(artifacts: Path) -> list[dict[str, float]]:
        with (artifacts / "train/history.csv").open() as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    return read


class StopError(Exception):
    pass


@pytest.fixture
def stop_at_step(monkeypatch) -> Callable[[int], list[int]]:
    """A function that lets the given training step raise, once; it returns the list of steps, which goes on growing."""
    original = Classifier.training_step

    def arrange(last: int) -> list[int]:
        steps: list[int] = []

        def training_step(self, batch, index):
            steps.append(index)
            if len(steps) == last:
                raise StopError
            return original(self, batch, index)

        monkeypatch.setattr(Classifier, "training_step", training_step)
        return steps

    return arrange


@pytest.fixture(scope="session")
def stopped() -> type[Exception]:
    """What a run that `stop_at_step` stopped raises."""
    return StopError
