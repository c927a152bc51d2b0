"""Labelled pictures and found faces, small enough to check by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from faceline_core.faces import Face
from faceline_core.parameters import StageParameters
from faceline_core.parameters.detection import DetectTest
from faceline_detect.annotations.kinds import Annotation

POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


@pytest.fixture(scope="session")
def points_of() -> Callable[[Sequence[float]], np.ndarray]:
    """A function that puts five landmarks into a box."""

    def points(box: Sequence[float]) -> np.ndarray:
        left, top, right, bottom = box
        return np.array([left, top]) + POINTS * [right - left, bottom - top]

    return points


@pytest.fixture(scope="session")
def picture_of(points_of: Callable[[Sequence[float]], np.ndarray]) -> Callable[..., Annotation]:
    """A function that labels boxes (left, top, right, bottom), with their landmarks; `ignore` names places."""

    def picture(*boxes: Sequence[float], ignore: Sequence[int] = (), path: str = "a/b.jpg") -> Annotation:
        landmarks = np.array([points_of(box) for box in boxes]).reshape(-1, 5, 2)
        marks = np.isin(np.arange(len(boxes)), ignore)
        edges = np.array(boxes, np.float64).reshape(-1, 4)
        return Annotation(path, edges, landmarks, marks, np.zeros((len(boxes), 6), np.int64))

    return picture


@pytest.fixture(scope="session")
def face_of(points_of: Callable[[Sequence[float]], np.ndarray]) -> Callable[..., Face]:
    """A function that makes a found face; its landmarks lie where the box has them, moved by `off` px to the right."""

    def face(box: Sequence[float], score: float, off: float | None = None) -> Face:
        landmarks = None if off is None else (points_of(box) + np.array([off, 0])).astype(np.float32)
        return Face(np.array(box, np.float32), landmarks, score)

    return face


@pytest.fixture(scope="session")
def settings_with(parameters_with: Callable[..., StageParameters]) -> Callable[..., DetectTest]:
    """A function that gives detect.test of params.yaml with another threshold, and lists or none."""
    test = parameters_with(("detect",), {}).detect.test

    def settings(working_confidence: float = 0.5, official_lists: Path | None = None) -> DetectTest:
        lists = None if official_lists is None else str(official_lists)
        return test.model_copy(update={"working_confidence": working_confidence, "official_lists": lists})

    return settings
