"""The figures of a detector: by hand, on sets with nothing in them, and their intervals."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceline_core.errors import FacelineError
from faceline_core.faces import Face
from faceline_core.parameters.detection import DetectTest
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.average_precision import evaluate
from faceline_detect.measuring import gains, measure
from faceline_detect.measuring.measure import HEIGHT_BINS
from faceline_detect.measuring.resampling import draw_pictures

Scenes = tuple[list[Annotation], list[list[Face]]]

TALL, MIDDLE, SMALL, TINY = [0, 0, 60, 100], [100, 0, 130, 40], [200, 0, 212, 14], [300, 0, 305, 8]
AWAY = [400, 400, 440, 440]


@pytest.fixture(scope="module")
def scenes(picture_of: Callable[..., Annotation], face_of: Callable[..., Face]) -> Scenes:
    """Three pictures: one with faces of four sizes, one with a face to ignore, one without any."""
    pictures = [picture_of(TALL, MIDDLE, SMALL, TINY), picture_of(MIDDLE, TALL, ignore=[1]), picture_of()]
    found = [
        [face_of(TALL, 0.9, off=2.4), face_of(MIDDLE, 0.8, off=2.4), face_of(TINY, 0.7, off=0), face_of(AWAY, 0.6)],
        [face_of(MIDDLE, 0.4, off=0), face_of(TALL, 0.95, off=9)],
        [face_of(AWAY, 0.5)],
    ]
    return pictures, found


def test_by_hand(scenes: Scenes, settings_with: Callable[..., DetectTest]) -> None:
    pictures, found = scenes
    measured = measure(found, pictures, settings_with(0.5), seed=0)
    figures = measured.figures
    assert (figures["pictures"], figures["faces"], figures["working_confidence"]) == (3, 4, 0.5)
    assert [figures[f"faces_{level}"] for level in ("easy", "medium", "hard")] == [1, 3, 4]
    assert (figures["missed"], figures["wrong"]) == (2, 2)  # SMALL and the second MIDDLE; AWAY twice
    assert (figures["precision"], figures["recall"], figures["f1"]) == (2 / 4, 2 / 4, 4 / 8)
    # of scores from 0.4 on 3 faces for 2 wrong boxes, from 0.8 on 2 faces for none: of equals the higher
    assert (figures["best_f1"], figures["best_f1_confidence"]) == (2 * 2 / (2 + 4), 0.8)
    assert not any(name.startswith("best_f1") for name in measured.resampled), "no interval is claimed for it"
    assert [name for name in figures if name.startswith("best_f1")] == ["best_f1", "best_f1_confidence"]
    assert figures["recall_by_height"] == {
        "under_16": {"faces": 1, "recall": 0.0},
        "16_32": {"faces": 0, "recall": None},
        "32_64": {"faces": 2, "recall": 0.5},
        "64_128": {"faces": 1, "recall": 1.0},
        "from_128": {"faces": 0, "recall": None},
    }
    assert figures["nme_faces"] == 2  # of those found, at 2.4 px over eyes that are 24 and 12 px apart
    assert figures["nme"] == pytest.approx((2.4 / 24 + 2.4 / 12) / 2)
    assert figures["ap_easy"] == 1.0  # boxes on smaller faces leave the count, and those on none score lower
    assert figures["ap_medium"] == pytest.approx((1 + 1 + 3 / 5) / 3)  # the last is below two on nothing
    assert figures["ap_hard"] == pytest.approx((1 + 1 + 3 / 5) / 4)
    json.dumps(figures, allow_nan=False)


def test_bins_hold_each_face_once(picture_of: Callable[..., Annotation], settings_with: Callable[..., DetectTest]):
    heights = [10, 15.9, 16, 31.9, 32, 64, 127.9, 128, 900]
    picture = picture_of(*([1000 * at, 0, 1000 * at + 20, height] for at, height in enumerate(heights)))
    bins = measure([[]], [picture], settings_with(), seed=0).figures["recall_by_height"]
    assert [bins[name]["faces"] for name in HEIGHT_BINS] == [2, 2, 1, 2, 2]


def test_average_precision_is_that_of_the_protocol(scenes: Scenes, settings_with: Callable[..., DetectTest]) -> None:
    """Of which a picture without a face is part, as in WIDER FACE's lists, with a box of zeros."""
    pictures, found = scenes
    boxes = [[[*face.box.tolist(), face.score] for face in faces] for faces in found]
    truths = [picture.boxes if len(picture.boxes) else [[0, 0, 0, 0]] for picture in pictures]
    counted = [[True, True, False, False], [True, False], [False]]
    measured = measure(found, pictures, settings_with(), seed=0)
    area, curve = evaluate(boxes, truths, counted)
    assert measured.figures["ap_medium"] == area
    assert np.array_equal(measured.curves["medium"].precision, curve.precision)
    without = measure(found[:2], pictures[:2], settings_with(), seed=0)
    assert without.figures["ap_medium"] > area


