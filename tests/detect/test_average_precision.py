"""Average precision: against the protocol written plainly, figures by hand, and what may come in."""

from collections.abc import Callable

import numpy as np
import pytest

from faceline_detect.average_precision import area_under_envelope, evaluate, match

Images = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    wide, high = np.minimum(one[2:4], other[2:4]) - np.maximum(one[:2], other[:2]) + 1
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return wide * high / (areas[0] + areas[1] - wide * high) if wide > 0 and high > 0 else 0.0


def plainly(predictions: list[np.ndarray], truths: list[np.ndarray], counted: list[np.ndarray]) -> float:
    """WIDER FACE's protocol: image by image, box by box, threshold by threshold."""
    scores = np.concatenate([p[:, 4] for p in predictions])
    low, high = (scores.min(), scores.max()) if len(scores) else (0.0, 0.0)
    totals = np.zeros((1000, 2))  # boxes that count, faces found
    for image, faces, to_find in zip(predictions, truths, counted, strict=True):
        if not len(image) or not len(faces):
            continue
        boxes, counts, found, seen = sorted(image.tolist(), key=lambda box: -box[4]), [], [], set()
        for box in boxes:
            overlaps = [overlap(np.array(box), face) for face in faces]
            best = int(np.argmax(overlaps))
            if overlaps[best] >= 0.5 and to_find[best]:
                seen.add(best)
            counts.append(overlaps[best] < 0.5 or to_find[best])
            found.append(len(seen))
        stretched = np.array([(box[4] - low) / (high - low) if high > low else 1.0 for box in boxes])
        for step in range(1000):
            kept = np.flatnonzero(stretched >= 1 - (step + 1) / 1000)
            totals[step] += (sum(counts[: kept[-1] + 1]), found[kept[-1]]) if len(kept) else (0, 0)
    faces = sum(map(np.sum, counted))
    recall = totals[:, 1] / faces if faces else np.zeros(1000)
    rise, envelope = np.array([0.0, *recall, 1.0]), np.array([0.0, *totals[:, 1] / np.maximum(totals[:, 0], 1), 0.0])
    for place in range(1001, 0, -1):
        envelope[place - 1] = max(envelope[place - 1], envelope[place])
    steps = np.flatnonzero(rise[1:] != rise[:-1])
    return float(np.sum((rise[steps + 1] - rise[steps]) * envelope[steps + 1]))


def drawn(rng: np.random.Generator, images: int, whole: bool = True) -> Images:
    """Faces, some uncounted, of no size, or twice; boxes near them, the same again, and anywhere; scores with ties."""
    predictions, truths, counted = [], [], []
    for _ in range(images):
        corners, sides = rng.uniform(0, 60, (rng.integers(0, 9), 2)), rng.uniform(0, 25, (1, 2))
        faces = np.hstack([corners, corners + sides * rng.choice([0, 1, 1, 2], (len(corners), 1))])
        faces = np.vstack([faces, faces[:1]])  # one twice: a box overlaps both alike
        again = faces[rng.integers(0, max(1, len(faces)), 2 * len(faces))] if len(faces) else faces
        others = rng.uniform(0, 60, (rng.integers(0, 6), 2))
        boxes = np.vstack([again + rng.normal(0, 2, again.shape), np.hstack([others, others + 12]), faces[:1]])
        boxes = boxes[: rng.integers(0, len(boxes) + 1)]
        faces, boxes = (faces.round(), boxes.round()) if whole else (faces, boxes)
        scores = rng.choice([rng.random(len(boxes)), rng.integers(0, 4, len(boxes)) / 4])
        predictions.append(np.hstack([boxes, scores[:, None]]))
        truths.append(faces)
        counted.append(rng.random(len(faces)) < rng.choice([0.0, 0.7, 1.0]))
    return predictions, truths, counted


@pytest.mark.parametrize("seed", range(12))
def test_the_protocol_bit_for_bit(seed: int) -> None:
    images = drawn(np.random.default_rng(seed), images=int(np.array([1, 3, 12, 25])[seed % 4]), whole=seed < 8)
    assert evaluate(*images)[0] == plainly(*images)


def changed(kind: str, images: Images) -> Images:
    predictions, truths, counted = images
    if kind == "all scores equal":
        predictions = [np.hstack([p[:, :4], np.full((len(p), 1), 0.3)]) for p in predictions]
    elif kind == "nothing predicted":
        predictions = [p[:0] for p in predictions]
    elif kind == "nothing to find":
        counted = [np.zeros(len(c), bool) for c in counted]
    elif kind == "no truths":
        truths, counted = [t[:0] for t in truths], [c[:0] for c in counted]
    elif kind == "one box":
        predictions = [predictions[0][:1], *[p[:0] for p in predictions[1:]]]
    elif kind == "scores of any range":
        predictions = [p * [1, 1, 1, 1, 40] - [0, 0, 0, 0, 30] for p in predictions]
    elif kind == "far away":
        predictions = [np.vstack([p, [1e9, -1e9, 2e9, 3e9, 0.7], [-1e12, -1e12, 1e12, 1e12, 0.8]]) for p in predictions]
    elif kind == "turned inside out":
        predictions = [np.vstack([p, p[:, [2, 3, 0, 1, 4]]]) for p in predictions]
    elif kind == "faces of negative width":
        truths = [np.where(np.arange(len(t))[:, None] % 3 == 0, t[:, [2, 1, 0, 3]], t) for t in truths]
        predictions = [np.vstack([p, np.c_[t, np.full(len(t), 0.6)]]) for p, t in zip(predictions, truths, strict=True)]
    return predictions, truths, counted


KINDS = ("all scores equal", "nothing predicted", "nothing to find", "no truths", "one box", "scores of any range")


