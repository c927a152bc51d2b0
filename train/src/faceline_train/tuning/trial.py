"""One trial: the values it draws, the training with them, and what came of it."""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
import torch

from faceline_core.errors import FacelineError
from faceline_core.parameters.reading import StageParameters, check_values
from faceline_core.parameters.training import Optuna
from faceline_core.stage.progress import say
from faceline_train import KEYS
from faceline_train.classifier import DivergedError
from faceline_train.tuning.report import best_row, drawn_line
from faceline_train.tuning.spaces import suggest, with_changes

_NEWS = 30  # seconds between two lines about a trial that is under way


class TrialError(FacelineError):
    """A trial failed by its own values; others need not."""


class Trained(Protocol):
    """What a training returns: a row an epoch, of `epoch` and the logged metrics."""

    history: list[dict[str, float]]


Train = Callable[..., Trained]
"""faceline_train.training.train: (parameters, artifacts=folder, on_epoch=function, scratch=folder) -> Trained."""


@dataclass(frozen=True)
class Common:
    """What the trials of a search have in common."""

    values: dict[str, Any]
    """Of the params file; a trial changes what it draws."""
    source: object
    """The params file, for messages."""
    settings: Optuna
    train: Train
    log: Path
    """Takes what the trainings say."""
    shared: Path
    """Folder of what several trainings use again."""


def value_of(trial: optuna.Trial, common: Common, folder: Path, name: str, first: bool) -> float:
    """Trains with the values that the trial draws, and returns the metric of its best epoch.

    Its user attributes are then `values`, `seconds`, and `epoch`, the best, or `reason`, why it failed.

    Args:
        trial: of Optuna.
        common: what it has in common with others.
        folder: the training's artifacts; one that was stopped goes on there.
        name: what the trial is called in lines of output.
        first: whether an error may be one that all trials would have, and so is no reason to note.

    Raises:
        optuna.TrialPruned: where the pruner ends it.
        TrialError: where it fails by its values.
        FacelineError: where the training ends with another error.
    """
    metric = common.settings.metric
    drawn = suggest(trial, common.settings.search_spaces)
    trial.set_user_attr("values", drawn)
    began = time.monotonic()
    try:
        row = best_row(_history(trial, drawn, common, folder, name), metric, common.settings.direction)
        if row is None:
            raise TrialError(f"{metric} is NaN in every epoch")
    except FacelineError as error:
        if isinstance(error, TrialError) or not first:
            trial.set_user_attr("reason", str(error))
        raise
    finally:
        trial.set_user_attr("seconds", round(time.monotonic() - began, 1))
    trial.set_user_attr("epoch", int(row["epoch"]))
    trial.set_user_attr("val_loss", row["val_loss"])
    return row[metric]


def _history(
    trial: optuna.Trial, drawn: dict[str, Any], common: Common, folder: Path, name: str
) -> list[dict[str, float]]:
    try:
        parameters = StageParameters(check_values(with_changes(common.values, drawn), common.source), KEYS)
    except FacelineError as error:
        raise TrialError(str(error)) from None
    on_epoch = _reporter(trial, common.settings.metric, parameters.epochs, name)
    with common.log.open("a", buffering=1, encoding="utf-8") as log, redirect_stdout(log):
        say("tune", f"{name}  {drawn_line(drawn)}")
        try:
            return common.train(parameters, artifacts=folder, on_epoch=on_epoch, scratch=common.shared).history
        except DivergedError as error:
            raise TrialError(str(error).split(". ")[0]) from None  # the rest is advice for a single run
        except torch.OutOfMemoryError:
            raise TrialError("the device has too little memory for it") from None


def _reporter(trial: optuna.Trial, metric: str, epochs: int, name: str) -> Callable[[int, dict[str, float]], None]:
    console, told = sys.stdout, time.monotonic()

    def on_epoch(epoch: int, logged: dict[str, float]) -> None:
        nonlocal told
        trial.report(logged[metric], epoch)
        if time.monotonic() - told >= _NEWS:
            told = time.monotonic()
            with redirect_stdout(console):
                say("tune", f"{name}  epoch {epoch}/{epochs}  {metric} {logged[metric]:.4g}")
        if epoch < epochs and trial.should_prune():
            raise optuna.TrialPruned

    return on_epoch
