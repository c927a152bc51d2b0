"""Going on where a stopped run was."""

from pathlib import Path

import lightning


class KeepProgress(lightning.Callback):
    """Writes Lightning's checkpoint as each epoch but the first begins: everything of the one before is then in it.

    (At the end of an epoch would be too early: a plateau schedule has not moved yet.)
    """

    def __init__(self, path: Path):
        self.path = path

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        if trainer.current_epoch > 0:
            beside = self.path.with_suffix(".new")
            trainer.save_checkpoint(beside)
            beside.replace(self.path)
