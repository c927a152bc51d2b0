"""A Lightning trainer that says nothing itself: the stage's own lines are what people read."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning

from faceline_core.errors import FacelineError
from faceline_core.parameters.schema import Trainer as TrainerSettings
from faceline_core.training.resume import KeepProgress


def build_trainer(
    settings: TrainerSettings, epochs: int, callbacks: Sequence[lightning.Callback], progress: Path
) -> lightning.Trainer:
    """The trainer of a stage: one device, deterministic, no logger, and `progress`, the file to go on from.

    Raises:
        FacelineError: where a GPU is asked for and none is there.
    """
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise FacelineError(
            "trainer.accelerator: gpu, but PyTorch sees no CUDA device. Set auto or cpu, or see docs/containers.md "
            "on how a container gets the GPU"
        )
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    return lightning.Trainer(
        accelerator=settings.accelerator,
        devices=1,
        precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
        max_epochs=epochs,
        callbacks=[*callbacks, KeepProgress(progress)],
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        num_sanity_val_steps=0,
        deterministic=True,
    )
