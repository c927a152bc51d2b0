"""Which epochs are kept besides the best and the last."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.training import Checkpoint


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
