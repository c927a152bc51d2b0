"""Which epoch is the best, and when to stop looking for a better one."""

from collections.abc import Callable
from typing import Any

import lightning


class Selection(lightning.Callback):
    """Keeps the epoch with the highest val_acc; of equals, the one with the lowest val_loss.

    Args:
        keep: called when an epoch is the best so far.
        patience: epochs without a better one after which training stops; 0 never.
    """

    def __init__(self, keep: Callable[[], None], patience: int):
        self.keep, self.patience = keep, patience
        self.best: tuple[float, float] | None = None
        self.epoch = 0

    @property
    def accuracy(self) -> float:
        return self.best[0] if self.best else 0.0

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        logged = trainer.callback_metrics
        rank = (float(logged["val_acc"]), -float(logged["val_loss"]))
        epoch = trainer.current_epoch + 1
        if self.best is None or rank > self.best:
            self.best, self.epoch = rank, epoch
            self.keep()
        elif self.patience and epoch - self.epoch >= self.patience:
            trainer.should_stop = True

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """A run that was stopped after it had ended does not train on."""
        trainer.should_stop = bool(self.patience and self.epoch and trainer.current_epoch - self.epoch >= self.patience)

    def state_dict(self) -> dict[str, Any]:
        return {"best": list(self.best) if self.best else None, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        best = state_dict["best"]
        self.best, self.epoch = (best[0], best[1]) if best else None, state_dict["epoch"]
