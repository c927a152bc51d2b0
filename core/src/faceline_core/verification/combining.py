"""Two scores of a pair, of embeddings and of the matcher, made one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.verification.rates import auc, roc

_EVEN, _MOSTLY_EMBEDDING = 0.5, 0.8
_LEAST_STD = 1e-12
Scores = NDArray[np.floating]


@dataclass(frozen=True)
class ScoreStatistics:
    """How the scores of people held back for choosing are spread, and what each then weighs in the sum.

    combined = embedding_weight x (embedding - mean) / std + local_weight x (local - mean) / std
    """

    embedding_mean: float
    embedding_std: float
    local_mean: float
    local_std: float
    embedding_weight: float
    local_weight: float
    local_auc: float
    """How often the matcher scored a genuine pair above an impostor pair."""

    def combined(self, embedding: Scores, local: Scores) -> Scores:
        """The combined scores of pairs, from their cosines and their matcher scores, of any one shape."""
        combined: Scores = self.embedding_weight * (embedding - self.embedding_mean) / self.embedding_std
        combined += self.local_weight * (local - self.local_mean) / self.local_std
        return combined

    def weighted(self, embedding: float | None, local: float | None) -> "ScoreStatistics":
        """The same with other weights; None keeps one."""
        given = {"embedding_weight": embedding, "local_weight": local}
        kept = {name: value for name, value in given.items() if value is not None}
        return ScoreStatistics(**{**asdict(self), **kept})

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, for a checkpoint."""
        return asdict(self)


def statistics_of(embedding: Scores, local: Scores, same: NDArray[np.bool_]) -> ScoreStatistics:
    """Mean and standard deviation of both scores over pairs (P,), and the weights: 0.5 and 0.5, or 0.8 and 0.2 where
    the matcher ranks genuine pairs worse than chance would.

    Raises:
        ValueError: as `roc`.
    """
    local_auc = auc(roc(local, same))
    weight = _EVEN if local_auc >= 0.5 else _MOSTLY_EMBEDDING
    return ScoreStatistics(
        float(np.mean(embedding)),
        max(float(np.std(embedding)), _LEAST_STD),
        float(np.mean(local)),
        max(float(np.std(local)), _LEAST_STD),
        weight,
        1 - weight,
        local_auc,
    )


def statistics_from(plain: Mapping[str, Any]) -> ScoreStatistics:
    """What `as_dict` wrote down."""
    return ScoreStatistics(**plain)
