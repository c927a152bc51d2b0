"""TorchScript of a recogniser."""

import warnings
from io import BytesIO
from pathlib import Path

import torch
from torch import nn

from faceline_core.models.recogniser import Recogniser
from faceline_core.verification.combining import ScoreStatistics
from faceline_export.exported import Answers, ExportedRecogniser, WithCombination, WithMaps, WithMatcher
from faceline_export.matching import ExportedMatcher


def write_torchscript(recogniser: Recogniser, path: Path, statistics: ScoreStatistics | None = None) -> None:
    """Writes a recogniser in eval mode on the CPU: any batch size, uint8 or float faces.

    The network is traced and frozen. Where the recogniser has a matcher or an occlusion head, the file has the method
    `embed` beside `forward`; with a matcher `match`, whose code is compiled, and with statistics `combine`.
    """
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)  # what C++ services load
        if recogniser.tap is None:
            exported = _frozen_trace(ExportedRecogniser(recogniser), recogniser.img_size)
        else:
            exported = torch.jit.script(_with_methods(recogniser, statistics).eval())
        content = _saved(exported)
    path.write_bytes(content.getbuffer())  # given a path, torch hides that the disk is full


def _with_methods(recogniser: Recogniser, statistics: ScoreStatistics | None) -> nn.Module:
    frozen = _saved(_frozen_trace(Answers(recogniser), recogniser.img_size))
    answers = torch.jit.load(frozen, map_location="cpu")  # only loaded does torch take a frozen module into another
    if recogniser.matcher is None:
        return WithMaps(answers)
    matcher = ExportedMatcher(recogniser.matcher)
    return WithMatcher(answers, matcher) if statistics is None else WithCombination(answers, matcher, statistics)


def _frozen_trace(module: nn.Module, side: int) -> torch.jit.ScriptModule:
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    return torch.jit.freeze(torch.jit.trace(module.eval(), example, check_trace=False))


def _saved(module: torch.jit.ScriptModule) -> BytesIO:
    buffer = BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return buffer
