"""The search: trials in one process, one after the other, until the study has as many as it should."""

import re
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from faceline_core.errors import FacelineError
from faceline_core.parameters.reading import check_values
from faceline_core.parameters.schema import Parameters
from faceline_core.stage.progress import say
from faceline_train.metrics import check_logged
from faceline_train.tuning.report import outcome_line, positions, write_report, write_table
from faceline_train.tuning.sampling import SamplerByTrial, build_pruner
from faceline_train.tuning.spaces import check_spaces, with_changes
from faceline_train.tuning.store import Store, counts, define, first_number, requeue
from faceline_train.tuning.trial import Common, Train, TrialError, value_of

_ONE_DEVICE = {"trainer.devices": 1, "trainer.num_nodes": 1, "trainer.strategy": "auto"}
_QUIET = {"logging.refresh_rate": 0, "logging.loggers": [], "run_name": None, "checkpoint.save_top_k": 0}


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
        common = Common(
            with_changes(values, _ONE_DEVICE | _QUIET),
            source,
            parameters.optuna,
            train,
            artifacts / "tune/train.log",
            artifacts / ".scratch",
        )
        total = n_trials or parameters.optuna.n_trials
        done = sum(map(counts, study.get_trials(deepcopy=False)))
        say("tune", f"study {study.study_name} in {store.name}: {done} of {total} trials are done")
        say("tune", f"what the trainings say goes to {common.log}")
        _Trials(study, common, total, grace).run()
        write_report(study, parameters.optuna, artifacts / "tune", source)
    return study


class _Trials:
    def __init__(self, study: optuna.Study, common: Common, total: int, grace: int):
        self.study, self.common, self.total, self.grace = study, common, total, grace
        name = re.sub(r"[^\w.-]", "_", study.study_name)
        digest = sha256(f"{common.settings.storage} {study.study_name}".encode()).hexdigest()[:8]
        self.scratch = common.shared / f"tune-{name}-{digest}"
        self.first = True

    def run(self) -> None:
        self.common.log.parent.mkdir(parents=True, exist_ok=True)
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
                folder = self.scratch / f"trial-{first_number(self._frozen(number))}"
                return value_of(trial, self.common, folder, f"trial {self._place(number)}", self.first)
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
            if number >= 0 and (stopped := self._frozen(number)).state == TrialState.FAIL and not counts(stopped):
                requeue(self.study, stopped)
            raise
        except ValueError:  # Optuna's, of a trial that is not running any more
            if not given_up:
                raise
            say("tune", f"trial {self._place(number)} gave no sign for {self.grace} s: another process does it again")
        self.first = False

    def _announce(self, study: optuna.Study, trial: FrozenTrial) -> None:
        say("tune", f"trial {self._place(trial.number)}  {outcome_line(study, trial, self.common.settings)}")
        write_table(study, self.common.settings, self.common.log.parent / "trials.csv")

    def _place(self, number: int) -> str:
        return f"{positions(self.study)[number]}/{self.total}"

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]


def _check(parameters: Parameters, source: object) -> None:
    check_logged(f"{source}: optuna.metric", parameters.optuna.metric, parameters)
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
