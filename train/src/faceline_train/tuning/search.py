"""The search: trials in one process, one after the other, until the study has as many as it should."""

import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from faceline_core.errors import FacelineError
from faceline_core.parameters.reading import StageParameters, check_values
from faceline_core.parameters.schema import Parameters
from faceline_core.stage.progress import say
from faceline_train import KEYS
from faceline_train.classifier import DivergedError
from faceline_train.metrics import check_logged
from faceline_train.tuning.report import best_row, drawn_line, outcome_line, positions, write_report, write_table
from faceline_train.tuning.sampling import SamplerByTrial, build_pruner
from faceline_train.tuning.spaces import check_spaces, suggest, with_changes
from faceline_train.tuning.store import Store, counts, define, first_number, requeue

_NEWS = 30  # seconds between two lines about a trial that is under way
_ONE_DEVICE = {"trainer.devices": 1, "trainer.num_nodes": 1, "trainer.strategy": "auto"}
_QUIET = {"logging.refresh_rate": 0, "logging.loggers": [], "run_name": None, "checkpoint.save_top_k": 0}


class TrialError(FacelineError):
    """A trial failed by its own values; others need not."""


class Trained(Protocol):
    """What a training returns: a row an epoch, of `epoch` and the logged metrics."""

    history: list[dict[str, float]]


Train = Callable[..., Trained]
"""faceline_train.training.train: (parameters, artifacts=folder, on_epoch=function, scratch=folder) -> Trained."""


def search(
    values: dict[str, Any],
    source: object,
    train: Train,
    n_trials: int | None = None,
    artifacts: Path = Path("artifacts"),
    grace: int | None = None,
) -> optuna.Study:
    """Runs trials until the study of params.yaml has as many as it should, and writes its report.

    Args:
        values: a params file's, as read_values returns them.
        source: the file, for messages.
        train: trains one trial.
        n_trials: of the study in all, earlier calls and other processes included; None is optuna.n_trials.
        artifacts: the folder to write tune/ to.
        grace: seconds without a sign of life after which the process of a trial is taken for dead, and the trial is
            done again; the same for all that work on a study. None is 90, and 30 where the study is a file here.

    Returns:
        The study.

    Raises:
        FacelineError: where optuna's part of the params file, or its database, does not do; and of this call's first
            trial an error that is not of its values, since all others would have it.
    """
    parameters = check_values(values, source)
    _check(parameters, source)
    check_spaces(parameters.optuna.search_spaces, values, source)
    if grace is None:
        grace = 30 if parameters.optuna.storage is None else 90
    store = Store(parameters.optuna.storage, artifacts / "tune", grace)
    with _quiet_optuna(), store.answering():
        study = store.open(
            parameters.optuna.study_name,
            define(parameters),
            SamplerByTrial(parameters.seed),
            build_pruner(parameters),
        )
        total = n_trials or parameters.optuna.n_trials
        trials = _Trials(
            study, parameters, with_changes(values, _ONE_DEVICE | _QUIET), source, train, artifacts, total, grace
        )
        done = sum(map(counts, study.get_trials(deepcopy=False)))
        say("tune", f"study {study.study_name} in {store.name}: {done} of {total} trials are done")
        say("tune", f"what the trainings say goes to {trials.log}")
        trials.run()
        write_report(study, parameters.optuna, artifacts / "tune")
    return study


