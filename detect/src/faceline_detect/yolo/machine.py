"""Where a YOLO is trained, and in which precision."""

import shutil
from pathlib import Path

import torch

from faceline_core.errors import FacelineError
from faceline_core.parameters.training import Trainer
from faceline_core.stage.cores import usable_cores
from faceline_core.stage.progress import say
from faceline_core.training.trainer import Precision, check_machine

_SHARED_BYTES = 1 << 29  # of /dev/shm that worker processes need; containers have 64 MB unless told otherwise
_MOST_WORKERS = 4


def training_device(trainer: Trainer) -> torch.device:
    """The one device that ultralytics is given.

    Raises:
        FacelineError: where it is not there.
    """
    check_machine(trainer)
    if trainer.accelerator == "tpu":
        raise FacelineError("trainer.accelerator: tpu, which YOLO does not train on. Take yolo out of detect.train")
    if trainer.accelerator == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        if torch.cuda.device_count() > 1 and trainer.devices != 1:
            say("detect", "YOLO trains on one GPU, whatever trainer.devices is")
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def precision_of(trainer: Trainer, device: torch.device) -> Precision:
    """What `trainer.precision` comes to; auto is 32 on a CPU, and nothing is measured.

    Raises:
        FacelineError: where the device has no such precision.
    """
    if device.type == "cuda":
        if trainer.precision == "auto":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else 16
        return trainer.precision
    if trainer.precision == 16:
        raise FacelineError("trainer.precision: 16 needs a GPU, and this run is on the CPU. Set bf16, 32 or auto")
    return 32 if trainer.precision == "auto" else trainer.precision


def in_words(precision: Precision) -> str:
    """`32 bit`, `bf16`."""
    return f"{precision}{' bit' if precision != 'bf16' else ''}"


def workers() -> int:
    """Processes that prepare batches for a GPU; on a CPU ultralytics takes none."""
    shared = Path("/dev/shm")  # noqa: S108
    if shared.is_dir() and shutil.disk_usage(shared).free < _SHARED_BYTES:
        return 0
    return min(_MOST_WORKERS, usable_cores())
