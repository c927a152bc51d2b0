"""The state that a stopped run goes on from."""

import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from faceline_core.errors import FacelineError
from faceline_core.stage.files import sha256_of

_TOGETHER = 64
"""Steps after which several processes ask each other whether it is time: each question makes all of them wait."""


class KeepProgress(Checkpoint):
    """Writes Lightning's checkpoint at the end of each epoch, and in long epochs every few minutes, in one step.

    A `Checkpoint` because Lightning calls those last, in their order: what the module and the other callbacks do at the
    end of an epoch is then in it.

    Args:
        path: the file.
        minutes: between two states within an epoch; 0 keeps none.
    """

    def __init__(self, path: Path, minutes: float):
        self.path, self.minutes = path, minutes
        self._last = 0.0

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:  # noqa: ARG002
        """All processes go on from one state, or none does."""
        own = sha256_of(self.path) if self.path.is_file() else None
        if trainer.world_size > 1 and trainer.strategy.broadcast(own) != own:
            raise FacelineError(
                f"{self.path.parent} is not what the first process has. Put the working tree on a file system that all "
                "machines share"
            )

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        self._last = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        accumulating = (batch_idx + 1) % trainer.accumulate_grad_batches  # gradients are not in a checkpoint
        if not self.minutes or accumulating or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if trainer.world_size > 1 and (batch_idx + 1) % _TOGETHER:
            return
        due = time.monotonic() - self._last >= 60 * self.minutes
        if trainer.strategy.broadcast(due):  # all processes write together, by the clock of the first
            self._write(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        self._write(trainer)

    def _write(self, trainer: lightning.Trainer) -> None:
        beside = self.path.with_suffix(".new")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            beside.replace(self.path)
        self._last = time.monotonic()
