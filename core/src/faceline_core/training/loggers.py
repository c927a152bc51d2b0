"""Weights & Biases and TensorBoard, for those who ask for them."""

import importlib.util
import os
from pathlib import Path
from typing import Any

from faceline_core.errors import FacelineError
from faceline_core.parameters.training import Logging

_PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboard"}


def build_loggers(settings: Logging, folder: Path, name: str, parameters: dict[str, Any]) -> list[Any]:
    """Lightning's loggers, by their names in `logging.loggers`.

    Args:
        settings: which, and whether wandb stays offline.
        folder: what they write goes to `<folder>/<logger>`.
        name: the run's.
        parameters: shown beside the curves.

    Raises:
        FacelineError: where its package is not installed; the message says how to install it.
    """
    loggers: list[Any] = []
    for logger in dict.fromkeys(settings.loggers):
        if importlib.util.find_spec(_PACKAGES[logger]) is None:
            raise FacelineError(
                f"logging.loggers: {logger} is not installed. Run: .venv/bin/pip install {_PACKAGES[logger]}, "
                "or take it from the list"
            )
        place = folder / logger
        place.mkdir(parents=True, exist_ok=True)
        if logger == "wandb":
            from lightning.pytorch.loggers import WandbLogger

            os.environ.setdefault("WANDB_SILENT", "true")
            import wandb

            online = WandbLogger(
                name=name,
                save_dir=place,
                project=settings.wandb_project,
                offline=settings.offline,
                config=parameters,
            )
            try:
                _ = online.experiment  # begins the run
            except wandb.Error as error:
                raise FacelineError(
                    f"logging.loggers: wandb: {' '.join(str(error).split())}. Run: .venv/bin/wandb login, "
                    "or set logging.offline: true"
                ) from None
            loggers.append(online)
        else:
            from lightning.pytorch.loggers import TensorBoardLogger

            board = TensorBoardLogger(folder, name=logger, version=name)
            board.log_hyperparams(parameters)
            loggers.append(board)
    return loggers
