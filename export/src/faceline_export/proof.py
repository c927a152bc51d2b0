"""The proof that an exported file answers as the checkpoint that it was made of."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser
from faceline_core.verification.combining import ScoreStatistics

TOLERANCE = 1e-4

_Call = tuple[str, tuple[Tensor, ...], tuple[Tensor, ...]]
"""A method, what it is given, and what the checkpoint makes of that."""


def largest_differences(
    recogniser: Recogniser, path: Path, faces: Tensor, statistics: ScoreStatistics | None = None
) -> dict[str, float]:
    """How far the file's answers are from the checkpoint's, on real faces.

    `forward` and `embed` are given the batch and its first face alone, `forward` also the batch as float; `match` the
    checkpoint's maps of the batch against some of them, of these against the batch, and of a pair, with the visibility
    that the checkpoint sees and with one drawn at random; `combine` the scores of the batch against itself.

    Args:
        recogniser: what was exported, in eval mode on the CPU.
        path: the exported file.
        faces: (N, H, W, 3) uint8 RGB in [0, 255].
        statistics: what was exported with it.

    Returns:
        Of each method the largest difference of a number: absolute, or where the number is above 1 relative to it.

    Raises:
        FacelineError: where one is above 1e-4.
    """
    differences: dict[str, list[Tensor]] = {}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)
        exported = torch.jit.load(str(path), map_location="cpu")
        for method, given, expected in _calls(recogniser, faces, statistics):
            answer = getattr(exported, method)(*given)
            found = (answer,) if isinstance(answer, Tensor) else answer
            differences.setdefault(method, []).extend(map(_difference, expected, found))
    # NaN where one is: Python's max would lose it
    largest = {method: float(torch.stack(found).max()) for method, found in differences.items()}
    for method, difference in largest.items():
        if not difference <= TOLERANCE:
            raise FacelineError(
                f"{path.name} differs from its checkpoint by {difference:.2e} on real faces ({method}), more than "
                f"{TOLERANCE:g}. Nothing was exported; report this with the model_name"
            )
    return largest


def _calls(recogniser: Recogniser, faces: Tensor, statistics: ScoreStatistics | None) -> Iterator[_Call]:
    for images in (faces, faces[:1], faces.float()):
        yield "forward", (images,), recogniser.recognise(images.permute(0, 3, 1, 2))
    if recogniser.tap is None:
        return
    for images in (faces[:1], faces):
        unit, norm, maps, seen = recogniser.see(images.permute(0, 3, 1, 2))
        visibility = torch.ones_like(maps[:, :1]) if seen is None else seen
        yield "embed", (images,), (unit, norm, maps, visibility)
    matcher = recogniser.matcher
    if matcher is None:
        return
    drawn = torch.rand(visibility.shape, generator=torch.Generator().manual_seed(0))
    drawn[0] = 0  # a face that shows nothing
    some = slice(max(1, len(faces) // 3))
    for shown in (visibility, drawn):
        for probes, galleries in ((slice(None), some), (some, slice(None)), (slice(1), slice(1))):
            given = (maps[probes], maps[galleries], shown[probes], shown[galleries])
            yield "match", given, (matcher(*given),)
    if statistics is not None:
        cosines, scores = unit @ unit.T, matcher(maps, maps, visibility, visibility)
        yield "combine", (cosines, scores), (torch.from_numpy(statistics.combined(cosines.numpy(), scores.numpy())),)


def _difference(expected: Tensor, found: Tensor) -> Tensor:
    if found.shape != expected.shape:
        return torch.tensor(torch.inf)
    return ((expected - found).abs() / expected.abs().clamp_min(1)).max()
