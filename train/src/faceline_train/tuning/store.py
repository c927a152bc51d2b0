"""Where a study is kept: a database that can be gone on with, and shared by several processes and machines."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from faceline_core.errors import FacelineError
from faceline_core.parameters.reading import StageParameters
from faceline_core.parameters.schema import Parameters
from faceline_train import KEYS
from faceline_train.tuning.spaces import flat, shown

_BEATS = 9  # signs of life within the grace period
_ATTEMPTS = 5  # at opening a database whose tables are being made
_RETRIES = 5  # a trial that takes its process down with it is not tried for ever
# What may differ between the machines of a study, and between two calls: it does not change what is learned.
_FREE = (
    "checkpoint",
    "logging",
    "run_name",
    "dataset.cache",
    "dataset.num_workers",
    "dataset.prefetch",
    *(f"trainer.{name}" for name in ("accelerator", "devices", "num_nodes", "strategy", "precision", "channels_last")),
    *(f"trainer.{name}" for name in ("compile", "sync_batchnorm", "deterministic", "checkpoint_minutes")),
    "trainer.reuse_embeddings",
)


class Store:
    """The database of `optuna.storage`, or artifacts/tune/study.db.

    Args:
        storage: its URL, or None.
        folder: artifacts/tune; made where the study is kept there.
        grace: seconds without a sign of life of its process after which a trial is queued again.
    """

    def __init__(self, storage: str | None, folder: Path, grace: int):
        self.grace = grace
        file = folder / "study.db"
        self.url = sqlalchemy.URL.create("sqlite", database=str(file)) if storage is None else _parsed(storage)
        self.name = str(file) if storage is None else self.url.render_as_string(hide_password=True)
        if storage is None:
            folder.mkdir(parents=True, exist_ok=True)

    def open(
        self,
        study_name: str,
        definition: dict[str, Any],
        sampler: optuna.samplers.BaseSampler,
        pruner: optuna.pruners.BasePruner,
    ) -> optuna.Study:
        """The study of this name, which is begun where there is none.

        Args:
            study_name: its name in the database.
            definition: what `define` returned; it must be the one that the study was begun with.
            sampler: draws values.
            pruner: ends trials early.

        Raises:
            FacelineError: where the database cannot be reached, or the study there is another one.
        """
        with self._opening():
            storage = self._connect()

        def begin() -> optuna.Study:
            return optuna.create_study(
                storage=storage,
                study_name=study_name,
                direction=definition["optuna.direction"],
                sampler=sampler,
                pruner=pruner,
                load_if_exists=True,
            )

        study = begin()
        known = study.user_attrs.get("definition", definition)
        if known != definition:
            if any(counts(trial) or trial.state == TrialState.RUNNING for trial in study.get_trials(deepcopy=False)):
                raise FacelineError(
                    f"optuna.study_name: {study_name} in {self.name} was begun with {_difference(known, definition)}. "
                    "Take another study_name, or put that back"
                )
            optuna.delete_study(study_name=study_name, storage=storage)  # no trial of it came to anything
            study = begin()
        study.set_user_attr("definition", definition)
        return study

    def _connect(self) -> RDBStorage:
        for left in reversed(range(_ATTEMPTS)):
            try:
                return RDBStorage(
                    self.url.render_as_string(hide_password=False),
                    engine_kwargs={"connect_args": {"timeout": 60}}
                    if _is_sqlite(self.url)
                    else {"pool_pre_ping": True},
                    heartbeat_interval=max(1, self.grace // _BEATS),
                    grace_period=self.grace,
                    heartbeat_stale_trial_callback=requeue,
                )
            except sqlalchemy.exc.DBAPIError as error:
                at_once = isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error.orig)
                if not left or not at_once:
                    raise
                time.sleep(0.5)  # another process makes the tables at this moment
        raise AssertionError

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns errors of the database into one line."""
        try:
            yield
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            cause = error if isinstance(error, sqlalchemy.exc.SQLAlchemyError) else error.__cause__
            why = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0].rstrip(".")
            raise FacelineError(
                f"optuna.storage: {self.name} does not answer: {why}. Check the address, and that the database runs"
            ) from error

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            driver = getattr(error.__cause__, "name", None) or "its driver"
            raise FacelineError(f"optuna.storage: {self.name} needs {driver}. Run: pip install {driver}") from None
        except RuntimeError as error:  # of Optuna, where the tables are another version's
            raise FacelineError(f"optuna.storage: {self.name}: {' '.join(str(error).split())}") from None


def define(parameters: Parameters) -> dict[str, Any]:
    """What makes trials comparable, by name: the search, all that is learned with and not searched, and the faces."""
    spaces = parameters.optuna.search_spaces
    learned = flat(StageParameters(parameters, KEYS).as_dict())
    fixed = {
        name: value
        for name, value in learned.items()
        if name not in spaces and not any(f"{name}.".startswith(f"{prefix}.") for prefix in _FREE)
    }
    return {
        "optuna.direction": parameters.optuna.direction,
        "optuna.metric": parameters.optuna.metric,
        "optuna.search_spaces": {
            name: space.model_dump(mode="json", exclude_none=True) for name, space in spaces.items()
        },
        **fixed,
        "faces": _fingerprint(Path(parameters.dataset.path)),
    }


def counts(trial: FrozenTrial) -> bool:
    """Whether it is one of n_trials: finished, ended early, or failed for a reason of its own; not one cut short."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or "reason" in trial.user_attrs


def first_number(trial: FrozenTrial) -> int:
    """Its number, or where it goes on with a trial that was cut short, that one's."""
    earlier = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return trial.number if earlier is None else earlier


def requeue(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queues again a trial that was cut short: the next one, in whatever process, goes on with it."""
    RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES, inherit_intermediate_values=True)(study, trial)


def _parsed(storage: str) -> sqlalchemy.URL:
    try:
        return sqlalchemy.make_url(storage)
    except sqlalchemy.exc.ArgumentError:
        raise FacelineError(
            f"optuna.storage: {storage} is no database URL. Write postgresql+psycopg://user@host/name, or null"
        ) from None


def _is_sqlite(url: sqlalchemy.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _fingerprint(folder: Path) -> str:
    """Of the names and sizes of the files of a data set: quick, and alike on every machine that has it."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and ".scratch" not in path.parts):
        digest.update(f"{file.relative_to(folder).as_posix()} {file.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def _difference(known: dict[str, Any], now: dict[str, Any]) -> str:
    before, after = flat(known), flat(now)
    names = [name for name in before | after if before.get(name) != after.get(name)]
    told = ", ".join(
        "other faces" if name == "faces" else f"{name} {_told(before.get(name))} (now {_told(after.get(name))})"
        for name in names[:3]
    )
    return told + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _told(value: Any) -> str:
    return str(value) if isinstance(value, list) else shown(value)
