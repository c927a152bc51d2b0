"""One detector, measured on labelled pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_core.parameters.detection import DetectTest
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.average_precision import Curve, match
from faceline_detect.measuring.counting import Counted, asked_for
from faceline_detect.measuring.landmark_error import landmark_errors
from faceline_detect.measuring.resampling import draw_pictures, drawn_shares, interval, share
from faceline_detect.measuring.working_point import Outcome, at_threshold, best_f1, box_rows, outcomes

HEIGHT_BINS = {"under_16": 0, "16_32": 16, "32_64": 32, "64_128": 64, "from_128": 128}
"""px from which a face is in it; up to the next."""
_WIDEST = "hard"
"""The level that holds the others: what it counts is what is to be found at the working threshold."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What a detector is worth on some pictures.

    Attributes:
        figures: plain numbers for metrics.json; docs/detect.md says what each is.
        curves: precision and recall over the threshold for easy, medium and hard.
        outcomes: of each picture at the working threshold.
        resampled: of each figure that has an interval (R,) its values in resamples of the pictures.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    resampled: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, name: str, value: float | None, resampled: NDArray[np.float64]) -> None:
        """A figure, and its interval."""
        low, high = (None, None) if value is None else interval(resampled)
        self.figures.update({name: value, f"{name}_low": low, f"{name}_high": high})
        self.resampled[name] = resampled


def measure(
    found: Sequence[Sequence[Face]],
    pictures: Sequence[Annotation],
    test: DetectTest,
    seed: int,
    counted: Counted | None = None,
    resamples: int = 200,
) -> Measured:
    """Average precision as WIDER FACE defines it; precision, recall, F1, recall by height and landmark error at the
    working threshold, with intervals (95 %) of resampled pictures. The highest F1 over all thresholds, without one.

    At the working threshold the faces that count as hard are to be found, and boxes on others leave the count.

    Args:
        found: for each picture what the detector found, in any order, scores from `test.confidence`.
        pictures: labelled, in the same order.
        test: of it `working_confidence` and `official_lists`.
        seed: of the resamples.
        counted: the faces that count, of `asked_for`, whose pictures are then those to give: lists are read once for
            several detectors. None asks by `test.official_lists`.
        resamples: 0 leaves intervals out.

    Returns:
        A figure is None where there is nothing that it could be of, as the average precision where no face counts.

    Raises:
        FacelineError: where the official lists do not fit the pictures.
        ValueError: where pictures and what was found there differ in number, or a box or score is NaN.
    """
    if len(found) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures, but what was found is of {len(found)}")
    if counted is None:
        pictures, counted = asked_for(pictures, test.official_lists)
    to_find = counted[_WIDEST]
    draws = draw_pictures(len(pictures), resamples, seed)
    made = outcomes(found, pictures, to_find)
    measured = Measured(outcomes=at_threshold(made, found, test.working_confidence))
    measured.figures.update({"pictures": len(pictures), "faces": _number(to_find)})
    _add_average_precision(measured, found, pictures, counted, draws)
    measured.figures["working_confidence"] = test.working_confidence
    _add_shares(measured, draws)
    measured.figures.update(zip(("best_f1", "best_f1_confidence"), best_f1(made, found), strict=True))
    measured.figures["recall_by_height"] = _recall_by_height(pictures, to_find, measured.outcomes)
    _add_landmark_error(measured, found, pictures, draws)
    return measured


def gains(before: Measured, after: Measured) -> dict[str, dict[str, float | None]]:
    """What one detector has over another, measured on the same pictures with the same seed: the difference of each
    figure that has an interval, and the interval of that difference, which says more than two that overlap."""
    found: dict[str, dict[str, float | None]] = {}
    for name, values in after.resampled.items():
        one, other = before.figures[name], after.figures[name]
        known = one is not None and other is not None
        low, high = interval(values - before.resampled[name]) if known else (None, None)
        found[name] = {"difference": other - one if known else None, "low": low, "high": high}
    return found


def _add_average_precision(
    measured: Measured,
    found: Sequence[Sequence[Face]],
    pictures: Sequence[Annotation],
    counted: Counted,
    draws: NDArray[np.int64],
) -> None:
    """Average precision leaves pictures without a labelled box out. Here they have one of zeros that does not count, as
    in WIDER FACE's own lists, so that what is found there is wrong."""
    truths = [picture.boxes if len(picture.boxes) else np.zeros((1, 4)) for picture in pictures]
    matched = match([box_rows(faces) for faces in found], truths)
    for level, of_pictures in counted.items():
        marks = [mark if len(mark) else np.zeros(1, bool) for mark in of_pictures]
        faces = _number(marks)
        area, measured.curves[level] = matched.evaluate(marks)
        measured.figures[f"faces_{level}"] = faces
        measured.add(f"ap_{level}", area if faces else None, matched.resampled(marks, draws))


def _add_shares(measured: Measured, draws: NDArray[np.int64]) -> None:
    counts = np.array([(o.right, o.wrong, o.missed) for o in measured.outcomes], np.int64).reshape(-1, 3)
    right, wrong, missed = counts.T
    for name, part, whole in (
        ("precision", right, right + wrong),
        ("recall", right, right + missed),
        ("f1", 2 * right, 2 * right + wrong + missed),
    ):
        measured.add(name, share(part, whole), drawn_shares(part, whole, draws))
    measured.figures.update({"missed": int(missed.sum()), "wrong": int(wrong.sum())})


def _recall_by_height(
    pictures: Sequence[Annotation], to_find: Sequence[NDArray[np.bool_]], made: Sequence[Outcome]
) -> dict[str, dict[str, Any]]:
    counts = np.concatenate([*to_find, np.empty(0, bool)])
    heights = np.concatenate([*(picture.heights for picture in pictures), np.empty(0)])[counts]
    hit = ~np.concatenate([*(outcome.unfound for outcome in made), np.empty(0, bool)])[counts]
    bins = np.digitize(heights, list(HEIGHT_BINS.values())) - 1
    shares = {}
    for number, name in enumerate(HEIGHT_BINS):
        within = hit[bins == number]
        shares[name] = {"faces": len(within), "recall": float(within.mean()) if len(within) else None}
    return shares


def _add_landmark_error(
    measured: Measured, found: Sequence[Sequence[Face]], pictures: Sequence[Annotation], draws: NDArray[np.int64]
) -> None:
    errors = [landmark_errors(*each) for each in zip(found, pictures, measured.outcomes, strict=True)]
    total, many = np.array([each.sum() for each in errors]), np.array([len(each) for each in errors], np.int64)
    measured.add("nme", share(total, many), drawn_shares(total, many, draws))
    measured.figures["nme_faces"] = int(many.sum())


def _number(marks: Sequence[NDArray[np.bool_]]) -> int:
    return int(sum(mark.sum() for mark in marks))
