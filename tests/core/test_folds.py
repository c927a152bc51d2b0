"""k-fold accuracy, against loops written from its definition and scikit-learn's own folds."""

import numpy as np
import pytest
from sklearn.model_selection import KFold

from faceline_core.verification.folds import FoldAccuracy, best_accuracy, fold_accuracy, fold_accuracy_of_scores


def slow_fold_accuracy(distances, same, folds):
    accuracies = []
    for others, fold in KFold(folds, shuffle=False).split(distances):
        best, chosen = -1.0, None
        for threshold in np.arange(0, 4, 0.01):
            accuracy = np.mean(np.less(distances[others], threshold) == same[others])
            if accuracy > best:
                best, chosen = accuracy, threshold
        accuracies.append(np.mean(np.less(distances[fold], chosen) == same[fold]))
    return np.mean(accuracies), np.std(accuracies)


def slow_best(scores, same):
    thresholds = [*sorted(set(scores.tolist()), reverse=True)]
    thresholds = [np.nextafter(thresholds[0], np.inf), *thresholds]
    accuracies = [np.mean((scores >= threshold) == same) for threshold in thresholds]
    return max(accuracies), thresholds[int(np.argmax(accuracies))]


def slow_fold_accuracy_of_scores(scores, same, folds):
    accuracies = []
    for others, fold in KFold(folds, shuffle=False).split(scores):
        _, chosen = slow_best(scores[others], same[others])
        accuracies.append(np.mean((scores[fold] >= chosen) == same[fold]))
    return np.mean(accuracies), np.std(accuracies)


def drawn_pairs(rng, count, overlap, steps):
    """Distances of pairs in [0, 4]; rounded to `steps` a unit, many are equal, and equal to a threshold."""
    same = rng.random(count) < 0.5
    distances = np.clip(np.where(same, 1.2, 1.2 + overlap) + rng.normal(0, 0.4, count), 0, 4)
    return (np.round(distances * steps) / steps if steps else distances), same


CASES = [(57, 0.3, 0, 10), (60, 0.8, 10, 10), (41, 0.0, 4, 7), (23, -0.5, 100, 2), (10, 2.0, 0, 10), (200, 0.6, 100, 5)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_folds_as_defined(case):
    *shape, folds = case
    for seed in range(8):
        distances, same = drawn_pairs(np.random.default_rng(seed), *shape)
        found = fold_accuracy(distances, same, folds)
        assert (found.mean, found.std) == pytest.approx(slow_fold_accuracy(distances, same, folds), abs=1e-12)
        assert found.best == pytest.approx(np.mean((distances <= found.best_threshold) == same), abs=1e-12)
        assert found.best == pytest.approx(slow_best(-distances, same)[0], abs=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_scores_of_any_range(case):
    *shape, folds = case
    for seed in range(8):
        distances, same = drawn_pairs(np.random.default_rng(seed), *shape)
        scores = 70 - 30 * distances
        found = fold_accuracy_of_scores(scores, same, folds)
        assert (found.mean, found.std) == pytest.approx(slow_fold_accuracy_of_scores(scores, same, folds), abs=1e-12)
        assert (found.best, found.best_threshold) == pytest.approx(slow_best(scores, same))
        assert best_accuracy(scores, same) == (found.best, found.best_threshold)


def test_a_distance_on_the_threshold_is_another_person_and_the_first_threshold_wins():
    """Genuine pairs at 0.5 and impostors at 1.5: every threshold from 0.51 to 1.5 is best on nine folds, the first
    turns away a genuine pair at 0.51 (strictly below) and takes one at 0.505."""
    same = np.tile([True, False], 10)
    distances = np.where(same, 0.5, 1.5)
    assert fold_accuracy(distances, same).mean == 1.0
    for odd, mean in ((0.505, 1.0), (0.51, 0.95)):
        assert fold_accuracy(np.append(distances[:-2], [odd, 1.5]), same).mean == pytest.approx(mean)


def test_equally_good_thresholds_give_the_highest_and_nobody_is_a_choice():
    assert best_accuracy([3.0, 2.0, 2.0, 1.0], [True, False, True, False]) == (0.75, 3.0)
    assert best_accuracy([3.0, 2.0], [False, False]) == (1.0, np.nextafter(3.0, 4.0))
    assert best_accuracy(np.float32([3, 2]), [True, True]) == (1.0, 2.0)


def test_one_line_has_all_four():
    found = FoldAccuracy(0.98765, 0.0123, 0.99, 1.4321987)
    assert found.described() == "0.9877 +- 0.0123, at the best threshold (1.432) 0.9900"


def test_what_cannot_be_measured():
    for function in (fold_accuracy, fold_accuracy_of_scores):
        with pytest.raises(ValueError, match="the value of pair 2 is NaN"):
            function([0.0, 1.0, np.nan, 1.0], [True] * 4, 2)
        with pytest.raises(ValueError, match="9 pairs cannot be cut into 10 folds"):
            function(np.zeros(9), np.ones(9))
        with pytest.raises(ValueError, match="cannot be cut into 1 folds"):
            function(np.zeros(9), np.ones(9), 1)
        with pytest.raises(ValueError, match=r"of one length, found shapes \(3,\) and \(2,\)"):
            function(np.zeros(3), np.ones(2))
    with pytest.raises(ValueError, match="there are no pairs"):
        best_accuracy([], [])
