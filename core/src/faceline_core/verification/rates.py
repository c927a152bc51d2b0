"""Operating points and curves of a verifier, from the scores of its pairs.

A pair is accepted where score >= threshold. FAR: the part of impostor pairs accepted; VR: the part of genuine pairs
accepted. Source: ISO/IEC 19795-1.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class OperatingPoint:
    """What a verifier does at the threshold that holds one false accept rate."""

    far: float
    """The false accept rate asked for."""
    vr: float | None
    """The part of genuine pairs accepted; None where `resolvable` is False."""
    threshold: float | None
    """The score from which a pair is accepted; None where `resolvable` is False."""
    resolvable: bool
    """Whether there are at least 1 / far impostor pairs."""
    impostor_pairs: int


@dataclass(frozen=True)
class Curve:
    """Every operating point of a verifier, threshold falling: far and vr rise from 0 to 1."""

    thresholds: NDArray[np.float64]
    """(K,) each observed score once, falling; before them +inf, at which nothing is accepted."""
    far: NDArray[np.float64]
    vr: NDArray[np.float64]


def vr_at_far(scores: ArrayLike, same: ArrayLike, far: float) -> OperatingPoint:
    """Verification rate at a false accept rate.

    Args:
        scores: (P,) similarity of each pair, higher is more alike.
        same: (P,) bool, True where both images show one person.
        far: the false accept rate to hold, in (0, 1).

    Returns:
        The verification rate, and the threshold that gives it: the smallest observed score at which at most `far` of
        the impostor pairs are accepted (score >= threshold). Where not even the highest score will do, the threshold is
        the next number above it, and the rate is 0. Both are None, and `resolvable` is False, where there are fewer
        than 1 / far impostor pairs.

    Raises:
        ValueError: where scores and same differ in length, a score is NaN (it names the first such pair), there is no
            genuine pair, or far is not in (0, 1).

    Source: ISO/IEC 19795-1, 'true match rate at a false match rate'.
    """
    genuine, impostor = _separated(scores, same)
    if not 0 < far < 1:
        raise ValueError(f"far must be in (0, 1), found {far}")
    allowed = min(math.floor(far * len(impostor) + 1e-9), len(impostor) - 1)  # 0.29 * 100 is 28.999999999999996
    if allowed < 1:
        return OperatingPoint(far, None, None, False, len(impostor))
    refused = np.partition(impostor, len(impostor) - allowed - 1)[len(impostor) - allowed - 1]
    above = [part[part > refused] for part in (genuine, impostor)]
    observed = [part.min() for part in above if len(part)]
    threshold = float(min(observed)) if observed else float(np.nextafter(refused, np.inf))
    return OperatingPoint(far, len(above[0]) / len(genuine), threshold, True, len(impostor))


def rates_at(scores: ArrayLike, same: ArrayLike, threshold: float) -> tuple[float, float]:
    """(FAR, VR) of pairs (P,) at a threshold that was chosen elsewhere."""
    genuine, impostor = _separated(scores, same)
    return float(np.mean(impostor >= threshold)), float(np.mean(genuine >= threshold))


def roc(scores: ArrayLike, same: ArrayLike) -> Curve:
    """Every operating point of the pairs (P,). Raises ValueError as `vr_at_far`."""
    genuine, impostor = _separated(scores, same)
    order = np.argsort(-np.concatenate([genuine, impostor]), kind="stable")
    ordered = np.concatenate([genuine, impostor])[order]
    is_genuine = order < len(genuine)
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    accepted_genuine = np.cumsum(is_genuine)[last_of_ties]
    accepted_impostor = np.cumsum(~is_genuine)[last_of_ties]
    return Curve(
        np.concatenate([[np.inf], ordered[last_of_ties].astype(np.float64)]),
        np.concatenate([[0.0], accepted_impostor / len(impostor)]),
        np.concatenate([[0.0], accepted_genuine / len(genuine)]),
    )


def auc(curve: Curve) -> float:
    """Area under the ROC: how often a genuine pair scores above an impostor pair, ties counting half."""
    return float(np.trapezoid(curve.vr, curve.far))


def eer(curve: Curve) -> float:
    """Equal error rate: the mean of FAR and 1 - VR at the operating point where the two are closest."""
    frr = 1 - curve.vr
    closest = int(np.argmin(np.abs(curve.far - frr)))
    return float((curve.far[closest] + frr[closest]) / 2)


def _separated(scores: ArrayLike, same: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    values, is_same = np.asarray(scores), np.asarray(same, bool)
    if values.shape != is_same.shape or values.ndim != 1:
        raise ValueError(f"scores and same must be of one length, found shapes {values.shape} and {is_same.shape}")
    invalid = np.flatnonzero(np.isnan(values))
    if len(invalid):
        raise ValueError(f"the score of pair {invalid[0]} is NaN")
    genuine, impostor = values[is_same], values[~is_same]
    if not len(genuine) or not len(impostor):
        raise ValueError(f"{len(genuine)} genuine and {len(impostor)} impostor pairs: at least one of each is needed")
    return genuine, impostor
