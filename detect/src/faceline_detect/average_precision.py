"""Average precision as WIDER FACE defines it, over a whole set at once.

Source: Yang, Luo, Loy and Tang 2016, 'WIDER FACE: A Face Detection Benchmark', and the evaluation published with it:
scores are stretched to [0, 1] over the set; 1,000 thresholds; a box is taken for the face that it overlaps most, if
their intersection over union is 0.5 or more; the area under the envelope of precision over recall, as in PASCAL VOC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceline_detect.overlapping import overlapping, stacked

THRESHOLDS = 1 - np.arange(1, 1001) / 1000
"""(1000,) of stretched scores, falling from 0.999 to 0."""
_PICTURES = 1024
"""Pictures whose histograms are held at once when pictures are resampled: 16 MB."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall at each threshold.

    Attributes:
        thresholds: (1000,) THRESHOLDS; a box counts where its stretched score is at least that.
        scores: (1000,) the same as scores that were given.
        precision: (1000,) 1 where nothing is reported yet.
        recall: (1000,) rising; 0 where no face is counted.
    """

    thresholds: NDArray[np.float64]
    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def evaluate(
    predictions: Sequence[ArrayLike], truths: Sequence[ArrayLike], counted: Sequence[ArrayLike]
) -> tuple[float, Curve]:
    """Average precision of a detector on a set of images.

    A box whose best face is not counted leaves the count; a box that matches no face is wrong, and so is each further
    box on a counted face. Boxes may come in any order, and the order of equal scores changes nothing: a threshold
    keeps all of them or none.

    Two things are as published. In an image without any truth nothing is wrong: what is found there does not count
    (in WIDER FACE's own lists no image is without: one without a face has an uncounted box of no size; give that, and
    false boxes count). And scores are stretched over all predictions, those of such images too.

    Args:
        predictions: for each image (D, 5) left, top, right, bottom, score; an empty array where nothing is found.
        truths: for each image (G, 4) left, top, right, bottom of all its faces.
        counted: for each image (G,) bool, the faces to find.

    Returns:
        Average precision, and the curve that it is the area of. It is 0.0 where nothing is predicted, and where no
        face is counted, as there is nothing to find. Scores that are all equal pass every threshold.

    Raises:
        ValueError: where the three differ in length, or shapes do not fit, or a value is NaN or infinite; it names the
            image by its place in the list.
    """
    return match(predictions, truths).evaluate(counted)


def match(predictions: Sequence[ArrayLike], truths: Sequence[ArrayLike]) -> "Matched":
    """Finds each prediction's face, whichever of them are counted. Args and errors as `evaluate`."""
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} images with predictions, {len(truths)} with truths: they must be as many")
    found, faces = stacked(predictions, 5, "predictions"), stacked(truths, 4, "truths")
    scores = found.values[:, 4]
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    stretched = (scores - low) / (high - low) if high > low else np.ones_like(scores)
    return Matched(
        low=low,
        high=high,
        first=np.searchsorted(-THRESHOLDS, -stretched, "left"),
        picture=found.picture,
        truth=overlapping(found, faces).best(len(scores)),
        truths=faces.counts,
    )


