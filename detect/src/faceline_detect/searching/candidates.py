"""The boxes of a picture that suppression looks at."""

from torch import Tensor

CANDIDATES = 5000
"""The most of a picture, by score."""


def best(scores: Tensor, confidence: float) -> Tensor:
    """Positions in (A,) scores of those that reach `confidence`: all of them, or the CANDIDATES highest."""
    chosen = (scores >= confidence).nonzero()[:, 0]
    if len(chosen) > CANDIDATES:
        chosen = chosen[scores[chosen].topk(CANDIDATES).indices]
    return chosen
