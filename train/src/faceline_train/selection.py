"""Which epochs are kept, and when to stop looking for a better one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.training import Checkpoint, EarlyStopping


class Best(CheckpointCallback):
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


class Patience(CheckpointCallback):
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


class TopK(CheckpointCallback):
    """Keeps the checkpoints of the best k epochs, under names made of their figures.

    Args:
        settings: monitor, mode, save_top_k, every_n_epochs, filename.
        folder: where they lie; what it holds from an earlier part of the run counts.
        save: called with a path.
    """

    def __init__(self, settings: Checkpoint, folder: Path, save: Callable[[Path], None]):
        self.settings, self.folder, self.save = settings, folder, save
        self.sign = 1 if settings.mode == "max" else -1
        self.kept: list[list[Any]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        epoch = trainer.current_epoch + 1
        if self.settings.save_top_k == 0 or epoch % self.settings.every_n_epochs:
            return
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        name = file_name(self.settings.filename, epoch, logged)
        self.kept.append([self.sign * logged[self.settings.monitor], -epoch, name])
        if self.settings.save_top_k > 0:
            self.kept.sort(reverse=True)
            self.kept, dropped = self.kept[: self.settings.save_top_k], self.kept[self.settings.save_top_k :]
        else:
            dropped = []
        if not trainer.is_global_zero:
            return
        if name in (entry[2] for entry in self.kept):
            self.save(self.folder / name)
        for *_, old in dropped:
            (self.folder / old).unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self.kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.kept = state_dict["kept"]


def file_name(pattern: str, epoch: int, logged: dict[str, float]) -> str:
    """`{epoch:03d}_{val_acc:.3f}` -> `007_0.912.pth`.

    Raises:
        FacelineError: where the pattern names what is not logged, or gives every epoch one name.
    """
    try:
        name, other = (pattern.format(epoch=number, **logged) for number in (epoch, epoch + 1))
    except KeyError as error:
        wrong = str(error.args[0])
        raise FacelineError(
            f"checkpoint.filename: {wrong} is not logged; {nearest(wrong, ['epoch', *logged])}"
        ) from None
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise FacelineError(f"checkpoint.filename: {pattern!r} is no pattern: {error}") from None
    if (
        not name
        or len(name) > 200
        or "/" in name
        or name in (".", "..")
        or name in ("best_model", "final_model", "head")
    ):
        raise FacelineError(f"checkpoint.filename: {pattern!r} gives {name!r}, which is no file name of its own")
    if name == other:
        raise FacelineError(f"checkpoint.filename: {pattern!r} names no {{epoch}}: epochs would overwrite each other")
    return f"{name}.pth"