class _Trials:
    def __init__(
        self,
        study: optuna.Study,
        parameters: Parameters,
        values: dict[str, Any],
        source: object,
        train: Train,
        artifacts: Path,
        total: int,
        grace: int,
    ):
        self.study, self.settings, self.values, self.source = study, parameters.optuna, values, source
        self.train, self.total, self.grace = train, total, grace
        self.folder, self.log, self.shared = artifacts / "tune", artifacts / "tune/train.log", artifacts / ".scratch"
        name = re.sub(r"[^\w.-]", "_", study.study_name)
        digest = sha256(f"{self.settings.storage} {study.study_name}".encode()).hexdigest()[:8]
        self.scratch = self.shared / f"tune-{name}-{digest}"
        self.first = True

    def run(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        waiting = False
        while True:
            self._clear()
            trials = self.study.get_trials(deepcopy=False)
            running = sum(trial.state == TrialState.RUNNING for trial in trials)
            if sum(map(counts, trials)) + running < self.total:
                self._run_one()
                waiting = False
            elif running:
                if not waiting:
                    say("tune", f"waits for {running} that run elsewhere, or were killed: known within {self.grace} s")
                waiting = True
                time.sleep(1)
            else:
                break
        with suppress(OSError):  # it is not empty where others still work on the study
            self.scratch.rmdir()

    def _clear(self) -> None:
        """Queues again the trials of processes that died, and removes what nobody will go on with."""
        optuna.storages.fail_stale_trials(self.study)
        folders = list(self.scratch.glob("trial-*"))  # before the states: one that begins now is not among them
        needed = {
            f"trial-{first_number(trial)}"
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state in (TrialState.RUNNING, TrialState.WAITING)
        }
        for folder in folders:
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def _run_one(self) -> None:
        number, given_up = -1, False

        def objective(trial: optuna.Trial) -> float:
            nonlocal number, given_up
            number = trial.number
            try:
                return self._value_of(trial)
            except optuna.exceptions.UpdateFinishedTrialError:
                given_up = True
                raise

        try:
            self.study.optimize(
                objective,
                n_trials=1,
                catch=(TrialError,) if self.first else (FacelineError,),
                callbacks=[self._announce],
                gc_after_trial=True,
            )
        except KeyboardInterrupt:
            if number >= 0:
                requeue(self.study, self._frozen(number))
            raise
        except ValueError:  # Optuna's, of a trial that is not running any more
            if not given_up:
                raise
            say(
                "tune",
                f"trial {self._place(number)} gave no sign for {self.grace} s, and another process does it again",
            )
        self.first = False

    def _value_of(self, trial: optuna.Trial) -> float:
        drawn = suggest(trial, self.settings.search_spaces)
        trial.set_user_attr("values", drawn)
        began = time.monotonic()
        try:
            history = self._train_one(trial, drawn)
            row = best_row(history, self.settings.metric, self.settings.direction)
            if row is None:
                raise TrialError(f"{self.settings.metric} is NaN in every epoch")
        except FacelineError as error:
            if isinstance(error, TrialError) or not self.first:
                trial.set_user_attr("reason", str(error))
            raise
        finally:
            trial.set_user_attr("seconds", round(time.monotonic() - began, 1))
        trial.set_user_attr("epoch", int(row["epoch"]))
        return row[self.settings.metric]

    def _train_one(self, trial: optuna.Trial, drawn: dict[str, Any]) -> list[dict[str, float]]:
        try:
            parameters = StageParameters(check_values(with_changes(self.values, drawn), self.source), KEYS)
        except FacelineError as error:
            raise TrialError(str(error)) from None
        on_epoch = self._reporter(trial, parameters.epochs)
        folder = self.scratch / f"trial-{first_number(self._frozen(trial.number))}"
        with self.log.open("a", buffering=1, encoding="utf-8") as log, redirect_stdout(log):
            say("tune", f"trial {self._place(trial.number)}  {drawn_line(drawn)}")
            try:
                return self.train(parameters, artifacts=folder, on_epoch=on_epoch, scratch=self.shared).history
            except DivergedError as error:
                raise TrialError(str(error).split(". ")[0]) from None  # the rest is advice for a single run
            except torch.OutOfMemoryError:
                raise TrialError("the device has too little memory for it") from None

    def _reporter(self, trial: optuna.Trial, epochs: int) -> Callable[[int, dict[str, float]], None]:
        metric, console, told = self.settings.metric, sys.stdout, time.monotonic()

        def on_epoch(epoch: int, logged: dict[str, float]) -> None:
            nonlocal told
            trial.report(logged[metric], epoch)
            if time.monotonic() - told >= _NEWS:
                told = time.monotonic()
                line = f"trial {self._place(trial.number)}  epoch {epoch}/{epochs}  {metric} {logged[metric]:.4g}"
                with redirect_stdout(console):
                    say("tune", line)
            if epoch < epochs and trial.should_prune():
                raise optuna.TrialPruned

        return on_epoch

    def _announce(self, study: optuna.Study, trial: FrozenTrial) -> None:
        say("tune", f"trial {self._place(trial.number)}  {outcome_line(study, trial, self.settings)}")
        write_table(study, self.settings, self.folder / "trials.csv")

    def _place(self, number: int) -> str:
        return f"{positions(self.study)[number]}/{self.total}"

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]


def _check(parameters: Parameters, source: object) -> None:
    check_logged(f"{source}: optuna.metric", parameters.optuna.metric, parameters.logging.metrics)
    trainer = parameters.trainer
    if trainer.devices not in ("auto", 1) or trainer.num_nodes != 1:
        raise FacelineError(
            f"{source}: trainer.devices is {trainer.devices} and num_nodes {trainer.num_nodes}, but a trial runs on "
            "one device. Set both to 1, and start a search for each device (docs/experiments.md)"
        )
    if trainer.fast_dev_run:
        raise FacelineError(f"{source}: trainer.fast_dev_run is true, but a trial trains for real. Set it to false")
    if parameters.ckpt_path and not parameters.only_weights_load:
        raise FacelineError(
            f"{source}: ckpt_path would let each trial go on with one run. Set it to null, or only_weights_load to true"
        )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "The reported value is ignored")  # of epochs before a trial was cut short
        yield
