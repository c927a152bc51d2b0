"""What the console says of a detector."""

from collections.abc import Callable

import numpy as np
import pytest

from faceline_core.faces import Face
from faceline_core.parameters.detection import DetectTest
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.measuring import Measured, line, measure


@pytest.fixture
def timid(
    picture_of: Callable[..., Annotation], face_of: Callable[..., Face], settings_with: Callable[..., DetectTest]
) -> Measured:
    """One that finds all 40 faces, of which half are 40 px high and half 20, but the first alone with a high score."""
    boxes = [[80 * at, 0, 80 * at + 30, 40 if at % 2 else 20] for at in range(4)]
    pictures = [picture_of(*boxes)] * 10
    found = [[face_of(box, 0.1348 + at / 100) for at, box in enumerate(boxes)] for _ in range(10)]
    found[0][0] = face_of(boxes[0], 0.9)
    return measure(found, pictures, settings_with(), seed=0)


def test_low_scores_show(timid: Measured) -> None:
    assert line("yolo", timid, by_height=True) == (
        "yolo: AP easy (50 px or more) -, medium (30 px) 1.000, hard (10 px) 1.000, 95 % [1.000, 1.000]; "
        "precision 1.000 recall 0.025 F1 0.049 at 0.5, highest F1 1.000 at 0.134; landmark error - (10 scenes)"
    )


def test_lists_have_no_heights(timid: Measured) -> None:
    assert line("yolo", timid, by_height=False).startswith(
        "yolo: AP easy -, medium 1.000, hard 1.000, 95 % [1.000, 1.000]; "
    )


def test_the_interval_is_that_of_hard(timid: Measured) -> None:
    timid.figures.update(ap_easy_low=0.1, ap_medium_high=0.2, ap_hard=0.5, ap_hard_low=0.4, ap_hard_high=0.6)
    assert "hard (10 px) 0.500, 95 % [0.400, 0.600]; " in line("yolo", timid, by_height=True)


def test_the_threshold_shown_keeps_the_score_that_it_stands_for(timid: Measured) -> None:
    for score in np.random.default_rng(0).random(50):
        timid.figures["best_f1_confidence"] = score
        shown = float(line("yolo", timid, by_height=True).split("highest F1 1.000 at ")[1].split(";")[0])
        assert score - 0.001 <= shown <= score


def test_one_that_finds_nothing(
    picture_of: Callable[..., Annotation], settings_with: Callable[..., DetectTest]
) -> None:
    blind = measure([[]], [picture_of([0, 0, 60, 60])], settings_with(), seed=0)
    assert line("yolo", blind, by_height=True).endswith(
        "; precision - recall 0.000 F1 0.000 at 0.5; landmark error - (1 scene)"
    )
