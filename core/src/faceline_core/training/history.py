"""One dense row an epoch: a line on the console, a row in a CSV, and the rows so far in every checkpoint."""

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from faceline_core.stage.files import written_beside
from faceline_core.training.optimisation import rate_of_head

_TIMES = ("lr", "seconds", "data_seconds")


class History(Checkpoint):
    """Keeps a row an epoch of what the module logged, and writes the CSV anew after each; lr is that of its first step.

    A `Checkpoint` because Lightning calls those last, after the module has logged the epoch's figures.

    Args:
        path: the CSV.
        metrics: names of logged metrics, in the order of the columns; epoch, lr, seconds and data_seconds are added.
        waited: seconds that the epoch's steps waited for data.
        announce: called with each finished row.

    The rows travel in Lightning's checkpoint, so that a resumed run has one history without gaps or repetitions.
    """

    def __init__(
        self,
        path: Path,
        metrics: Sequence[str],
        waited: Callable[[], float],
        announce: Callable[[dict[str, float]], None],
    ):
        self.path, self.metrics, self.waited, self.announce = path, list(metrics), waited, announce
        self.rows: list[dict[str, float]] = []
        self._began = self._lr = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        self._began = time.monotonic()  # of a run that goes on within an epoch, whose start is not announced
        self._lr = rate_of_head(trainer.optimizers[0])

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        self._began = time.monotonic()
        self._lr = rate_of_head(trainer.optimizers[0])

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        logged = trainer.callback_metrics
        row: dict[str, float] = {"epoch": trainer.current_epoch + 1}
        row |= {name: float(logged[name]) for name in self.metrics}
        times = (self._lr, round(time.monotonic() - self._began, 3), round(self.waited(), 3))
        row |= dict(zip(_TIMES, times, strict=True))
        self.rows.append(row)
        if trainer.is_global_zero:
            self._write()
            for logger in trainer.loggers:  # what the module did not log
                logger.log_metrics({name: row[name] for name in _TIMES}, step=trainer.global_step)
        self.announce(row)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        if self.rows and trainer.is_global_zero:
            self._write()

    def _write(self) -> None:
        with written_beside(self.path) as beside, beside.open("w", newline="") as file:
            columns = dict.fromkeys(name for row in reversed(self.rows) for name in row)  # those of now come first
            writer = csv.DictWriter(file, list(columns), lineterminator="\n", restval="")
            writer.writeheader()
            writer.writerows(self.rows)
