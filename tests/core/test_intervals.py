"""The paired bootstrap against re-drawing the pairs one by one."""

import numpy as np
import pytest

from faceline_core.verification.intervals import vr_differences, vr_intervals
from faceline_core.verification.pairs import Pairs
from faceline_core.verification.rates import vr_at_far

FARS = [0.2, 0.05]


def drawn(people: int = 7, photos: int = 4, seeds: int = 3, better: float = 0.7):
    """Who is in each of all pairs (P, 2), and scores (seeds, P) of two verifiers, the second one better."""
    rng = np.random.default_rng(4)
    who = np.repeat(np.arange(people), photos)
    first, second = np.triu_indices(len(who), 1)
    pairs = np.stack([who[first], who[second]], axis=1)
    same = pairs[:, 0] == pairs[:, 1]
    hard = rng.normal(size=len(who))
    one, other = (
        rng.normal(size=(seeds, len(same))) + hard[first] + hard[second] + apart * same for apart in (2, 2 + better)
    )
    return pairs, one, other


def vr_slow(scores, people, kept, weights, far):
    """Writes each kept pair down as often as its people were drawn, and asks vr_at_far."""
    written, same = [], []
    for score, (a, b), counts in zip(scores, people, kept, strict=True):
        times = weights[a] if a == b else weights[a] * weights[b]
        written += [score] * int(counts * times)
        same += [a == b] * int(counts * times)
    return vr_at_far(written, same, far).vr


@pytest.mark.parametrize("some", [False, True])
def test_differences_equal_those_of_pairs_drawn_again(some):
    people, before, after = drawn()
    kept = np.random.default_rng(1).random(len(people)) < 0.6 if some else np.ones(len(people), bool)
    found = vr_differences(before, list(after[:2]), people * 10 + 5, FARS, 40, seed=3, counted=kept if some else None)
    rng = np.random.default_rng(3)
    draws = [np.ones(7, int), *(np.bincount(rng.integers(0, 7, 7), minlength=7) for _ in range(40))]
    for far, difference in zip(FARS, found, strict=True):
        means = [
            [np.mean([vr_slow(s, people, kept, weights, far) for s in side]) for weights in draws]
            for side in (before, after[:2])
        ]
        for estimate, values in zip(
            (difference.before, difference.after, difference.difference),
            (*means, np.subtract(means[1], means[0])),
            strict=True,
        ):
            assert estimate.value == pytest.approx(values[0])
            assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(values[1:], [0.025, 0.975])))
    assert found[0].genuine_pairs + found[0].impostor_pairs == kept.sum()


def test_the_same_scores_differ_by_nothing_in_any_resample():
    people, before, _ = drawn()
    for difference in vr_differences(before[0], before[0], people, FARS, 20, seed=0):
        assert (difference.difference.value, difference.difference.low, difference.difference.high) == (0, 0, 0)
        assert difference.before.low < difference.before.high


def test_a_side_alone_has_the_interval_of_vr_intervals():
    people, before, after = drawn()
    same = people[:, 0] == people[:, 1]
    scores = before[0].astype(np.float32)
    who = people.astype(np.int32)
    pairs = Pairs(
        scores[same], who[same, 0], scores[~same], who[~same], who[same], who[~same]
    )  # the faces do not matter
    found = vr_differences(scores, after[0], people, FARS, 30, seed=2)
    assert [(each.before.low, each.before.high) for each in found] == vr_intervals(pairs, 7, FARS, 30, seed=2)


def test_more_impostor_pairs_than_are_looked_at_first_change_nothing(monkeypatch):
    people, before, after = drawn()
    expected = vr_differences(before, after, people, [0.05], 30, seed=1)
    monkeypatch.setattr("faceline_core.verification.ranked._AT_FIRST", 1)
    monkeypatch.setattr("faceline_core.verification.ranked._MARGIN", 0.1)
    assert vr_differences(before, after, people, [0.05], 30, seed=1) == expected


def test_what_cannot_be_resolved_is_none_and_without_resamples_there_is_no_interval():
    people, before, after = drawn()
    unresolved, resolved = vr_differences(before[0], after[0], people, [1e-4, 0.2], 0, seed=0)
    assert (unresolved.resolvable, unresolved.before, unresolved.after, unresolved.difference) == (False, *[None] * 3)
    assert (resolved.difference.low, resolved.difference.high) == (None, None)
    assert resolved.difference.value == pytest.approx(resolved.after.value - resolved.before.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"after": np.zeros(5)}, r"378 pairs expected, one array or several, found shape \(1, 5\)"),
        ({"after": np.full(378, np.nan)}, "pair 0 is NaN"),
        ({"people": np.zeros((378, 2), int)}, "378 genuine and 0 impostor pairs"),
        ({"people": np.zeros(378, int)}, r"people must be \(pairs, 2\), found shape \(378,\)"),
        ({"counted": np.ones(3, bool)}, r"each of 378 pairs, found shape \(3,\)"),
        ({"counted": np.zeros(378, bool)}, "0 genuine and 0 impostor pairs"),
    ],
)
def test_wrong_input_is_named(change, message):
    people, before, after = drawn()
    given = {"before": before, "after": after, "people": people, "fars": FARS, "resamples": 5, "seed": 0} | change
    with pytest.raises(ValueError, match=message):
        vr_differences(**given)
