"""Choosing a face, what is measured on it, and fingerprints of photos."""

import itertools

import cv2
import numpy as np
import pytest

from faceline_core.faces import Face, asymmetry, difference_hash, exposure, fingerprint, pick, sharpness
from faceline_core.faces.fingerprint import thumbnail_vectors


def face(left: float, top: float, side: float, score: float = 0.9) -> Face:
    return Face(np.array([left, top, left + side, top + side], np.float32), None, score)


CENTRAL, LARGE, SURE = face(80, 80, 40, 0.95), face(0, 0, 60, 0.9), face(150, 10, 20, 0.99)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("central_largest", [CENTRAL]),
        ("largest", [LARGE]),
        ("most_confident", [SURE]),
        ("all", [LARGE, CENTRAL, SURE]),
    ],
)
def test_pick_follows_its_rule_in_any_order_of_faces(rule, expected):
    for order in itertools.permutations([CENTRAL, LARGE, SURE]):
        assert pick(order, rule, 200, 200) == expected
    assert pick([], rule, 200, 200) == []


def test_pick_prefers_the_larger_of_two_central_faces_and_breaks_ties_by_place():
    small, large = face(90, 90, 20), face(70, 70, 60)
    assert pick([small, large], "central_largest", 200, 200) == [large]
    left, right = face(10, 80, 40), face(150, 80, 40)
    for rule in ("central_largest", "largest", "most_confident"):
        assert pick([right, left], rule, 200, 200) == [left]


def test_face_knows_its_size_and_what_it_holds():
    assert (CENTRAL.width, CENTRAL.height) == (40, 40)
    assert CENTRAL.holds(80, 120)
    assert not CENTRAL.holds(79, 100)


def test_sharpness_is_the_variance_of_the_laplacian():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (24, 24, 3), np.uint8)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float)
    padded = np.pad(grey, 1, mode="reflect")
    around = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
    assert sharpness(picture) == pytest.approx((sum(around) - 4 * grey).var())
    assert sharpness(cv2.GaussianBlur(picture, (0, 0), 2)) < sharpness(picture) / 10
    assert sharpness(np.full((24, 24, 3), 90, np.uint8)) == 0


def test_exposure_is_the_mean_grey_level():
    assert exposure(np.full((8, 8, 3), 77, np.uint8)) == 77
    green = np.zeros((8, 8, 3), np.uint8)
    green[..., 1] = 200
    assert exposure(green) == pytest.approx(0.587 * 200, abs=1)  # RGB order: green weighs most


def test_asymmetry_grows_as_the_head_turns():
    frontal = np.array([[30, 50], [70, 50], [50, 70], [35, 90], [65, 90]])
    assert asymmetry(frontal) == pytest.approx(0)
    turned = frontal + np.array([[0, 0], [0, 0], [15, 0], [0, 0], [0, 0]])
    assert 0.1 < asymmetry(turned) < 1
    assert asymmetry(turned) == pytest.approx(asymmetry(turned * 3))
    assert asymmetry(np.zeros((5, 2))) == 1


def test_difference_hash_compares_neighbours_of_a_9_by_8_picture():
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (8, 9), np.uint8)
    photo = np.repeat(np.repeat(small, 10, axis=0), 10, axis=1)[..., None].repeat(3, axis=2)
    slow = "".join("1" if small[y, x + 1] > small[y, x] else "0" for y in range(8) for x in range(8))
    assert difference_hash(photo) == int(slow, 2)
    assert fingerprint(photo).bits == difference_hash(photo)


def test_thumbnails_tell_one_picture_from_another_and_flat_ones_from_everything():
    rng = np.random.default_rng(2)
    photo = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (200, 160), interpolation=cv2.INTER_CUBIC)
    other = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (200, 160), interpolation=cv2.INTER_CUBIC)
    again = cv2.imdecode(cv2.imencode(".jpg", cv2.resize(photo, (100, 80)), [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    flat = np.full((50, 50, 3), 128, np.uint8)
    vectors = thumbnail_vectors([fingerprint(picture).thumbnail for picture in (photo, again, other, flat)])
    similar = vectors @ vectors.T
    assert similar[0, 0] == pytest.approx(1, abs=1e-5)
    assert similar[0, 1] > 0.97
    assert similar[0, 2] < 0.9
    assert not similar[3].any()
