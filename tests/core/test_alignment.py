"""The similarity on five landmarks against slow versions, and the crops it cuts."""

import cv2
import numpy as np
import pytest

from faceline_core.faces import TEMPLATE, AlignmentError, align, similarity, template


def umeyama_slow(source, target):
    """Umeyama 1991, eqs. 34 to 43, by singular values."""
    x, y = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(y.T @ x / len(x))
    s = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ s @ vt
    scale = np.trace(np.diag(d) @ s) / x.var(0).sum()
    return np.column_stack([scale * rotation, target.mean(0) - scale * rotation @ source.mean(0)])


def least_squares_slow(source, target):
    """The same from the linear equations for a, b and the shift."""
    rows = [row for x, y in source for row in ([x, -y, 1, 0], [y, x, 0, 1])]
    a, b, u, v = np.linalg.lstsq(np.array(rows), target.ravel(), rcond=None)[0]
    return np.array([[a, -b, u], [b, a, v]])


def random_landmarks(rng):
    angle, scale = rng.uniform(-np.pi, np.pi), rng.uniform(0.05, 20)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (TEMPLATE + rng.normal(0, 4, (5, 2))) @ turn.T + rng.uniform(-2000, 2000, 2)


def test_similarity_is_umeyamas():
    rng = np.random.default_rng(0)
    for _ in range(300):
        landmarks = random_landmarks(rng)
        found = similarity(landmarks, TEMPLATE)
        for slow in (umeyama_slow, least_squares_slow):
            np.testing.assert_allclose(
                found @ [*landmarks[2], 1], slow(landmarks, TEMPLATE) @ [*landmarks[2], 1], atol=1e-6
            )
            np.testing.assert_allclose(found[:, :2], slow(landmarks, TEMPLATE)[:, :2], rtol=1e-6, atol=1e-9)
        assert np.linalg.det(found[:, :2]) > 0


def test_similarity_recovers_an_exact_transform():
    matrix = np.array([[0.6, -0.8, 10], [0.8, 0.6, -5]]) * [[2, 2, 1], [2, 2, 1]]
    moved = TEMPLATE @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(similarity(TEMPLATE, moved), matrix, atol=1e-9)


@pytest.mark.parametrize(
    ("landmarks", "words"),
    [
        (np.full((5, 2), 31.5), "one point"),
        (TEMPLATE * [-1, 1], "mirrored"),
        (TEMPLATE[[1, 0, 2, 4, 3]], "mirrored"),
        (np.where(np.eye(5, 2) > 0, np.nan, TEMPLATE), "finite"),
    ],
)
def test_landmarks_without_an_upright_face_are_an_error(landmarks, words):
    with pytest.raises(AlignmentError, match=words):
        align(np.zeros((50, 50, 3), np.uint8), landmarks, 112)


def test_template_scales_and_stays_as_it_was_published():
    np.testing.assert_allclose(template(224), 2 * TEMPLATE)
    assert TEMPLATE[0].tolist() == [38.2946, 51.6963]
    assert TEMPLATE[0, 0] < TEMPLATE[1, 0]
    assert TEMPLATE[3, 0] < TEMPLATE[4, 0]


def dotted(landmarks, shape, radius):
    """A white photo with a black dot on each landmark."""
    photo = np.full((*shape, 3), 255, np.uint8)
    for x, y in landmarks:
        cv2.circle(photo, (round(x * 16), round(y * 16)), round(radius * 16), (0, 0, 0), -1, cv2.LINE_AA, 4)
    return photo


@pytest.mark.parametrize("size", [112, 96, 224])
@pytest.mark.parametrize(("scale", "angle"), [(0.7, 10), (1.0, 0), (2.2, -35), (5.0, 20), (9.3, 170)])
def test_landmarks_land_on_the_template_at_any_scale_and_angle(size, scale, angle):
    turn = scale * np.array([[np.cos(np.radians(angle)), -np.sin(np.radians(angle))],
                             [np.sin(np.radians(angle)), np.cos(np.radians(angle))]])  # fmt: skip
    landmarks = (TEMPLATE - 56) @ turn.T + [75 * scale + 7.3, 80 * scale - 3.1]
    photo = dotted(landmarks, (round(160 * scale), round(150 * scale)), 4 * scale)
    crop = 255 - align(photo, landmarks, size)[..., 0].astype(float)
    for x, y in template(size):
        reach = round(6 * size / 112)
        part = crop[round(y) - reach : round(y) + reach + 1, round(x) - reach : round(x) + reach + 1]
        ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        centre = np.array([(part * xs).sum(), (part * ys).sum()]) / part.sum() + [round(x), round(y)]
        assert np.abs(centre - (x, y)).max() < 0.25 * size / 112


def test_large_faces_are_averaged_down_not_sampled():
    stripes = np.tile(np.array([[0, 255]], np.uint8), (1120, 560))[..., None].repeat(3, axis=2)
    crop = align(stripes, TEMPLATE * 10, 112)
    assert 120 < crop[10:-10, 10:-10].min() <= crop[10:-10, 10:-10].max() < 136


def test_mask_is_cut_with_the_photos_transform_and_is_occluded_outside():
    rng = np.random.default_rng(3)
    mask = cv2.resize(rng.integers(0, 2, (9, 9), np.uint8) * 255, (180, 180), interpolation=cv2.INTER_NEAREST)
    for scale in (1.3, 3.0):
        landmarks = TEMPLATE * scale
        crop = align(mask, landmarks, 112)
        assert crop.shape == (112, 112)
        np.testing.assert_array_equal(crop, align(mask[..., None].repeat(3, axis=2), landmarks, 112)[..., 0])
    far = align(np.full((60, 60), 255, np.uint8), TEMPLATE + np.array([5000, 0]), 112)
    assert not far.any()
    assert not align(np.full((60, 60, 3), 255, np.uint8), TEMPLATE * 4 + np.array([5000, 0]), 112).any()
    half = align(np.full((112, 56), 255, np.uint8), TEMPLATE, 112)
    assert half[:, :55].min() == 255
    assert half[:, 57:].max() == 0
