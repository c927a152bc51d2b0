"""The fast figures against slow versions written from the definitions."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from faceline_core.verification.intervals import vr_intervals
from faceline_core.verification.pairs import Pairs, all_pairs
from faceline_core.verification.rates import auc, eer, rates_at, roc, vr_at_far


def drawn_scores(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(400) < 0.3
    scores = rng.normal(0, 1, 400) + 1.2 * same
    return (np.round(scores, 1) if ties else scores), same


def vr_at_far_slow(scores, same, far):
    """Tries every observed score, from the smallest."""
    for threshold in sorted(set(scores)):
        accepted = sum(s >= threshold for s, one in zip(scores, same, strict=True) if not one)
        if accepted <= far * sum(~same):
            return sum(s >= threshold for s, one in zip(scores, same, strict=True) if one) / sum(same), threshold
    return 0.0, None


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("far", [0.5, 0.1, 0.03, 0.01])
def test_vr_at_far_is_what_the_definition_says(seed, ties, far):
    scores, same = drawn_scores(seed, ties)
    point = vr_at_far(scores, same, far)
    vr, threshold = vr_at_far_slow(scores, same, far)
    assert point.vr == pytest.approx(vr, abs=1e-12)
    assert point.threshold == threshold
    assert rates_at(scores, same, point.threshold)[1] == point.vr
    assert rates_at(scores, same, point.threshold)[0] <= far


def test_exactly_one_over_far_pairs_resolve_it_and_one_fewer_do_not():
    same = np.array([True] * 3 + [False] * 100)
    scores = np.concatenate([[0.9, 0.5, 0.1], np.linspace(0, 0.6, 100)])
    assert vr_at_far(scores, same, 0.01).resolvable
    fewer = vr_at_far(scores[:-1], same[:-1], 0.01)
    assert (fewer.resolvable, fewer.vr, fewer.threshold, fewer.impostor_pairs) == (False, None, None, 99)


def test_a_far_that_floats_round_down_keeps_its_pair():
    same = np.array([True, *[False] * 100])
    scores = np.concatenate([[0.715], np.arange(100) / 100])
    assert 0.29 * 100 < 29  # what the float says
    assert vr_at_far(scores, same, 0.29).threshold == 0.71


def test_where_the_best_impostor_ties_with_all_genuine_the_rate_is_zero():
    point = vr_at_far([0.5, 0.5, 0.5, 0.5], [True, True, False, False], 0.5)
    assert point.vr == 0
    assert point.threshold > 0.5


def test_tensors_are_taken_too():
    torch = pytest.importorskip("torch")
    scores, same = drawn_scores(0, False)
    assert vr_at_far(torch.tensor(scores), torch.tensor(same), 0.1) == vr_at_far(scores, same, 0.1)


@pytest.mark.parametrize(
    ("scores", "same", "far", "message"),
    [
        ([0.1, float("nan")], [True, False], 0.1, "pair 1 is NaN"),
        ([0.1], [True, False], 0.1, "one length"),
        ([0.1, 0.2], [False, False], 0.1, "0 genuine and 2 impostor"),
        ([0.1, 0.2], [True, False], 1.0, r"in \(0, 1\)"),
    ],
)
def test_wrong_input_is_named(scores, same, far, message):
    with pytest.raises(ValueError, match=message):
        vr_at_far(scores, same, far)


@pytest.mark.parametrize("ties", [False, True])
def test_curve_holds_every_threshold_and_its_area_is_the_auc(ties):
    scores, same = drawn_scores(3, ties)
    curve = roc(scores, same)
    assert len(curve.far) == len(set(scores)) + 1
    for threshold, far, vr in list(zip(curve.thresholds, curve.far, curve.vr, strict=True))[1:]:
        assert (far, vr) == pytest.approx(rates_at(scores, same, threshold))
    assert auc(curve) == pytest.approx(roc_auc_score(same, scores))


def test_eer_of_two_normals_is_known():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(2, 1, 20000), rng.normal(0, 1, 20000)])
    assert eer(roc(scores, np.arange(40000) < 20000)) == pytest.approx(0.1587, abs=0.004)  # Phi(-1)


def unit(rng, *shape):
    x = rng.normal(size=shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("rows", [3, 1024])
def test_all_pairs_are_each_pair_once(monkeypatch, rows):
    monkeypatch.setattr("faceline_core.verification.pairs._ROWS", rows)
    rng = np.random.default_rng(1)
    embeddings = unit(rng, 20, 8)
    people = rng.integers(0, 4, 20).tolist()
    sources = [f"photo{index // 2}" for index in range(20)]  # faces 2k and 2k + 1 are copies of one photo
    pairs = all_pairs(embeddings, people, sources)
    genuine, impostor = [], []
    for i in range(20):
        for j in range(i + 1, 20):
            if people[i] != people[j]:
                impostor.append((float(embeddings[i] @ embeddings[j]), people[i], people[j]))
            elif sources[i] != sources[j]:
                genuine.append((float(embeddings[i] @ embeddings[j]), people[i]))
    found = list(zip(pairs.genuine, pairs.genuine_people, strict=True))
    assert np.allclose(sorted(found), sorted(genuine), atol=1e-6)
    found = [(s, a, b) for s, (a, b) in zip(pairs.impostor, pairs.impostor_people, strict=True)]
    assert np.allclose(sorted(found), sorted(impostor), atol=1e-6)


def drawn_pairs(people: int = 6, photos: int = 5, noise: float = 0.6) -> Pairs:
    rng = np.random.default_rng(5)
    who = np.repeat(np.arange(people), photos)
    centres = unit(rng, people, 6)
    x = centres[who] + noise * unit(rng, len(who), 6)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return all_pairs(x.astype(np.float32), who.tolist(), [str(i) for i in range(len(who))])


def intervals_slow(pairs, people, fars, resamples, seed):
    """Repeats each pair as often as its people were drawn, and asks vr_at_far's definition."""
    rng = np.random.default_rng(seed)
    rates = []
    for _ in range(resamples):
        drawn = np.bincount(rng.integers(0, people, people), minlength=people)
        genuine = np.repeat(pairs.genuine, drawn[pairs.genuine_people])
        impostor = np.repeat(pairs.impostor, drawn[pairs.impostor_people[:, 0]] * drawn[pairs.impostor_people[:, 1]])
        row = []
        for far in fars:
            refused = np.sort(impostor)[::-1][int(far * len(impostor) + 1e-9)]
            row.append(np.mean(genuine > refused))
        rates.append(row)
    return [tuple(np.quantile(column, [0.025, 0.975])) for column in zip(*rates, strict=True)]


def test_intervals_equal_those_of_repeated_pairs():
    pairs, fars = drawn_pairs(), [0.2, 0.05]
    fast = vr_intervals(pairs, 6, fars, 50, seed=3)
    assert np.allclose(fast, intervals_slow(pairs, 6, fars, 50, seed=3))
    assert all(low < high for low, high in fast)


def test_an_interval_that_cannot_be_resolved_is_none():
    assert vr_intervals(drawn_pairs(), 6, [1e-4], 20, seed=0) == [None]
    assert vr_intervals(drawn_pairs(), 6, [0.1], 0, seed=0) == [None]