@dataclass(frozen=True, eq=False)
class Matched:
    """Predictions and the faces that they are taken for.

    Attributes:
        low: the lowest score of the set.
        high: the highest.
        first: (D,) place of the first threshold that keeps each prediction.
        picture: (D,) place of its image.
        truth: (D,) the face that it overlaps most, among all images' under each other; -1 where none by 0.5.
        truths: (images,) how many faces each image has.
    """

    low: float
    high: float
    first: NDArray[np.int64]
    picture: NDArray[np.int64]
    truth: NDArray[np.int64]
    truths: NDArray[np.int64]

    def evaluate(self, counted: Sequence[ArrayLike]) -> tuple[float, Curve]:
        """As the function `evaluate`, for these faces to find."""
        kept, found, faces = self._events(counted)
        size = len(THRESHOLDS)
        reported = np.cumsum(np.bincount(self.first[kept], minlength=size))
        right = np.cumsum(np.bincount(found[found < size], minlength=size))
        precision = np.divide(right, reported, out=np.ones(size), where=reported > 0)
        recall = right / faces.sum() if faces.any() else np.zeros(size)
        curve = Curve(THRESHOLDS, self.low + THRESHOLDS * (self.high - self.low), precision, recall)
        return area_under_envelope(precision, recall), curve

    def resampled(self, counted: Sequence[ArrayLike], draws: NDArray[np.int64]) -> NDArray[np.float64]:
        """Average precision of other choices of the images; scores stay stretched over all of them.

        Args:
            counted: as `evaluate`.
            draws: (R, images) how often each image is in.

        Returns:
            (R,), NaN where no counted face is in.
        """
        kept, found, faces = self._events(counted)
        owner, hit = np.repeat(np.arange(len(self.truths)), self.truths), found < len(THRESHOLDS)
        reported = _drawn_counts(self.picture[kept], self.first[kept], draws)
        right = _drawn_counts(owner[hit], found[hit], draws)
        total = (draws @ faces)[:, None]
        precision = np.divide(right, reported, out=np.ones_like(right), where=reported > 0)
        recall = np.divide(right, total, out=np.full_like(right, np.nan), where=total > 0)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        areas: NDArray[np.float64] = (np.diff(recall, axis=1, prepend=0) * envelope).sum(axis=1)
        return areas

    def _events(self, counted: Sequence[ArrayLike]) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
        """Which predictions are counted (D,), the place of the first threshold that finds each face (G,), one past the
        last where none does or it is not counted, and how many faces to find each image has (images,)."""
        if len(counted) != len(self.truths):
            raise ValueError(f"{len(self.truths)} images with truths, {len(counted)} with counted: as many expected")
        marks = [np.asarray(mark, bool).reshape(-1) for mark in counted]
        for place, (mark, faces) in enumerate(zip(marks, self.truths, strict=True)):
            if len(mark) != faces:
                raise ValueError(f"counted of image {place} must have an entry a truth, found {len(mark)} for {faces}")
        counts = np.concatenate([*marks, np.empty(0, bool)])
        matched = self.truth >= 0
        kept = self.truths[self.picture] > 0
        kept[matched] = counts[self.truth[matched]]
        found = np.full(len(counts), len(THRESHOLDS))
        np.minimum.at(found, self.truth[matched], self.first[matched])
        found[~counts] = len(THRESHOLDS)
        each = np.bincount(np.repeat(np.arange(len(marks)), self.truths)[counts], minlength=len(marks))
        return kept, found, each


def _drawn_counts(
    picture: NDArray[np.int64], first: NDArray[np.int64], draws: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(R, thresholds) of events (E,), given by image and first threshold, how many each threshold has, each event
    counting as often as its image is drawn (R, images)."""
    counts = np.zeros((len(draws), len(THRESHOLDS)))
    for begin in range(0, draws.shape[1], _PICTURES):
        drawn = draws[:, begin : begin + _PICTURES].astype(np.float64)
        within = (picture >= begin) & (picture < begin + _PICTURES)
        cells = (picture[within] - begin) * len(THRESHOLDS) + first[within]
        counts += drawn @ np.bincount(cells, minlength=drawn.shape[1] * len(THRESHOLDS)).reshape(drawn.shape[1], -1)
    return counts.cumsum(axis=1)


def area_under_envelope(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """Area under the highest precision at each recall or more. (K,) each, recall rising. Source: PASCAL VOC 2010."""
    steps = np.concatenate([[0.0], recall, [1.0]])
    envelope = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    rises = np.flatnonzero(steps[1:] != steps[:-1])
    return float(np.sum((steps[rises + 1] - steps[rises]) * envelope[rises + 1]))
