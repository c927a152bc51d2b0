"""Files that torch.save wrote, read without running any code."""

import errno
import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from faceline_core.errors import FacelineError

# What torch and pickle were seen to raise on files with flipped bytes or cut short.
_FAULTS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
    OSError,
)


def read_tensor_file(path: Path) -> Any:
    """What a file of tensors, numbers, strings, lists and dicts holds, on the CPU.

    Raises:
        FacelineError: where it is no such file, is damaged, or holds objects whose loading would run code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _FAULTS as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: torch's answer to a file cut short
            raise
        raise FacelineError(
            f"{path} is no file of PyTorch tensors: it is damaged, of another kind, or holds Python objects, "
            "which are not loaded because that would run code. Give another file"
        ) from None
