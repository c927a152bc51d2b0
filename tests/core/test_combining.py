"""One score of two, and the pairs that its statistics are taken of."""

import numpy as np
import pytest

from faceline_core.verification.combining import ScoreStatistics, statistics_from, statistics_of
from faceline_core.verification.drawn_pairs import draw_pairs, draw_people


def scores(genuine_local: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    same = np.arange(400) % 2 == 0
    embedding = rng.normal(0.2, 0.1, 400) + 0.3 * same
    local = rng.normal(5, 2, 400) + genuine_local * same
    return embedding, local, same


def test_the_sum_is_of_z_scores():
    embedding, local, same = scores(genuine_local=2)
    statistics = statistics_of(embedding, local, same)
    assert (statistics.embedding_weight, statistics.local_weight) == (0.5, 0.5)
    expected = [
        0.5 * (e - embedding.mean()) / embedding.std() + 0.5 * (p - local.mean()) / local.std()
        for e, p in zip(embedding, local, strict=True)
    ]
    np.testing.assert_allclose(statistics.combined(embedding, local), expected)
    assert statistics_from(statistics.as_dict()) == statistics


def test_a_matcher_that_is_worse_than_chance_weighs_little():
    embedding, local, same = scores(genuine_local=-2)
    statistics = statistics_of(embedding, local, same)
    above = [float(a > b) for a in local[same] for b in local[~same]]  # no two are alike
    assert statistics.local_auc == pytest.approx(np.mean(above))
    assert statistics.local_auc < 0.5
    assert statistics.embedding_weight == 0.8
    assert statistics.local_weight == pytest.approx(0.2)


def test_weights_of_ones_own():
    statistics = statistics_of(*scores(genuine_local=2))
    assert statistics.weighted(0.0, None) == ScoreStatistics(**{**statistics.as_dict(), "embedding_weight": 0.0})
    e, p = np.array([0.1, 0.9]), np.array([3.0, 1.0])
    local_alone = statistics.weighted(0, 1).combined(e, p)
    np.testing.assert_allclose(local_alone, (p - statistics.local_mean) / statistics.local_std)


def test_scores_that_are_all_alike_divide_by_no_zero():
    statistics = statistics_of(np.ones(4), np.ones(4), np.array([True, False, True, False]))
    assert np.isfinite(statistics.combined(np.ones(4), np.ones(4))).all()


@pytest.mark.parametrize("most", [10, 60, 10_000])
def test_drawn_pairs_are_what_they_say(most):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 8, 60).tolist()
    sources = [f"{label}/{rng.integers(0, 9)}" for label in labels]
    pairs = draw_pairs(labels, sources, most, seed=1)
    all_genuine = sum(labels[a] == labels[b] and sources[a] != sources[b] for a in range(60) for b in range(a + 1, 60))
    assert len(pairs) == 2 * min(most // 2, all_genuine)
    assert pairs.same.sum() * 2 == len(pairs)
    named = set()
    for a, b, same in zip(pairs.first, pairs.second, pairs.same, strict=True):
        assert same == (labels[a] == labels[b])
        assert sources[a] != sources[b]
        named.add((min(a, b), max(a, b)))
    assert len(named) == len(pairs)
    again = draw_pairs(labels, sources, most, seed=1)
    assert np.array_equal(again.first, pairs.first)
    assert np.array_equal(again.same, pairs.same)
    assert not np.array_equal(pairs.same, np.sort(pairs.same))  # mixed: folds see both kinds


def test_of_many_faces_whole_people_are_drawn():
    labels = np.repeat(np.arange(50), 10).tolist()
    pairs = draw_pairs(labels, [str(index) for index in range(500)], 100_000, seed=0, faces=100)
    people = {labels[index] for index in np.concatenate([pairs.first, pairs.second])}
    assert len(people) == 10
    assert pairs.same.sum() == 10 * 45


@pytest.mark.parametrize("most", [1, 2, 7, 20, 59, 60, 61])
def test_people_are_drawn_whole_until_the_next_would_be_too_many(most):
    labels = np.random.default_rng(5).integers(0, 9, 60) * 3
    for seed in range(10):
        kept = draw_people(labels, most, np.random.default_rng(seed))
        people, total = [], 0
        for person in np.random.default_rng(seed).permutation(np.unique(labels)):
            total += (labels == person).sum()
            if total > most and len(people) >= 2:
                break
            people.append(person)
        assert kept.tolist() == [place for place, person in enumerate(labels) if person in people]


@pytest.mark.parametrize(("labels", "sources"), [([0, 0], "ab"), ([0, 1], "ab"), ([0, 0, 1], "aab")])
def test_a_set_without_both_kinds_of_pairs_is_told(labels, sources):
    with pytest.raises(ValueError, match="genuine and"):
        draw_pairs(labels, list(sources), 10, seed=0)
