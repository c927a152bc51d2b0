"""Confidence of figures over pictures: the pictures are a sample, so pictures are resampled, not faces.

Faces of one picture are not independent. Source: Efron and Tibshirani 1993, 'An Introduction to the Bootstrap',
percentile intervals.
"""

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
Counts = NDArray[np.float64] | NDArray[np.int64]


def draw_pictures(pictures: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """(resamples, pictures) how often each picture is drawn, with replacement; the same for the same numbers, so
    detectors that are measured on the same pictures are compared on the same draws."""
    rng = np.random.default_rng(seed)
    drawn = [np.bincount(rng.integers(0, pictures, pictures), minlength=pictures) for _ in range(resamples)]
    return np.array(drawn, np.int64).reshape(resamples, pictures)


def share(part: Counts, whole: Counts) -> float | None:
    """The sum of one over that of the other (pictures,), None where that is 0."""
    return float(part.sum() / whole.sum()) if whole.sum() else None


def drawn_shares(part: Counts, whole: Counts, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """(R,) the same in each draw, NaN where that is 0."""
    below = (draws @ whole).astype(np.float64)
    shares: NDArray[np.float64] = np.divide(draws @ part, below, out=np.full_like(below, np.nan), where=below > 0)
    return shares


def interval(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Bounds of the middle 95 % of resampled values (R,); None where there are none that are known."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
