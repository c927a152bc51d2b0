"""Going on where a stopped run was."""

from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Checkpoint


class KeepProgress(Checkpoint):
    """Writes Lightning's checkpoint at the end of each epoch, in one step.

    A `Checkpoint` because Lightning calls those last: what the module and the other callbacks do at the end of an epoch
    is then in it.
    """

    def __init__(self, path: Path):
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        beside = self.path.with_suffix(".new")
        trainer.save_checkpoint(beside)
        beside.replace(self.path)
