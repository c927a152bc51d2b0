"""Accuracy of a verifier over the folds of a list of pairs: the threshold comes from the other folds.

Source: Huang et al. 2007, 'Labeled Faces in the Wild' (view 2), in the form in which insightface computes it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FOLDS = 10
THRESHOLDS: NDArray[np.floating] = np.arange(400) * 0.01
"""Squared distances of unit embeddings at which a pair may be told to be one person: 0 to 4, step 0.01."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class FoldAccuracy:
    """Part of the pairs that are told right."""

    mean: float
    """Over folds, each at the threshold that is best on the others."""
    std: float
    """Over the same folds (of the population, as the field reports it)."""
    best: float
    """Of all pairs, at the one threshold that suits them best: what no threshold can surpass."""
    best_threshold: float
    """That threshold."""

    def described(self) -> str:
        """For one line of a report."""
        return f"{self.mean:.4f} +- {self.std:.4f}, at the best threshold ({self.best_threshold:.4g}) {self.best:.4f}"


def fold_accuracy(distances: ArrayLike, same: ArrayLike, folds: int = FOLDS) -> FoldAccuracy:
    """k-fold accuracy as LFW does it, from squared distances of unit embeddings.

    The pairs stay in their order and are cut into folds as scikit-learn's `KFold(shuffle=False)` cuts them. A pair is
    told to be one person where its distance is below the threshold. Of THRESHOLDS the one that is best on the other
    folds, the first of equally good ones, is used on a fold.

    Args:
        distances: (P,) squared L2 distance of the unit embeddings of each pair, 0 to 4.
        same: (P,) bool, True where both images show one person.
        folds: at least 2, and no more than there are pairs.

    Returns:
        Mean and standard deviation over folds; beside them the exact optimum over all thresholds, of whatever value.
        `best_threshold` is a distance: pairs at or below it are told to be one person.

    Raises:
        ValueError: where the two differ in length, a distance is NaN (it names the first such pair), or the pairs
            cannot be cut into so many folds.
    """
    values, is_same = _checked(distances, same)
    cut = _folds(len(values), folds)
    correct = np.stack([_correct_below(values[fold], is_same[fold]) for fold in cut])
    of_others = correct.sum(axis=0) - correct
    accuracies = correct[np.arange(folds), of_others.argmax(axis=1)] / [len(fold) for fold in cut]
    best, threshold = best_accuracy(-values, is_same)
    return FoldAccuracy(float(accuracies.mean()), float(accuracies.std()), best, -threshold)


def fold_accuracy_of_scores(scores: ArrayLike, same: ArrayLike, folds: int = FOLDS) -> FoldAccuracy:
    """k-fold accuracy of scores of any range, where higher is more alike.

    As `fold_accuracy`, but a pair is told to be one person where score >= threshold, and a fold's threshold is that of
    `best_accuracy` on the other folds.
    """
    values, is_same = _checked(scores, same)
    accuracies = np.empty(folds)
    for number, fold in enumerate(_folds(len(values), folds)):
        others = np.ones(len(values), bool)
        others[fold] = False
        _, threshold = best_accuracy(values[others], is_same[others])
        accuracies[number] = np.mean((values[fold] >= threshold) == is_same[fold])
    return FoldAccuracy(float(accuracies.mean()), float(accuracies.std()), *best_accuracy(values, is_same))


def best_accuracy(scores: ArrayLike, same: ArrayLike) -> tuple[float, float]:
    """The highest accuracy that a threshold can give, and that threshold.

    A pair is told to be one person where score >= threshold. Every observed score is tried, and the next number above
    the highest, at which nobody is. Of equally good thresholds the highest is taken.

    Args:
        scores: (P,) similarity of each pair, higher is more alike.
        same: (P,) bool, True where both images show one person.

    Raises:
        ValueError: where the two differ in length, there is no pair, or a score is NaN (it names the first such pair).
    """
    values, is_same = _checked(scores, same)
    order = np.argsort(-values, kind="stable")
    ordered, gained = values[order], np.where(is_same[order], 1, -1)
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    correct = np.concatenate([[0], np.cumsum(gained)[last_of_ties]]) + np.sum(~is_same)
    best = int(correct.argmax())  # the first: the highest threshold
    threshold = np.nextafter(ordered[0], np.inf) if best == 0 else ordered[last_of_ties][best - 1]
    return float(correct[best] / len(values)), float(threshold)


def _correct_below(distances: NDArray[np.float64], same: NDArray[np.bool_]) -> Counts:
    """How many pairs are told right where distance < threshold means one person, at each of THRESHOLDS."""
    below_same = np.searchsorted(np.sort(distances[same]), THRESHOLDS, side="left")
    below_other = np.searchsorted(np.sort(distances[~same]), THRESHOLDS, side="left")
    return below_same + (np.sum(~same) - below_other)


def _folds(pairs: int, folds: int) -> list[NDArray[np.int64]]:
    """The places of the pairs of each fold: runs of one length, the first ones a pair longer where it does not go into
    them evenly."""
    if not 2 <= folds <= pairs:
        raise ValueError(f"{pairs} pairs cannot be cut into {folds} folds")
    return np.array_split(np.arange(pairs), folds)


def _checked(values: ArrayLike, same: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    found, is_same = np.asarray(values, np.float64), np.asarray(same, bool)
    if found.shape != is_same.shape or found.ndim != 1:
        raise ValueError(f"pairs and flags must be of one length, found shapes {found.shape} and {is_same.shape}")
    if not len(found):
        raise ValueError("there are no pairs")
    invalid = np.flatnonzero(np.isnan(found))
    if len(invalid):
        raise ValueError(f"the value of pair {invalid[0]} is NaN")
    return found, is_same
