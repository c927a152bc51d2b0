"""Sheets of the worst pictures, and what a report holds."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from faceline_core.faces import Face
from faceline_core.parameters.detection import DetectTest
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.measuring import Measured, measure, write_report
from faceline_detect.measuring.worst import draw_mistakes, draw_worst, worst_pictures

DVC = Path(__file__).parents[3] / "dvc.yaml"
GREEN, RED, ORANGE, GREY = (64, 220, 96), (255, 48, 48), (255, 176, 0), (150, 150, 150)
FOUND, MISSED, WRONG, IGNORED = [20, 20, 60, 70], [100, 20, 140, 70], [180, 20, 220, 70], [20, 150, 60, 200]


@pytest.fixture
def picture(picture_of: Callable[..., Annotation]) -> Annotation:
    return picture_of(FOUND, MISSED, IGNORED, ignore=[2], path="an event/größe.jpg")


@pytest.fixture
def faces(face_of: Callable[..., Face]) -> list[Face]:
    return [face_of(WRONG, 0.7), face_of(FOUND, 0.9, off=0), face_of([180, 150, 220, 200], 0.1)]


def edge(image: np.ndarray, box: list[int], scale: float) -> set[tuple[int, ...]]:
    """Colours on a line across the middle of the box's left edge, from outside."""
    row, column = round((box[1] + box[3]) / 2 * scale), round(box[0] * scale)
    return {tuple(map(int, pixel)) for pixel in image[row, max(0, column - 6) : column + 1]}


@pytest.mark.parametrize("size", [240, 480, 960])
def test_each_box_has_its_colour(
    picture: Annotation, faces: list[Face], settings_with: Callable[..., DetectTest], size: int
) -> None:
    outcome = measure([faces], [picture], settings_with(), seed=0).outcomes[0]
    photo = np.zeros((size, size, 3), np.uint8)
    image = draw_mistakes(photo, picture, faces, outcome)
    assert image.shape == (480, 480, 3)
    assert not photo.any()
    for box, colour in ((FOUND, GREEN), (MISSED, RED), (WRONG, ORANGE), (IGNORED, GREY)):
        assert colour in edge(image, box, 480 / size)
    assert not image[round(140 * 480 / size) : round(210 * 480 / size), round(170 * 480 / size) :].any()  # a low score
    x, y = (picture.landmarks[0, 2] * 480 / size).round().astype(int)
    assert tuple(image[y, x]) == GREEN


def test_tiny_and_odd_pictures(
    picture_of: Callable[..., Annotation], face_of: Callable[..., Face], settings_with: Callable[..., DetectTest]
) -> None:
    """No more than twice as large; boxes and points far outside are no matter."""
    far = [face_of([-1e9, -5, 1e9, 4000], 0.9, off=1e9), Face(np.full(4, 3, np.float32), np.full((5, 2), np.nan), 0.9)]
    labelled = picture_of([2, 2, 9, 15], [3, 3, 3, 3])
    for height, width, shape in ((10, 10, (20, 20)), (1, 400, (1, 480)), (3000, 9, (480, 1))):
        outcome = measure([far], [labelled], settings_with(), seed=0).outcomes[0]
        image = draw_mistakes(np.zeros((height, width, 3), np.uint8), labelled, far, outcome)
        assert image.shape[:2] == shape


def test_worst_first(picture_of: Callable[..., Annotation], settings_with: Callable[..., DetectTest]) -> None:
    pictures = [picture_of(*[FOUND, MISSED, WRONG][:count]) for count in (1, 3, 0, 3, 2)]
    made = measure([[]] * 5, pictures, settings_with(), seed=0).outcomes
    assert worst_pictures(made) == [1, 3, 4, 0, 2]
    assert worst_pictures(made, count=2) == [1, 3]


@pytest.fixture
def measured(
    picture: Annotation, faces: list[Face], settings_with: Callable[..., DetectTest], tmp_path: Path
) -> tuple[list[Annotation], list[list[Face]], Measured]:
    """Six times the same picture, which lies there."""
    (tmp_path / "an event").mkdir()
    encoded = cv2.imencode(".jpg", np.full((300, 600, 3), 90, np.uint8))[1]
    (tmp_path / picture.path).write_bytes(encoded.tobytes())
    pictures, found = [picture] * 6, [faces] * 6
    return pictures, found, measure(found, pictures, settings_with(), seed=0)


def test_a_sheet(measured: tuple[list[Annotation], list[list[Face]], Measured], tmp_path: Path) -> None:
    """Two rows of four at most, of pictures of 480 x 240, over each of which two lines stand."""
    pictures, found, each = measured
    draw_worst(tmp_path / "new/worst.jpg", "a détecteur", tmp_path, pictures, found, each.outcomes)
    sheet = cv2.imread(str(tmp_path / "new/worst.jpg"))
    assert sheet.shape == (44 + 2 * (44 + 240 + 6), 4 * 486 + 6, 3)
    assert (sheet[100:200, 300:480].mean() - 90) ** 2 < 9  # of the first picture, where nothing is drawn
    assert (sheet[400:500, 1200:].mean() - 255) ** 2 < 9  # beside the sixth
    draw_worst(tmp_path / "none.jpg", "nothing", tmp_path, [], [], [])
    assert cv2.imread(str(tmp_path / "none.jpg")).shape[0] == 44


def test_report(measured: tuple[list[Annotation], list[list[Face]], Measured], tmp_path: Path) -> None:
    pictures, found, each = measured
    report = tmp_path / "report"
    report.mkdir()
    write_report(report, {"mtcnn": each, "fused": each}, {"mtcnn": found, "fused": found}, pictures, tmp_path)
    (drawn,) = [plot["detectors"]["y"] for plot in yaml.safe_load(DVC.read_text())["plots"] if "detectors" in plot]
    curves = [Path(path).name for path in drawn]
    assert {file.name for file in report.iterdir()} == {*curves, "pr_curves.png", "worst_fused.jpg", "worst_mtcnn.jpg"}
    with (report / "pr_curve_fused.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["recall", "precision_easy", "precision_medium", "precision_hard"]
    assert len(rows) == 201
    header = (report / "pr_curve_fused.csv").read_text().splitlines()[0]
    assert (report / "pr_curve_yolo.csv").read_text() == f"{header}\n", (
        "dvc plots wants the file of one that is not trained"
    )
