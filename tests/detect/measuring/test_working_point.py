"""Who finds whom at the working threshold, and which threshold is best."""

from collections.abc import Callable

import numpy as np
import pytest

from faceline_core.faces import Face
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.measuring.working_point import BELOW, LEFT_OUT, NO_FACE, at_threshold, best_f1, outcomes

Crowd = tuple[list[Annotation], list[list[Face]]]

ONE, TWO, SHIFTED, AWAY = [0, 0, 19, 19], [30, 0, 49, 19], [4, 0, 23, 19], [0, 60, 19, 79]  # SHIFTED: 2/3 over ONE


@pytest.mark.parametrize(
    ("faces", "ignore", "boxes", "found", "unfound"),
    [
        ([ONE, TWO], [], [(TWO, 0.6), (ONE, 0.9)], [1, 0], []),
        ([ONE, TWO], [], [(ONE, 0.9), (AWAY, 0.8)], [0, NO_FACE], [1]),
        ([ONE], [], [(SHIFTED, 0.8), (ONE, 0.9)], [NO_FACE, 0], []),  # the second on a face is wrong
        ([ONE], [], [(SHIFTED, 0.9), (ONE, 0.8)], [0, NO_FACE], []),  # by score, not by overlap
        ([ONE], [], [(ONE, 0.8), (ONE, 0.8)], [0, NO_FACE], []),  # of equals the first
        ([ONE, SHIFTED], [], [(ONE, 0.9), (ONE, 0.8)], [0, 1], []),  # which is free, though the other is nearer
        ([ONE], [0], [(ONE, 0.9), (SHIFTED, 0.8), (AWAY, 0.7)], [LEFT_OUT, LEFT_OUT, NO_FACE], []),
        ([ONE, SHIFTED], [0], [(ONE, 0.9), (ONE, 0.8)], [1, LEFT_OUT], []),  # one that counts before one that does not
        ([ONE, TWO], [], [(ONE, 0.5), (TWO, 0.4999)], [0, BELOW], [1]),
        ([], [], [(ONE, 0.9)], [NO_FACE], []),
        ([ONE], [], [], [], [0]),
    ],
)
def test_by_hand(
    faces: list[list[int]],
    ignore: list[int],
    boxes: list[tuple[list[int], float]],
    found: list[int],
    unfound: list[int],
    picture_of: Callable[..., Annotation],
    face_of: Callable[..., Face],
) -> None:
    """Also where another picture with the same stands before and after."""
    picture, made = picture_of(*faces, ignore=ignore), [face_of(*each) for each in boxes]
    for outcome in at_threshold(outcomes([made] * 3, [picture] * 3, [~picture.ignore] * 3), [made] * 3, 0.5):
        assert outcome.face.tolist() == found
        assert np.flatnonzero(outcome.unfound).tolist() == unfound
        assert outcome.right + outcome.missed == len(faces) - len(ignore)
        assert (outcome.wrong, outcome.missed) == (found.count(NO_FACE), len(unfound))


def plainly(found: list[Face], picture: Annotation, counted: np.ndarray) -> list[int]:
    """Box by box, every face looked at."""
    made, free = [NO_FACE] * len(found), set(np.flatnonzero(counted).tolist())
    for place in sorted(range(len(found)), key=lambda at: (-found[at].score, at)):
        box = found[place].box.astype(float)
        overlaps = {}
        for face, true in enumerate(picture.boxes):
            wide, high = np.clip(np.minimum(box[2:], true[2:]) - np.maximum(box[:2], true[:2]) + 1, 0, None)
            areas = [np.prod(each[2:] - each[:2] + 1) for each in (box, true)]
            overlaps[face] = wide * high / (sum(areas) - wide * high)
        near = [face for face in overlaps if overlaps[face] >= 0.5]
        best = max((face for face in near if face in free), key=lambda face: overlaps[face], default=None)
        if best is not None:
            made[place] = best
            free.remove(best)
        elif any(not counted[face] for face in near):
            made[place] = LEFT_OUT
    return made