def test_nothing_to_say(
    picture_of: Callable[..., Annotation], face_of: Callable[..., Face], settings_with: Callable[..., DetectTest]
) -> None:
    for pictures, found in (
        ([], []),
        ([picture_of()], [[]]),
        ([picture_of(TALL, ignore=[0])], [[face_of(TALL, 0.9)]]),
    ):
        measured = measure(found, pictures, settings_with(), seed=0)
        figures = json.loads(json.dumps(measured.figures, allow_nan=False))
        assert all(figures[name] is None for name in ("ap_easy", "ap_hard", "recall", "precision", "f1", "nme"))
        assert figures["recall_low"] is None
        assert (figures["best_f1"], figures["best_f1_confidence"]) == (None, None)
        assert gains(measured, measured)["ap_easy"] == {"difference": None, "low": None, "high": None}
    blind = measure([[]], [picture_of(TALL)], settings_with(), seed=0).figures
    assert (blind["ap_easy"], blind["recall"], blind["precision"], blind["f1"]) == (0.0, 0.0, None, 0.0)
    assert (blind["best_f1"], blind["best_f1_confidence"]) == (0.0, None)


def test_landmarks_that_say_nothing(
    picture_of: Callable[..., Annotation], face_of: Callable[..., Face], settings_with: Callable[..., DetectTest]
) -> None:
    """One whose landmarks are not all known, one found without, one with both eyes in one place."""
    picture = picture_of(TALL, MIDDLE, [500, 0, 560, 100])
    picture.landmarks[0, 4] = np.nan
    picture.landmarks[2, 1] = picture.landmarks[2, 0]
    found = [face_of(TALL, 0.9, off=1), face_of(MIDDLE, 0.9), face_of([500, 0, 560, 100], 0.9, off=1)]
    figures = measure([found], [picture], settings_with(), seed=0).figures
    assert (figures["nme"], figures["nme_faces"], figures["recall"]) == (None, 0, 1.0)


@pytest.fixture(scope="module")
def many(picture_of: Callable[..., Annotation], face_of: Callable[..., Face]) -> Scenes:
    rng = np.random.default_rng(4)
    pictures, found = [], []
    for _ in range(60):
        boxes = [[80 * at, 0, 80 * at + 40, int(rng.integers(12, 90))] for at in range(rng.integers(0, 5))]
        pictures.append(picture_of(*boxes))
        faces = [face_of(box, float(rng.uniform(0.4, 1)), off=rng.normal()) for box in boxes if rng.random() < 0.8]
        found.append([*faces, *[face_of(AWAY, float(rng.uniform(0.2, 0.8)))] * int(rng.random() < 0.4)])
    return pictures, found


