"""`trainer.compile`: torch.compile for the backbone."""

import shutil

import torch

from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser

_COMPILERS = ("g++", "clang++", "c++")


def compile_backbone(recogniser: Recogniser) -> None:
    """Lets torch.compile take over the backbone, in place; names in state dicts stay. It works at the first step.

    Raises:
        FacelineError: where the code would run on the CPU and there is no C++ compiler to build it with.
    """
    if not torch.cuda.is_available() and not any(map(shutil.which, _COMPILERS)):
        raise FacelineError(
            f"trainer.compile: true needs a C++ compiler on a CPU, and none of {', '.join(_COMPILERS)} is there. "
            "Install g++, or set trainer.compile: false"
        )
    recogniser.backbone.compile()
