"""Scores of pairs, in blocks of faces, against one pair at a time."""

import numpy as np
import pytest
import torch

from faceline_core.models.pair_scores import score_pairs
from faceline_core.models.recogniser import Parts, Recogniser


@pytest.mark.parametrize("parts", [Parts(), Parts(matcher=True), Parts(matcher=True, occlusion_head=True)])
@pytest.mark.parametrize("held", [2, 5, 100])
def test_blocks_change_nothing(parts, held):
    torch.manual_seed(0)
    recogniser = Recogniser("ir_18", 32, ["a", "b"], parts=parts).eval()
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (9, 32, 32, 3), np.uint8)
    first, second = rng.integers(0, 9, 15), rng.integers(0, 9, 15)
    asked: list[int] = []

    def face(index):
        asked.append(index)
        return faces[index]

    found = score_pairs(recogniser, face, first, second, held=held)
    assert (found.local is None) == (not parts.matcher)
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        images = torch.from_numpy(faces[[a, b]]).permute(0, 3, 1, 2)
        with torch.no_grad():
            unit, _ = recogniser.embed(images)
            assert found.embedding[number] == pytest.approx(float(unit[0] @ unit[1]), abs=1e-5)
            if parts.matcher:
                seen = recogniser.see(images)
                visibility = (None, None) if seen.visibility is None else (seen.visibility[:1], seen.visibility[1:])
                score = recogniser.matcher(seen.maps[:1], seen.maps[1:], *visibility)
                assert found.local[number] == pytest.approx(float(score), abs=1e-4)
    if held == 100:
        assert sorted(asked) == sorted(set(first) | set(second))  # each face is looked at once