@pytest.fixture(scope="module")
def crowd(picture_of: Callable[..., Annotation], face_of: Callable[..., Face]) -> Crowd:
    """Faces and boxes that overlap each other, of four scores; pictures with no face, or no box."""
    rng = np.random.default_rng(0)
    pictures, found = [], []
    for _ in range(30):
        corners = rng.integers(0, 30, (rng.integers(0, 8), 2))
        pictures.append(picture_of(*np.hstack([corners, corners + 20]), ignore=rng.integers(0, 8, 2).tolist()))
        corners = rng.integers(0, 30, (rng.integers(0, 12), 2))
        scores = rng.integers(5, 9, len(corners)) / 10
        found.append([face_of([*xy, *(xy + 20)], float(score)) for xy, score in zip(corners, scores, strict=True)])
    return pictures, found


def test_as_plainly(crowd: Crowd) -> None:
    pictures, found = crowd
    counted = [~picture.ignore for picture in pictures]
    made = at_threshold(outcomes(found, pictures, counted), found, 0.5)
    expected = [plainly(*each) for each in zip(found, pictures, counted, strict=True)]
    assert [outcome.face.tolist() for outcome in made] == expected
    assert {NO_FACE, LEFT_OUT, 0, 1, 2, 3} <= {place for places in expected for place in places}
    for outcome, places, mark in zip(made, expected, counted, strict=True):
        assert np.flatnonzero(outcome.unfound).tolist() == sorted(set(np.flatnonzero(mark).tolist()) - set(places))


def plain_f1(found: list[list[Face]], pictures: list[Annotation], confidence: float) -> float | None:
    """Boxes under the threshold are thrown away, and what is left is shared out from the start."""
    right, wrong, faces = 0, 0, 0
    for made, picture in zip(found, pictures, strict=True):
        places = plainly([face for face in made if face.score >= confidence], picture, ~picture.ignore)
        right, wrong = right + sum(place >= 0 for place in places), wrong + places.count(NO_FACE)
        faces += int((~picture.ignore).sum())
    return 2 * right / (right + wrong + faces) if right + wrong + faces else None


def test_best_f1_as_plainly(crowd: Crowd) -> None:
    """On choices of the pictures, with scores that tie and scores that do not, each threshold tried by itself."""
    rng = np.random.default_rng(1)
    seen = []
    for number in range(40):
        some = rng.permutation(30)[: rng.integers(1, 6)]
        pictures = [crowd[0][place] for place in some]
        found = [
            [Face(each.box, None, each.score if number % 2 else rng.random()) for each in crowd[1][place]]
            for place in some
        ]
        scores = sorted({face.score for faces in found for face in faces}, reverse=True)
        tried = {score: plain_f1(found, pictures, score) for score in [2.0, *scores]}
        highest = max((f1 for f1 in tried.values() if f1 is not None), default=None)
        at = next(score for score, f1 in tried.items() if f1 == highest) if highest else None
        made = outcomes(found, pictures, [~picture.ignore for picture in pictures])
        assert best_f1(made, found) == (highest, at)
        seen.append(at is not None and scores.index(at) not in (0, len(scores) - 1))
    assert sum(seen) > 5, "the best threshold is neither the highest score nor the lowest"


@pytest.mark.parametrize(
    ("faces", "ignore", "boxes", "expected"),
    [
        ([], [], [], (None, None)),
        ([ONE], [], [], (0.0, None)),
        ([ONE], [], [(AWAY, 0.9)], (0.0, None)),
        ([], [], [(AWAY, 0.9)], (0.0, None)),
        ([ONE], [0], [(ONE, 0.9)], (None, None)),
        ([ONE, TWO], [], [(ONE, 0.9), (AWAY, 0.3), (TWO, 0.2), (AWAY, 0.1)], (4 / 5, 0.2)),
        ([ONE, TWO], [1], [(ONE, 0.9), (TWO, 0.3)], (1.0, 0.9)),  # of several the highest
        ([ONE], [], [(ONE, 0.7), (AWAY, 0.7)], (2 / 3, 0.7)),  # none of equals without the other
    ],
)
def test_best_f1_by_hand(
    faces: list[list[int]],
    ignore: list[int],
    boxes: list[tuple[list[int], float]],
    expected: tuple[float | None, float | None],
    picture_of: Callable[..., Annotation],
    face_of: Callable[..., Face],
) -> None:
    picture, found = picture_of(*faces, ignore=ignore), [[face_of(*each) for each in boxes]]
    assert best_f1(outcomes(found, [picture], [~picture.ignore]), found) == expected
