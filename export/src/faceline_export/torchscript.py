"""TorchScript of a recogniser, and the proof that it is the same."""

import warnings
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser
from faceline_export.exported import ExportedRecogniser

TOLERANCE = 1e-4


def write_torchscript(recogniser: Recogniser, path: Path) -> None:
    """Traces a recogniser in eval mode on the CPU, freezes it, and writes it: any batch size, uint8 or float faces."""
    side = recogniser.img_size
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)  # what C++ services load
        traced = torch.jit.freeze(torch.jit.trace(ExportedRecogniser(recogniser).eval(), example, check_trace=False))
        buffer = BytesIO()
        torch.jit.save(traced, buffer)
    path.write_bytes(buffer.getbuffer())  # given a path, torch hides that the disk is full


def largest_difference(recogniser: Recogniser, path: Path, faces: Tensor) -> float:
    """How far the file's answers are from the checkpoint's, on real faces.

    Args:
        recogniser: what was exported, in eval mode on the CPU.
        path: the exported file.
        faces: (N, H, W, 3) uint8 RGB in [0, 255].

    Returns:
        The largest absolute difference of a probability or of a number of a unit embedding, over the batch, its first
        face alone, and the batch as float.

    Raises:
        FacelineError: where it is above 1e-4.
    """
    reference = ExportedRecogniser(recogniser).eval()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)
        exported = torch.jit.load(str(path), map_location="cpu")
        differences = [
            (expected - found).abs().max()
            for images in (faces, faces[:1], faces.float())
            for expected, found in zip(reference(images)[:2], exported(images)[:2], strict=True)
        ]
        largest = float(torch.stack(differences).max())  # NaN where one is: Python's max would lose it
    if not largest <= TOLERANCE:
        raise FacelineError(
            f"{path.name} differs from its checkpoint by {largest:.2e} on real faces, more than {TOLERANCE:g}. "
            "Nothing was exported; report this with the model_name"
        )
    return largest
