"""Precision over recall: the table and the picture."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceline_core.faces import Face
from faceline_core.parameters.detection import DetectTest
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.average_precision import THRESHOLDS, Curve, evaluate
from faceline_detect.measuring import draw_pr_curves, measure, pr_rows


def test_rows_are_the_envelope() -> None:
    recall = np.minimum(np.arange(1000) // 10 / 100, 0.6)
    precision = np.where(recall < 0.305, 0.5, 0.8 - recall / 2)
    precision[recall == 0] = 1  # nothing is found yet: no row holds it
    rows = pr_rows({"easy": Curve(THRESHOLDS, THRESHOLDS, precision, recall)})
    assert [row["recall"] for row in rows] == pytest.approx(np.arange(201) / 200)
    for row in rows:
        at = row["recall"]
        best = precision[(recall >= at - 1e-9) & (recall > 0)]
        assert row["precision_easy"] == pytest.approx(best.max() if len(best) else 0, abs=1e-6)


def test_the_area_of_the_rows_is_average_precision() -> None:
    rng = np.random.default_rng(0)
    left = 50.0 * np.arange(400)
    boxes = np.stack([left, 0 * left, left + 9, 0 * left + 9, rng.random(400)], axis=1)
    right = rng.random(400) < boxes[:, 4]
    ap, curve = evaluate([boxes], [boxes[right, :4]], [np.ones(right.sum(), bool)])
    area = np.trapezoid([row["precision_hard"] for row in pr_rows({"hard": curve})], dx=0.005)
    assert area == pytest.approx(ap, abs=0.005)


def test_a_picture_of_several_detectors(
    picture_of: Callable[..., Annotation],
    face_of: Callable[..., Face],
    settings_with: Callable[..., DetectTest],
    tmp_path: Path,
) -> None:
    """Also where one finds nothing, and where no face is of a level."""
    pictures = [picture_of([0, 0, 30, 40]), picture_of()]
    good = measure([[face_of([0, 0, 30, 40], 0.9)], []], pictures, settings_with(), seed=0)
    blind = measure([[], []], pictures, settings_with(), seed=0)
    draw_pr_curves(tmp_path / "both.png", {"good": good, "blind": blind})
    draw_pr_curves(tmp_path / "blind.png", {"blind": blind})
    both, one = (cv2.imread(str(tmp_path / name)) for name in ("both.png", "blind.png"))
    assert both.shape == one.shape
    assert both.shape[1] > 2 * both.shape[0]
    assert (both != one).any()
