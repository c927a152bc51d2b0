"""What the best epoch is chosen by, with a search whose finds are known."""

from pathlib import Path

import numpy as np
import pytest

from faceline_core.faces import Face
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.retinaface import RetinaFace
from faceline_detect.retinaface.searching import Search
from faceline_detect.scenes import Part
from faceline_detect.training import choosing
from faceline_detect.training.choosing import Choosing

BIG, MIDDLE, SMALL = (
    [0, 0, 50, 60],
    [100, 0, 130, 35],
    [200, 0, 210, 12],
)  # easy, medium and hard; the last is hard alone
NOWHERE = [300, 300, 340, 340]


def picture(path, *boxes):
    edges = np.array(boxes, float).reshape(-1, 4)
    count = len(edges)
    nothing = np.full((count, 5, 2), np.nan)
    return Annotation(path, edges, nothing, np.zeros(count, bool), np.zeros((count, 6), np.int64))


@pytest.fixture
def value_of(monkeypatch):
    """A function that gives a network's worth: `found` holds boxes and scores for each picture by its name."""

    def value(pictures, found, search=None):
        class Searcher:
            def __init__(self, _network, given, device):
                assert (given, device) == (search, "cpu")

            def detect(self, photos):
                return [[Face(np.array(box, np.float32), None, score) for box, score in found[at]] for at in photos]

        monkeypatch.setattr(choosing, "RetinaFaceSearch", Searcher)
        monkeypatch.setattr(choosing, "read_photo", lambda path: path.name)
        return Choosing(Part(pictures, Path("folder")), search)(RetinaFace("mobilenet0.25"))

    return value


def test_it_is_the_mean_of_easy_medium_and_hard(value_of):
    """Easy asks for the big face, medium for two, hard for all three."""
    pictures = [picture("a", BIG, MIDDLE, SMALL)]
    search = Search(confidence=0.02)
    assert value_of(pictures, {"a": [(BIG, 0.9)]}, search) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert value_of(pictures, {"a": [(BIG, 0.9), (MIDDLE, 0.8)]}) == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert value_of(pictures, {"a": [(SMALL, 0.9)]}) == pytest.approx((0 + 0 + 1 / 3) / 3)
    assert value_of(pictures, {"a": [(BIG, 0.9), (MIDDLE, 0.8), (SMALL, 0.7)]}) == pytest.approx(1)


def test_a_box_in_a_picture_without_faces_is_wrong(value_of):
    pictures = [picture("a", BIG), picture("b")]
    assert value_of(pictures, {"a": [(BIG, 0.9)], "b": []}) == pytest.approx(1)
    assert value_of(pictures, {"a": [(BIG, 0.9)], "b": [(NOWHERE, 0.95)]}) == pytest.approx(1 / 2)


def test_each_picture_keeps_its_own_finds_however_many_are_searched_at_a_time(value_of):
    shifted = [[10 * number, 0, 10 * number + 50, 60] for number in range(21)]
    pictures = [picture(str(number), box) for number, box in enumerate(shifted)]
    found = {str(number): [(box, 0.5 + number / 100)] for number, box in enumerate(shifted)}
    assert value_of(pictures, found) == pytest.approx(1)
    turned = {str(number): found[str(20 - number)] for number in range(21)}
    assert value_of(pictures, turned) < 0.5
