"""Weighted boxes fusion (arXiv 1910.13302), with landmarks."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_detect.fusion.overlaps import overlaps

_BOX, _POINTS, _HAS_POINTS = slice(0, 4), slice(4, 14), 14
_COLUMNS = 15
"""Of a table of faces: box, landmarks (zero where there are none), 1 where there are landmarks."""


def fuse(
    faces: Sequence[Sequence[Face]],
    weights: Sequence[float] | None = None,
    iou_threshold: float = 0.5,
    conf_type: Literal["max", "avg"] = "max",
    confidence_threshold: float = 0.0,
) -> list[Face]:
    """The faces of several detectors in one picture, as one list.

    Faces are taken by weight x score, highest first. Each joins the cluster whose fused box it overlaps most, where
    that is by more than `iou_threshold`, and begins a cluster otherwise. A cluster is one face: its box and landmarks
    are the means over its members by weight x score, its landmarks over those members that have any.

    Args:
        faces: of each detector.
        weights: what the scores of each detector count for, above 0; None: alike. Only their ratios matter.
        iou_threshold: in [0, 1].
        conf_type: `max`: the highest score of the members, where the scores of a detector of a lower weight than the
            highest are lowered in that proportion: with weights 0.6 and 0.4, 0.9 stays 0.9 if the first detector
            gives it, and counts 0.6 if the second does. `avg`: the mean by weight, over all detectors, of the highest
            score that each gave the face, 0 where it saw none (0.54 where only the first sees it).
        confidence_threshold: faces whose own score is lower are left out before.

    Returns:
        Highest score first. The order of detectors of one weight makes no difference.

    Raises:
        ValueError: where there are not as many weights as detectors, a weight is not above 0, or there is no such
            conf_type.
    """
    if conf_type not in ("max", "avg"):
        raise ValueError(f"conf_type: expected max or avg, found {conf_type!r}")
    shares = shares_of(weights, len(faces))
    table, scores, detectors = _table(faces, shares, confidence_threshold)
    sums, total, best = _clustered(table, scores, detectors, len(faces), iou_threshold)
    means = sums[:, _BOX] / total[:, :1]
    landmarks = np.divide(sums[:, _POINTS], total[:, 1:], out=np.zeros((len(sums), 10)), where=total[:, 1:] > 0)
    fused_scores = best.max(axis=1, initial=0) if conf_type == "max" else best.sum(axis=1) / max(sum(shares), 1e-9)
    order = np.lexsort((*means.T, -fused_scores))
    return [
        Face(
            means[index].astype(np.float32),
            landmarks[index].reshape(5, 2).astype(np.float32) if total[index, 1] > 0 else None,
            float(fused_scores[index]),
        )
        for index in order
    ]


def shares_of(weights: Sequence[float] | None, detectors: int) -> list[float]:
    """Weights over the highest of them; 1 each where there are none.

    Raises:
        ValueError: where there are not as many as detectors, or one is not above 0.
    """
    if weights is None:
        return [1.0] * detectors
    if len(weights) != detectors:
        raise ValueError(f"weights: expected {detectors}, one a detector, found {len(weights)}")
    if not all(0 < weight < float("inf") for weight in weights):
        raise ValueError(f"weights: each must be above 0, found {', '.join(f'{weight:g}' for weight in weights)}")
    return [weight / max(weights) for weight in weights]


def _table(
    faces: Sequence[Sequence[Face]], shares: Sequence[float], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """(N, _COLUMNS) faces, (N,) scores by share and (N,) which detector's each is, in the order to take them."""
    kept = [(face, which) for which, found in enumerate(faces) for face in found if face.score >= threshold]
    table = np.zeros((len(kept), _COLUMNS))
    for row, (face, _) in zip(table, kept, strict=True):
        row[_BOX] = face.box
        if face.landmarks is not None:
            row[_POINTS], row[_HAS_POINTS] = face.landmarks.ravel(), 1
    scores = np.array([face.score * shares[which] for face, which in kept], np.float64)
    order = np.lexsort((*table.T[::-1], -scores))  # equal scores by place, so that no detector comes first
    return table[order], scores[order], np.array([which for _, which in kept], np.int64)[order]


def _clustered(
    table: NDArray[np.float64], scores: NDArray[np.float64], detectors: NDArray[np.int64], count: int, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each cluster the sum of its rows by score (C, _COLUMNS), the sum of scores of its boxes and of its landmarks
    (C, 2), and the highest score that each detector gave it (C, count)."""
    sums, total = np.zeros((len(table), _COLUMNS)), np.zeros((len(table), 2))
    fused, best = np.zeros((len(table), 4)), np.zeros((len(table), count))
    clusters = 0
    for row, score, which in zip(table, scores, detectors, strict=True):
        into, shared = clusters, overlaps(row[_BOX], fused[:clusters])
        if clusters and shared.max() > threshold:
            into = int(shared.argmax())
        clusters = max(clusters, into + 1)
        weight = max(score, 1e-12)  # faces of score 0 have a mean as well
        sums[into] += weight * row
        total[into] += weight, weight * row[_HAS_POINTS]
        fused[into] = sums[into, _BOX] / total[into, 0]
        best[into, which] = max(best[into, which], score)
    return sums[:clusters], total[:clusters], best[:clusters]