def test_intervals_are_of_resampled_pictures(many: Scenes, settings_with: Callable[..., DetectTest]) -> None:
    """A resample's figures are those of its pictures, measured on their own; bounds are their quantiles."""
    pictures, found = many
    measured = measure(found, pictures, settings_with(), seed=3, resamples=40)
    draws = draw_pictures(len(pictures), 40, seed=3)
    assert draws.sum(axis=1).tolist() == [60] * 40
    for number in range(4):
        places = np.repeat(np.arange(60), draws[number])
        alone = measure([found[at] for at in places], [pictures[at] for at in places], settings_with(), 0, resamples=0)
        for name in ("precision", "recall", "f1", "nme"):
            assert measured.resampled[name][number] == pytest.approx(alone.figures[name])
    for name, values in measured.resampled.items():
        bounds = np.quantile(values, [0.025, 0.975])
        assert [measured.figures[f"{name}_low"], measured.figures[f"{name}_high"]] == pytest.approx(bounds)
        assert bounds[0] < measured.figures[name] < bounds[1]


def test_the_same_seed_the_same_figures(many: Scenes, settings_with: Callable[..., DetectTest]) -> None:
    pictures, found = many
    shuffled = [faces[::-1] for faces in found]
    first = measure(found, pictures, settings_with(), seed=1).figures
    assert first == measure(shuffled, pictures, settings_with(), seed=1).figures
    assert first["nme_low"] != measure(found, pictures, settings_with(), seed=2).figures["nme_low"]
    without = measure(found, pictures, settings_with(), seed=1, resamples=0).figures
    assert without["recall"] == first["recall"]
    assert without["recall_low"] is None


def test_the_best_threshold_is_one_to_set(many: Scenes, settings_with: Callable[..., DetectTest]) -> None:
    """As the working threshold it gives that F1, and others give no more; its own does not change it."""
    pictures, found = many
    best = measure(found, pictures, settings_with(0.9), seed=1, resamples=0).figures
    at = best["best_f1_confidence"]
    for threshold in (0.0, 0.3, 0.6, at, 0.9):
        figures = measure(found, pictures, settings_with(threshold), seed=1, resamples=0).figures
        assert (figures["best_f1"], figures["best_f1_confidence"]) == (best["best_f1"], at)
        assert figures["f1"] == best["best_f1"] if threshold == at else figures["f1"] < best["best_f1"]


def test_gains(many: Scenes, settings_with: Callable[..., DetectTest]) -> None:
    """A detector that finds a little more than another, on the same pictures: the interval of the difference is
    narrower than theirs, and above 0."""
    pictures, found = many
    fewer = [faces[1:] if number % 6 == 0 else faces for number, faces in enumerate(found)]
    before, after = (measure(each, pictures, settings_with(), seed=1) for each in (fewer, found))
    gain = gains(before, after)["recall"]
    assert gain["difference"] == after.figures["recall"] - before.figures["recall"]
    assert 0 < gain["low"] < gain["difference"] < gain["high"]
    assert gain["high"] - gain["low"] < after.figures["recall_high"] - after.figures["recall_low"]


def test_what_was_found_must_fit(scenes: Scenes, settings_with: Callable[..., DetectTest]) -> None:
    pictures, found = scenes
    with pytest.raises(ValueError, match="3 pictures, but what was found is of 2"):
        measure(found[:2], pictures, settings_with(), seed=0)


def test_lists_decide_where_they_are_given(
    scenes: Scenes, settings_with: Callable[..., DetectTest], tmp_path: Path
) -> None:
    pictures, found = scenes
    with pytest.raises(FacelineError, match=r"wider_easy_val\.mat is not there"):
        measure(found, pictures, settings_with(official_lists=tmp_path), seed=0)
    none = {level: [np.zeros(len(picture.boxes), bool) for picture in pictures] for level in ("easy", "medium", "hard")}
    figures = measure(found, pictures, settings_with(), seed=0, counted=none).figures
    assert (figures["faces"], figures["ap_hard"], figures["wrong"]) == (0, None, 2)
