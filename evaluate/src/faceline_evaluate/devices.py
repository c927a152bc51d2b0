"""Where the network runs."""

import torch

from faceline_core.errors import FacelineError


def find_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is cuda where PyTorch sees a GPU, else cpu.

    Raises:
        FacelineError: where PyTorch cannot compute there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise FacelineError(f"--device {name}: PyTorch cannot compute there ({why}). Use --device cpu") from None
    return device
