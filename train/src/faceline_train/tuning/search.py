"""The search: trials in one process, one after the other, until the study has as many as it should."""

import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.reading import StageParameters, check_values
from faceline_core.parameters.schema import Parameters
from faceline_core.stage.progress import say
from faceline_train import KEYS
from faceline_train.tuning.report import best_row, drawn_line, outcome_line, positions, write_report, write_table
from faceline_train.tuning.sampling import SamplerByTrial, build_pruner
from faceline_train.tuning.spaces import check_spaces, suggest, with_changes
from faceline_train.tuning.store import GRACE, Store, counts, define, first_number, requeue

_NEWS = 30  # seconds between two lines about a trial that is under way
_ONE_DEVICE = {"trainer.devices": 1, "trainer.num_nodes": 1, "trainer.strategy": "auto"}
_QUIET = {"logging.refresh_rate": 0, "run_name": None, "checkpoint.save_top_k": 0}


class Trained(Protocol):
    """What a training returns: a row an epoch, of `epoch` and the logged metrics."""

    history: list[dict[str, float]]


Train = Callable[..., Trained]
"""faceline_train.training.train: (parameters, artifacts=folder, on_epoch=function) -> Trained."""


def search(
    values: dict[str, Any],
    source: object,
    train: Train,
    n_trials: int | None = None,
    artifacts: Path = Path("artifacts"),
) -> optuna.Study:
    """Runs trials until the study of params.yaml has as many as it should, and writes its report.

    Args:
        values: a params file's, as read_values returns them.
        source: the file, for messages.
        train: trains one trial.
        n_trials: of the study in all, earlier calls and other processes included; None is optuna.n_trials.
        artifacts: the folder to write tune/ to.

    Returns:
        The study.

    Raises:
        FacelineError: where optuna's part of the params file, or its database, does not do; and the error of this
            call's first trial, which every other trial would have.
    """
    parameters = check_values(values, source)
    _check(parameters, source)
    check_spaces(parameters.optuna.search_spaces, values, source)
    store = Store(parameters.optuna.storage, artifacts / "tune")
    with _quiet_optuna(), store.answering():
        study = store.open(
            parameters.optuna.study_name,
            define(parameters),
            SamplerByTrial(parameters.seed),
            build_pruner(parameters),
        )
        total = n_trials or parameters.optuna.n_trials
        trials = _Trials(study, parameters, with_changes(values, _ONE_DEVICE | _QUIET), source, train, artifacts, total)
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
    ):
        self.study, self.settings, self.values, self.source = study, parameters.optuna, values, source
        self.train, self.total = train, total
        self.folder, self.log = artifacts / "tune", artifacts / "tune/train.log"
        name = re.sub(r"[^\w.-]", "_", study.study_name)
        digest = sha256(f"{self.settings.storage} {study.study_name}".encode()).hexdigest()[:8]
        self.scratch = artifacts / ".scratch" / f"tune-{name}-{digest}"
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
                    say("tune", f"waits for {running} running elsewhere; who gives no sign for {GRACE} s is replaced")
                waiting = True
                time.sleep(1)
            else:
                return

    def _clear(self) -> None:
        """Queues again the trials of processes that died, and removes what nobody will go on with."""
        optuna.storages.fail_stale_trials(self.study)
        needed = {
            f"trial-{first_number(trial)}"
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state in (TrialState.RUNNING, TrialState.WAITING)
        }
        for folder in self.scratch.glob("trial-*"):
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)
        if self.scratch.is_dir() and not any(self.scratch.iterdir()):
            self.scratch.rmdir()

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
                catch=() if self.first else (FacelineError,),
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
            say("tune", f"trial {self._place(number)} gave no sign for {GRACE} s, and another process does it again")
        self.first = False

    def _value_of(self, trial: optuna.Trial) -> float:
        drawn = suggest(trial, self.settings.search_spaces)
        trial.set_user_attr("values", drawn)
        folder = self.scratch / f"trial-{first_number(self._frozen(trial.number))}"
        metric, began = self.settings.metric, time.monotonic()
        try:
            parameters = StageParameters(check_values(with_changes(self.values, drawn), self.source), KEYS)
            on_epoch = self._reporter(trial, parameters.epochs)
            with self.log.open("a", buffering=1, encoding="utf-8") as log, redirect_stdout(log):
                say("tune", f"trial {self._place(trial.number)}  {drawn_line(drawn)}")
                trained = self.train(parameters, artifacts=folder, on_epoch=on_epoch)
            row = best_row(trained.history, metric, self.settings.direction)
        except FacelineError as error:
            if not self.first:
                trial.set_user_attr("reason", str(error))
            raise
        finally:
            trial.set_user_attr("seconds", round(time.monotonic() - began, 1))
        trial.set_user_attr("epoch", int(row["epoch"]))
        return row[metric]

    def _reporter(self, trial: optuna.Trial, epochs: int) -> Callable[[int, dict[str, float]], None]:
        metric, console, told = self.settings.metric, sys.stdout, time.monotonic()

        def on_epoch(epoch: int, logged: dict[str, float]) -> None:
            nonlocal told
            if metric not in logged:
                raise FacelineError(f"optuna.metric: {metric} is not logged; {nearest(metric, sorted(logged))}")
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
