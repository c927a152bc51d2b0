"""Going on where a stopped run was."""

from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint


def epochs_done(progress: Path) -> int:
    """Whole epochs that a stopped run had trained, 0 where there is no progress to go on from."""
    if not progress.is_file():
        return 0
    state = torch.load(progress, map_location="cpu", weights_only=True)
    return int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


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
