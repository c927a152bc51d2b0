"""What the tests of the search share: a small study, and a training that takes no time."""

import csv
import gc
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import sqlalchemy

from faceline_core.parameters.reading import read_values
from faceline_train.tuning import report, spaces
from faceline_train.tuning.store import counts

PARAMS = Path(__file__).parents[3] / "params.yaml"


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


@pytest.fixture(scope="session")
def lr_space() -> dict:
    return {"distribution": "loguniform", "low": 1e-4, "high": 1e-2}


@pytest.fixture(scope="session")
def values_with(lr_space) -> Callable[..., dict]:
    """A function that reads params.yaml with a small study; names of other parameters have __ for the dot."""

    def read(n_trials: int = 4, searched: dict | None = None, **changes) -> dict:
        settings = {"epochs": 4, "optuna.n_trials": n_trials, "optuna.search_spaces": searched or {"lr": lr_space}}
        settings |= {name.replace("__", "."): value for name, value in changes.items()}
        return spaces.with_changes(read_values(PARAMS), settings)

    return read


@pytest.fixture(scope="session")
def train() -> Callable[..., SimpleNamespace]:
    """Stands in for faceline_train.training.train: it is best at lr 0.002, and learns for some epochs."""

    def train(parameters, artifacts, on_epoch, scratch):
        assert artifacts.parent.parent == scratch
        artifacts.mkdir(parents=True, exist_ok=True)
        print("[train] a line of the training")
        history = []
        for epoch in range(1, parameters.epochs + 1):
            accuracy = (1 - 0.4 * abs(math.log10(parameters.lr / 0.002))) * (1 - 0.5**epoch)
            history.append({"epoch": epoch, "val_acc": accuracy, "val_loss": 1 / epoch})
            on_epoch(epoch, history[-1])
        return SimpleNamespace(history=history)

    return train


@pytest.fixture(scope="session")
def drawn() -> Callable[[optuna.Study], list[dict]]:
    """The values of each trial that counts."""
    return lambda study: [trial.user_attrs["values"] for trial in study.trials if counts(trial)]


@pytest.fixture(scope="session")
def table() -> Callable[[Path], list[dict[str, str]]]:
    """The rows of a folder's tune/trials.csv."""

    def read(artifacts: Path) -> list[dict[str, str]]:
        with (artifacts / "tune/trials.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read
