"""Confidence of verification rates: the people are a sample, so people are resampled, not pairs.

Source: Efron and Tibshirani 1993, 'An Introduction to the Bootstrap', percentile intervals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceline_core.verification.pairs import Pairs
from faceline_core.verification.ranked import Ranked

Rates = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval."""

    value: float
    low: float | None
    """None where nothing was resampled."""
    high: float | None


@dataclass(frozen=True)
class VRDifference:
    """Two verifiers on the same pairs, at one false accept rate. What is not resolvable is None."""

    far: float
    before: Estimate | None
    """The verification rate of the one."""
    after: Estimate | None
    """That of the other."""
    difference: Estimate | None
    """after - before, with the interval of the paired differences."""
    resolvable: bool
    """Whether there are at least 1 / far impostor pairs."""
    genuine_pairs: int
    impostor_pairs: int


def vr_intervals(
    pairs: Pairs, people: int, fars: Sequence[float], resamples: int, seed: int, level: float = 0.95
) -> list[tuple[float, float] | None]:
    """Bootstrap intervals of the verification rate at each false accept rate.

    Each resample draws `people` people with replacement. A person drawn c times counts c times in the genuine pairs,
    and c x d times in the impostor pairs with a person drawn d times; a person is no impostor to a second draw of
    himself. The threshold is taken anew in each resample.

    Args:
        pairs: scores of pairs; the people in it are among 0 .. people - 1.
        people: how many people there are.
        fars: false accept rates.
        resamples: how many draws.
        seed: of the draws.
        level: of the interval.

    Returns:
        For each rate the lower and upper bound, or None where fewer than 1 / far impostor pairs cannot resolve it.
    """
    ranked = Ranked(pairs.genuine, pairs.genuine_people, pairs.impostor, pairs.impostor_people, max(fars))
    drawn = _draws(people, resamples, seed)
    rates = _resampled([ranked], _couples(pairs.impostor_people, people), drawn, fars)[:, 0]
    found: list[tuple[float, float] | None] = []
    for column, far in enumerate(fars):
        low, high = _interval(rates[:, column], level)
        resolvable = _resolvable(far, len(pairs.impostor))
        found.append((low, high) if resolvable and low is not None and high is not None else None)
    return found


def vr_differences(
    before: ArrayLike | Sequence[ArrayLike],
    after: ArrayLike | Sequence[ArrayLike],
    people: ArrayLike,
    fars: Sequence[float],
    resamples: int,
    seed: int,
    counted: ArrayLike | None = None,
    level: float = 0.95,
) -> list[VRDifference]:
    """Whether one verifier is better than another: the paired bootstrap over people of the difference of their VR.

    Both are given the same pairs, and in each resample the same people, as `vr_intervals` draws them; each has its own
    threshold, which is taken anew. Of verifiers that were trained several times, once for each seed, the rates are
    averaged over these before the difference is taken.

    Args:
        before: (P,) scores of one verifier, or (S, P), or a list of S arrays (P,): one for each seed.
        after: those of the other, of as many seeds or not.
        people: (P, 2) who the two faces of each pair show, as any whole numbers; a pair of equal ones is genuine.
        fars: false accept rates.
        resamples: how many draws; 0 leaves the intervals out.
        seed: of the draws. The same people drawn from, with the same seed, are drawn alike whatever `counted` is.
        counted: (P,) bool, the pairs to look at, as those with an occluded face; None looks at all.
        level: of the intervals.

    Raises:
        ValueError: where scores and pairs differ in number, a score is NaN, or no genuine or no impostor pair counts.
    """
    who = np.asarray(people)
    if who.ndim != 2 or who.shape[1] != 2:
        raise ValueError(f"people must be (pairs, 2), found shape {who.shape}")
    names, numbered = np.unique(who, return_inverse=True)
    numbered = numbered.reshape(who.shape).astype(np.int32)
    kept = np.ones(len(who), bool) if counted is None else np.asarray(counted, bool)
    if kept.shape != (len(who),):
        raise ValueError(f"counted must have an entry for each of {len(who)} pairs, found shape {kept.shape}")
    same = kept & (numbered[:, 0] == numbered[:, 1])
    other = kept & ~same
    if not same.any() or not other.any():
        raise ValueError(f"{same.sum()} genuine and {other.sum()} impostor pairs: at least one of each is needed")
    genuine_people, impostor_people = numbered[same, 0], numbered[other]
    sides = [_scores(scores, len(who)) for scores in (before, after)]
    ranked = [
        Ranked(scores[same], genuine_people, scores[other], impostor_people, max(fars))
        for scores in (*sides[0], *sides[1])
    ]
    couples = _couples(impostor_people, len(names))
    everybody = iter([np.ones(len(names), np.int64)])
    rates = np.concatenate(
        [
            _resampled(ranked, couples, everybody, fars),
            _resampled(ranked, couples, _draws(len(names), resamples, seed), fars),
        ]
    )
    split = len(sides[0])
    means = rates[:, :split].mean(axis=1), rates[:, split:].mean(axis=1)
    differences = []
    for column, far in enumerate(fars):
        resolvable = _resolvable(far, len(impostor_people))
        one, other, difference = (
            _estimate(values[:, column], level) if resolvable else None for values in (*means, means[1] - means[0])
        )
        differences.append(
            VRDifference(far, one, other, difference, resolvable, len(genuine_people), len(impostor_people))
        )
    return differences


def _draws(people: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each person is drawn."""
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(rng.integers(0, people, people), minlength=people)


def _couples(impostor_people: NDArray[np.int32], people: int) -> Rates:
    """How many impostor pairs each two people give (people, people)."""
    key = impostor_people[:, 0].astype(np.int64) * people + impostor_people[:, 1]
    return np.bincount(key, minlength=people**2).reshape(people, people).astype(np.float64)


def _resampled(
    ranked: Sequence[Ranked], couples: Rates, draws: Iterator[NDArray[np.int64]], fars: Sequence[float]
) -> Rates:
    """VR (draws, verifiers, fars); NaN where a draw leaves no genuine or no impostor pair, as one of one person."""
    rates = []
    for drawn in draws:
        impostors = float(drawn @ (couples @ drawn))
        rates.append([each.rates(drawn, impostors, fars) for each in ranked])
    return np.array(rates).reshape(-1, len(ranked), len(fars))


def _interval(values: Rates, level: float) -> tuple[float, float] | tuple[None, None]:
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    tail = (1 - level) / 2
    return float(np.quantile(known, tail)), float(np.quantile(known, 1 - tail))


def _estimate(values: Rates, level: float) -> Estimate:
    """From the rate of the people as they are, and after it those of the resamples."""
    return Estimate(float(values[0]), *_interval(values[1:], level))


def _resolvable(far: float, impostors: int) -> bool:
    return far * impostors >= 1 - 1e-9


def _scores(scores: ArrayLike | Sequence[ArrayLike], pairs: int) -> NDArray[np.floating]:
    """(S, P)."""
    found = np.atleast_2d(np.asarray(scores))
    if found.ndim != 2 or found.shape[1] != pairs or not len(found):
        raise ValueError(f"scores of {pairs} pairs expected, one array or several, found shape {found.shape}")
    invalid = np.argwhere(np.isnan(found))
    if len(invalid):
        raise ValueError(f"the score of pair {invalid[0, 1]} is NaN")
    return found
