"""Confidence of verification rates: the people are a sample, so people are resampled, not pairs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceline_core.verification.pairs import Pairs


def vr_intervals(
    pairs: Pairs, people: int, fars: Sequence[float], resamples: int, seed: int, level: float = 0.95
) -> list[tuple[float, float] | None]:
    """Bootstrap intervals of the verification rate at each false accept rate.

    Each resample draws `people` people with replacement. A person drawn c times counts c times in the genuine pairs,
    and c x d times in the impostor pairs with a person drawn d times; a person is no impostor to a second draw of
    himself. The threshold is taken anew in each resample.

    Args:
        pairs: scores of all pairs; the people in it are 0 .. people - 1.
        people: how many people there are.
        fars: false accept rates.
        resamples: how many draws.
        seed: of the draws.
        level: of the interval.

    Returns:
        For each rate the lower and upper bound, or None where fewer than 1 / far impostor pairs cannot resolve it.
    """
    genuine_order = np.argsort(-pairs.genuine, kind="stable")
    impostor_order = np.argsort(-pairs.impostor, kind="stable")
    genuine, genuine_people = pairs.genuine[genuine_order], pairs.genuine_people[genuine_order]
    impostor, impostor_people = pairs.impostor[impostor_order], pairs.impostor_people[impostor_order]
    rng = np.random.default_rng(seed)
    rates = np.full((resamples, len(fars)), np.nan)
    for resample in range(resamples):
        drawn = np.bincount(rng.integers(0, people, people), minlength=people)
        accepted = np.cumsum(drawn[impostor_people[:, 0]] * drawn[impostor_people[:, 1]])
        verified = np.concatenate([[0], np.cumsum(drawn[genuine_people])])
        if accepted[-1] == 0 or verified[-1] == 0:
            continue  # one person drawn every time: no impostor pair, or only people without a genuine one
        for column, far in enumerate(fars):
            first_refused = np.searchsorted(accepted, far * accepted[-1] + 1e-9, side="right")
            above = np.searchsorted(-genuine, -impostor[first_refused], side="left")
            rates[resample, column] = verified[above] / verified[-1]
    tail = (1 - level) / 2
    bounds: list[tuple[float, float] | None] = []
    for column, far in enumerate(fars):
        values: NDArray[np.float64] = rates[~np.isnan(rates[:, column]), column]
        resolvable = far * len(impostor) >= 1 - 1e-9 and len(values) > 0
        bounds.append((float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail))) if resolvable else None)
    return bounds
