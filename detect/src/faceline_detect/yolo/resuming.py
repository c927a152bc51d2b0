"""The state of a YOLO's training after an epoch, to go on from as if it had never stopped.

ultralytics keeps a state of its own, in half precision and without the weights that are trained (it goes on from their
running mean), and writes it in place, so that a kill can leave half a file.
"""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from faceline_core.stage.files import written_beside
from faceline_detect.yolo.history import Rows


class Progress:
    """A file with the state after the last finished epoch, and the best weights so far beside it.

    Args:
        folder: for both.
    """

    def __init__(self, folder: Path):
        self.state, self.best = folder / "progress.pt", folder / "best.pt"

    def there(self) -> bool:
        """Whether there is something to go on from."""
        return self.state.is_file()

    def keep(self, trainer: Any, rows: Rows) -> None:
        """Keeps an ultralytics trainer's state, once it has saved its own; `rows` are those of the history."""
        if trainer.best_fitness == trainer.fitness:
            with written_beside(self.best) as beside:
                shutil.copyfile(trainer.best, beside)
        stopper = trainer.stopper
        content = {
            "epoch": trainer.epoch + 1,
            "model": trainer.model.state_dict(),
            "mean": trainer.ema.ema.state_dict(),
            "updates": trainer.ema.updates,
            "optimizer": trainer.optimizer.state_dict(),
            "scaler": trainer.scaler.state_dict(),
            "best_fitness": float(trainer.best_fitness),
            "stopper": [float(stopper.best_fitness), int(stopper.best_epoch), bool(stopper.possible_stop)],
            "rows": rows,
            "table": trainer.csv.read_text(encoding="utf-8"),
        }
        with written_beside(self.state) as beside, beside.open("wb") as file:
            torch.save(content, file)

    def take_up(self, trainer: Any) -> Rows:
        """Puts the state into a trainer that is about to train; gives the history's rows."""
        content = torch.load(self.state, map_location="cpu", weights_only=True)
        trainer.start_epoch = content["epoch"]
        trainer.scheduler.last_epoch = content["epoch"] - 1
        trainer.model.load_state_dict(content["model"])
        trainer.ema.ema.load_state_dict(content["mean"])
        trainer.ema.updates = content["updates"]
        trainer.optimizer.load_state_dict(content["optimizer"])
        trainer.scaler.load_state_dict(content["scaler"])
        trainer.best_fitness = content["best_fitness"]
        stopper = trainer.stopper
        stopper.best_fitness, stopper.best_epoch, stopper.possible_stop = content["stopper"]
        trainer.csv.write_text(content["table"], encoding="utf-8")
        criterion = trainer.model.init_criterion()
        if hasattr(criterion, "updates"):  # of two heads, which it weighs by the epoch
            criterion.updates = content["epoch"] - 1
            criterion.update()
            trainer.model.criterion = criterion
        shutil.copyfile(self.best, trainer.best)
        rows: Rows = content["rows"]
        return rows


def seed_epoch(trainer: Any, seed: int) -> None:
    """Seeds what an epoch draws, so that it draws the same whether or not a run was stopped before it."""
    own = int(np.random.SeedSequence([seed, trainer.epoch]).generate_state(1)[0])
    random.seed(own)
    np.random.seed(own)
    torch.manual_seed(own)
    trainer.train_loader.reset()
    trainer.train_loader.generator.manual_seed(own)
