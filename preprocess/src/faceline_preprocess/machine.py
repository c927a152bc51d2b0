"""What this machine has for the detector to run on."""

from pathlib import Path

from faceline_core.stage.cores import usable_cores


def find_device() -> str:
    """cuda where there is one. torch is asked only where a driver is: importing it takes seconds."""
    if not any(Path(driver).exists() for driver in ("/dev/nvidiactl", "/dev/dxg")):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def count_workers(asked: int | str, device: str) -> int:
    """Worker processes: as many as asked for; of `auto` one a core, and one for a CUDA device."""
    if asked != "auto":
        return int(asked)
    return 1 if device == "cuda" else usable_cores()
