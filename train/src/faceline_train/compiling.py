"""`trainer.compile`: torch.compile for the backbone."""

import shutil

import torch

from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser

_COMPILERS = {"CPU": ("g++", "clang++", "c++"), "GPU": ("gcc", "clang", "cc")}


def compile_backbone(recogniser: Recogniser) -> None:
    """Lets torch.compile take over the backbone, in place; names in state dicts stay. It works at the first step.

    Raises:
        FacelineError: where there is no compiler to build the code with, C++ for a CPU, C for a GPU's launcher.
    """
    device = "GPU" if torch.cuda.is_available() else "CPU"
    compilers = _COMPILERS[device]
    if not any(map(shutil.which, compilers)):
        raise FacelineError(
            f"trainer.compile: true needs a compiler on a {device}, and none of {', '.join(compilers)} is there. "
            f"Install {compilers[0]}, or set trainer.compile: false"
        )
    recogniser.backbone.compile()
