"""Which epoch is the best, and when to stop looking for a better one."""

from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from faceline_core.parameters.training import EarlyStopping


class Best(Checkpoint):
    """Keeps the state with the best monitored metric; of equals, the one with the lowest val_loss.

    Where validation runs within an epoch, each validation is looked at.

    Args:
        monitor: a logged metric.
        mode: min or max.
        keep: called when a state is the best so far.
    """

    def __init__(self, monitor: str, mode: str, keep: Callable[[], None]):
        self.monitor, self.keep = monitor, keep
        self.sign = 1 if mode == "max" else -1
        self.rank: tuple[float, float] | None = None
        self.epoch = 0

    @property
    def value(self) -> float:
        return self.sign * self.rank[0] if self.rank else float("nan")

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        within = not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if trainer.state.fn == "fit" and within and self.monitor in trainer.callback_metrics:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        self._look(trainer)

    def _look(self, trainer: lightning.Trainer) -> None:
        logged = trainer.callback_metrics
        rank = (self.sign * float(logged[self.monitor]), -float(logged["val_loss"]))
        if self.rank is None or rank > self.rank:
            self.rank, self.epoch = rank, trainer.current_epoch + 1
            if trainer.is_global_zero:
                self.keep()

    def state_dict(self) -> dict[str, Any]:
        return {"rank": list(self.rank) if self.rank else None, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rank = state_dict["rank"]
        self.rank, self.epoch = (rank[0], rank[1]) if rank else None, state_dict["epoch"]


class Patience(Checkpoint):
    """Ends training after `patience` epochs without a better value of the monitored metric; 0 never.

    Of two equal values the one with the lower val_loss is better.
    """

    def __init__(self, settings: EarlyStopping):
        self.monitor, self.patience = settings.monitor, settings.patience
        self.sign = 1 if settings.mode == "max" else -1
        self.rank: list[float] | None = None
        self.epoch = 0

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        logged, epoch = trainer.callback_metrics, trainer.current_epoch + 1
        rank = [self.sign * float(logged[self.monitor]), -float(logged["val_loss"])]
        if self.rank is None or rank > self.rank:
            self.rank, self.epoch = rank, epoch
        elif self.patience and epoch - self.epoch >= self.patience:
            trainer.should_stop = True

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """A run that was stopped after it had ended does not train on."""
        trainer.should_stop = bool(self.patience and self.epoch and trainer.current_epoch - self.epoch >= self.patience)

    def state_dict(self) -> dict[str, Any]:
        return {"rank": self.rank, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rank, self.epoch = state_dict["rank"], state_dict["epoch"]
