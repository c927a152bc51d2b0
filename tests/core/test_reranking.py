"""Local scores of all pairs, and of the best of a gallery, against scoring everything one by one."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from faceline_core.models.local_block import local_block
from faceline_core.models.qaconv import QAConv
from faceline_core.models.recogniser import Seen
from faceline_core.models.reranking import rerank
from faceline_core.verification.combining import ScoreStatistics
from faceline_core.verification.pairs import pairs_by

STATISTICS = ScoreStatistics(0.2, 0.3, -1.5, 0.7, 0.5, 0.5, 0.9)


def faces(count, visibility, seed=0):
    torch.manual_seed(seed)
    return Seen(
        F.normalize(torch.randn(count, 6), dim=1),
        torch.ones(count, 1),
        F.normalize(torch.randn(count, 8, 3, 3), dim=1),
        torch.rand(count, 1, 3, 3) if visibility else None,
    )


@pytest.fixture
def matcher():
    torch.manual_seed(1)
    matcher = QAConv(8, 3, 3)
    for parameter in matcher.parameters():
        torch.nn.init.normal_(parameter)
    return matcher.eval()


def local_slow(matcher, a, i, b, j):
    shown = (None, None) if a.visibility is None else (a.visibility[i : i + 1], b.visibility[j : j + 1])
    return matcher(a.maps[i : i + 1], b.maps[j : j + 1], *shown).item()


@pytest.mark.parametrize("visibility", [False, True])
@pytest.mark.parametrize("top", [0, 1, 4, 9, 50])
def test_the_best_are_ranked_anew_and_no_other_is_matched(matcher, visibility, top):
    probes, gallery = faces(5, visibility), faces(9, visibility, seed=2)
    matched = []
    matcher.register_forward_hook(lambda _module, _given, scores: matched.append(scores.numel()))
    found = rerank(matcher, probes, gallery, STATISTICS, top)
    assert sum(matched) == 5 * min(top, 9)
    changed = 0
    for probe in range(5):
        cosine = [float(probes.unit[probe] @ unit) for unit in gallery.unit]
        by_embedding = sorted(range(9), key=lambda face: -cosine[face])
        score = {
            face: STATISTICS.combined(
                np.float64(cosine[face]), np.float64(local_slow(matcher, probes, probe, gallery, face))
            )
            for face in by_embedding[:top]
        }
        expected = sorted(by_embedding[:top], key=lambda face: -score[face]) + by_embedding[top:]
        assert found[probe].tolist() == expected
        changed += expected != by_embedding
    assert (changed > 0) == (top > 1), "or it shows little"


def test_equal_faces_keep_the_order_of_the_gallery(matcher):
    one = faces(1, False)
    same = Seen(*(None if part is None else part.expand(4, *part.shape[1:]) for part in one))
    assert rerank(matcher, one, same, STATISTICS, 3).tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("visibility", [False, True])
def test_local_scores_of_all_pairs(matcher, monkeypatch, visibility):
    monkeypatch.setattr("faceline_core.models.local_block._COLUMNS", 3)
    monkeypatch.setattr("faceline_core.verification.pairs._ROWS", 4)
    seen = faces(11, visibility)
    who = [0, 1, 1, 0, 2, 2, 2, 1, 0, 2, 0]
    sources = [str(face // 2) for face in range(11)]
    pairs = pairs_by(local_block(matcher, seen._replace(maps=seen.maps.half())), who, sources)
    expected = [(a, b) for a in range(11) for b in range(a + 1, 11) if who[a] != who[b] or sources[a] != sources[b]]
    assert sorted(map(tuple, pairs.faces.tolist())) == expected
    assert np.array_equal(np.array(who)[pairs.faces], pairs.people)
    same = pairs.people[:, 0] == pairs.people[:, 1]
    assert np.array_equal(same, np.arange(len(same)) < len(pairs.genuine))
    for score, (a, b) in zip(pairs.scores, pairs.faces.tolist(), strict=True):
        assert score == pytest.approx(local_slow(matcher, seen, a, seen, b), abs=5e-3)
    kept = np.random.default_rng(0).random(len(same)) < 0.5
    some = pairs.among(kept)
    assert np.array_equal(some.scores, pairs.scores[kept])
    assert np.array_equal(some.people, pairs.people[kept])
    assert np.array_equal(some.faces, pairs.faces[kept])
    assert np.array_equal(pairs.scored(-pairs.genuine, -pairs.impostor).scores, -pairs.scores)
