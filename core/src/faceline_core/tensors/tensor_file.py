"""Files of tensors, read without running any code: what torch.save wrote, and safetensors."""

import errno
import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from faceline_core.errors import FacelineError
from faceline_core.tensors import inert_unpickling

# What torch and pickle were seen to raise on files with flipped bytes or cut short.
_FAULTS = (
    pickle.UnpicklingError,
    SafetensorError,
    RuntimeError,
    EOFError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    struct.error,
    OSError,
)


def read_tensor_file(path: Path) -> Any:
    """What a file of tensors, numbers, strings, lists and dicts holds, on the CPU.

    Objects of other classes, which old checkpoints of Lightning hold beside their weights, are read as placeholders:
    nothing that the file names is imported or run.

    Raises:
        FacelineError: where it is no such file, or is damaged.
    """
    try:
        return load_file(path) if path.suffix == ".safetensors" else _load(path)
    except _FAULTS as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: cut short, torch says
            raise
        raise FacelineError(
            f"{path} is no file of tensors: it is damaged, or of another kind. "
            "Give a file that torch.save or safetensors wrote"
        ) from None


def _load(path: Path) -> Any:
    with warnings.catch_warnings():  # of what damage looks like to torch
        warnings.simplefilter("ignore", UserWarning)
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:  # an object of another class, or damage
            return torch.load(path, map_location="cpu", weights_only=False, pickle_module=inert_unpickling)