@pytest.mark.parametrize("kind", [*KINDS, "far away", "turned inside out", "faces of negative width"])
def test_odd_sets(kind: str) -> None:
    images = changed(kind, drawn(np.random.default_rng(3), images=10))
    with np.errstate(all="raise"):
        ap, curve = evaluate(*images)
    assert ap == plainly(*images)
    assert np.isfinite([curve.precision, curve.recall]).all()
    if kind in ("nothing predicted", "nothing to find", "no truths"):
        assert ap == 0.0


def test_a_face_of_negative_width_is_never_found() -> None:
    turned = [1026, 474, 1024, 497]
    for box in (turned, [1024, 474, 1026, 497], [1020, 470, 1030, 500]):
        assert evaluate([[[*box, 0.9]]], [[turned]], [[True]])[0] == 0.0
        ap, curve = evaluate([[[*box, 0.9], [*FACE, 1.0]]], [[turned, FACE]], [[True, True]])
        assert (ap, curve.recall[-1], curve.precision[-1]) == (0.5, 0.5, 0.5)


def test_no_images() -> None:
    assert evaluate([], [], [])[0] == 0.0


def test_order_of_boxes_does_not_matter() -> None:
    predictions, truths, counted = drawn(np.random.default_rng(5), images=20)
    shuffled = [np.random.default_rng(0).permutation(p) for p in predictions]
    assert evaluate(shuffled, truths, counted)[0] == evaluate(predictions, truths, counted)[0]


FACE, TWIN, ELSEWHERE = [10, 10, 29, 29], [50, 10, 69, 29], [80, 80, 99, 99]


@pytest.mark.parametrize(
    ("boxes", "counted", "ap"),
    [
        ([[*FACE, 0.9], [*TWIN, 0.8]], [True, True], 1.0),
        ([[*FACE, 0.9], [*FACE, 0.85], [*TWIN, 0.8]], [True, True], 0.5 + 0.5 * 2 / 3),  # a second match is wrong
        ([[*FACE, 0.9], [*FACE, 0.85], [*TWIN, 0.8]], [False, True], 1.0),  # on a face that does not count it is not
        ([[*ELSEWHERE, 0.9], [*FACE, 0.8]], [True, True], 0.25),
        ([[10, 10, 29, 18, 0.9]], [True, False], 0.0),  # 9 of 20 rows
        ([[10, 10, 29, 19, 0.9]], [True, False], 1.0),  # 10 of 20: just enough, of 19 and 9 it would not be
    ],
)
def test_by_hand(boxes: list[list[float]], counted: list[bool], ap: float) -> None:
    assert evaluate([boxes], [[FACE, TWIN]], [counted])[0] == pytest.approx(ap)


def test_the_curve_is_that_of_the_scores() -> None:
    """One box of each score, every second right: at a threshold all with that score or more count."""
    scores = np.linspace(2.0, 6.0, 21)
    left = 100.0 * np.arange(21)
    boxes = np.stack([left, np.zeros(21), left + 9, np.full(21, 9.0), scores], axis=1)
    right = np.arange(21) % 2 == 0
    ap, curve = evaluate([boxes], [boxes[right, :4]], [np.ones(right.sum(), bool)])
    for threshold, precision, recall in list(zip(curve.scores + 1e-9, curve.precision, curve.recall, strict=True))[
        ::50
    ]:
        kept = scores >= threshold - 2e-9
        assert recall == pytest.approx((kept & right).sum() / right.sum())
        assert precision == pytest.approx((kept & right).sum() / kept.sum() if kept.any() else 1)
    assert ap == area_under_envelope(curve.precision, curve.recall)


def test_resampled_as_sets_of_their_own() -> None:
    """A draw's average precision is that of its images, an image drawn twice being there twice."""
    predictions, truths, counted = drawn(np.random.default_rng(8), images=30)
    ends = np.array([[200, 200, 210, 210, 0.0], [200, 200, 210, 210, 1.0]])  # so each choice is stretched alike
    predictions = [np.vstack([p, ends]) if not len(t) else p for p, t in zip(predictions, truths, strict=True)]
    edge = next(place for place, t in enumerate(truths) if not len(t))
    draws = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), 6)
    draws[:, edge] = np.maximum(draws[:, edge], 1)
    found = match(predictions, truths).resampled(counted, draws)
    for ap, draw in zip(found, draws, strict=True):
        places = np.repeat(np.arange(30), draw)
        assert ap == pytest.approx(
            evaluate(*([values[at] for at in places] for values in (predictions, truths, counted)))[0]
        )
    assert np.isnan(match(predictions, truths).resampled(counted, np.zeros((1, 30), int))).all()


def broken(place: int, which: int, edit: Callable[[np.ndarray], np.ndarray]) -> Images:
    images = ([np.ones((2, 5))] * 3, [np.ones((2, 4))] * 3, [np.ones(2, bool)] * 3)
    images[which][place] = edit(images[which][place].copy())
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (broken(1, 0, lambda p: np.where([0, 0, 0, 0, 1], np.nan, p)), "predictions of image 1: row 0 holds .*nan"),
        (broken(2, 0, lambda p: p * [[1], [np.inf]]), "predictions of image 2: row 1 holds .*inf"),
        (broken(0, 1, lambda t: t * np.nan), "truths of image 0: row 0"),
        (broken(2, 0, lambda p: p[:, :4]), r"predictions of image 2 must be \(N, 5\), found shape \(2, 4\)"),
        (broken(1, 2, lambda c: c[:1]), "counted of image 1 must have an entry a truth, found 1 for 2"),
        (([], [[]], [[]]), "0 images with predictions, 1 with truths"),
        (([[]], [[]], []), "1 images with truths, 0 with counted"),
    ],
)
def test_what_does_not_fit_is_named(images: Images, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(*images)
