"""What `dvc plots` and spreadsheets read."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.verification.rates import Curve

_POINTS_PER_DECADE = 100
_BINS = 50


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Rows of one shape as CSV with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def roc_rows(curve: Curve) -> list[dict[str, float]]:
    """Operating points of a ROC, thinned to 100 a decade of FAR; none is interpolated.

    Of the points between two marks of the FAR axis the last is kept; those that accept no impostor have no logarithm
    and are left out.
    """
    kept: dict[int, int] = {}
    for index, far in enumerate(curve.far):
        if far > 0:
            kept[round(_POINTS_PER_DECADE * float(np.log10(far)))] = index
    return [
        {
            "far": float(curve.far[index]),
            "log10_far": float(np.log10(curve.far[index])),
            "vr": float(curve.vr[index]),
            "threshold": float(curve.thresholds[index]),
        }
        for index in kept.values()
    ]


def score_rows(
    genuine: NDArray[np.floating], impostor: NDArray[np.floating], lowest: float = -1, highest: float = 1
) -> list[dict[str, float]]:
    """How scores are spread: for each bin from lowest to highest the share of genuine and of impostor pairs in it."""
    edges = np.linspace(lowest, highest, _BINS + 1)
    shares = [np.histogram(np.clip(scores, lowest, highest), edges)[0] / len(scores) for scores in (genuine, impostor)]
    centres = (edges[:-1] + edges[1:]) / 2
    return [
        {"score": round(float(centre), 6), "genuine": float(g), "impostor": float(i)}
        for centre, g, i in zip(centres, *shares, strict=True)
    ]
