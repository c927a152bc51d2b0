"""Scores of pairs of faces: the cosine of their embeddings, and what the matcher says of their feature maps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.models.qaconv import QAConv
from faceline_core.models.recogniser import Recogniser, Seen

_BATCH, _BATCH_OF_CPU = 64, 6
"""Faces that go through the network together. On a CPU more of them go no faster: ir_50 at 112 px gave 14 to 15 faces a
second with 4, 16 or 64, which took 118, 269 and 762 MiB; mobilefacenet 150, 176 and 85."""
_PAIRS = 256

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PairScores:
    """Of P pairs."""

    embedding: NDArray[np.float32]
    """(P,) cosine."""
    local: NDArray[np.float32] | None
    """(P,) of the matcher; None where the recogniser has none."""


@torch.inference_mode()
def score_pairs(
    recogniser: Recogniser,
    face: Callable[[int], NDArray[np.uint8]],
    first: Indices,
    second: Indices,
    held: int = 512,
    flip: bool = False,
) -> PairScores:
    """Scores pairs of faces, a bounded number of which are held at a time.

    Args:
        recogniser: in eval mode; what it runs on is where the work is done.
        face: gives a face (S, S, 3), uint8 RGB in [0, 255], by its place.
        first: (P,) places of one face of each pair.
        second: (P,) those of the other.
        held: faces whose embeddings and maps are in memory at once; a face that pairs further apart name again is
            looked at again.
        flip: whether an embedding is the mean of those of the face and of its mirror image.
    """
    embedding = np.empty(len(first), np.float32)
    local = None if recogniser.matcher is None else np.empty(len(first), np.float32)
    for block in _blocks(first, second, held):
        places, inverse = np.unique(np.concatenate([first[block], second[block]]), return_inverse=True)
        a, b = np.split(inverse, 2)
        seen = see_faces(recogniser, [face(int(place)) for place in places], flip)
        unit = seen.unit.cpu().numpy()
        embedding[block] = np.einsum("pd,pd->p", unit[a], unit[b])
        if local is not None:
            assert recogniser.matcher is not None
            local[block] = local_scores(recogniser.matcher, seen, a, b)
    return PairScores(embedding, local)


@torch.inference_mode()
def see_faces(recogniser: Recogniser, faces: Sequence[NDArray[np.uint8]], flip: bool = False) -> Seen:
    """Faces (S, S, 3), uint8 RGB in [0, 255], to what matching takes, as `Recogniser.see` gives it."""
    device = recogniser.scale.device
    batch = _BATCH_OF_CPU if device.type == "cpu" else _BATCH
    parts = []
    for start in range(0, len(faces), batch):
        images = torch.from_numpy(np.stack(faces[start : start + batch])).permute(0, 3, 1, 2).to(device)
        parts.append(recogniser.see(images, flip))
    return joined(parts)


def joined(parts: Sequence[Seen]) -> Seen:
    """What was seen of several batches, as one."""
    unit, norm, maps, visibility = zip(*parts, strict=True)
    return Seen(
        torch.cat(unit),
        torch.cat(norm),
        torch.cat(maps),
        None if visibility[0] is None else torch.cat([part for part in visibility if part is not None]),
    )


@torch.inference_mode()
def local_scores(matcher: QAConv, seen: Seen, first: Indices, second: Indices) -> NDArray[np.float32]:
    """The matcher's scores (P,) of the faces at `first` with those at `second`."""
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), _PAIRS):
        a, b = (torch.from_numpy(part[start : start + _PAIRS]).to(seen.maps.device) for part in (first, second))
        found: Tensor = matcher.pairs(seen.maps[a], seen.maps[b], *(_of(seen.visibility, part) for part in (a, b)))
        scores[start : start + _PAIRS] = found.float().cpu().numpy()
    return scores


def _of(visibility: Tensor | None, places: Tensor) -> Tensor | None:
    return None if visibility is None else visibility[places]


def _blocks(first: Indices, second: Indices, held: int) -> Iterator[slice]:
    """Pairs in order, cut where they would name more than `held` faces."""
    start, named = 0, set[int]()
    for pair, faces in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        if len(named) + len(set(faces) - named) > held and pair > start:
            yield slice(start, pair)
            start, named = pair, set()
        named.update(faces)
    if start < len(first):
        yield slice(start, len(first))
