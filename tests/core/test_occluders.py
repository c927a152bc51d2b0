"""Occluders: where they lie, what they leave alone, and that a generator decides everything."""

import numpy as np
import pytest

from faceline_core.occluders import KINDS, occlude
from faceline_core.occluders.layer import Layer

# the five points that recognition aligns to, at 112 px
UPRIGHT = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])


def grey(height=112, width=112, dtype=np.uint8):
    return np.full((height, width, 3), 127, dtype)


def turned(degrees, scale=1.0, shift=(0.0, 0.0)):
    """The five points rotated around the middle of a 112 px crop, scaled and moved."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (UPRIGHT - 56) @ turn.T * scale + 56 * scale + np.array(shift)


def hidden(visible, points):
    """Whether each of some points (N, 2) lies where `visible` is False."""
    x, y = np.round(points).astype(int).T
    return ~visible[y, x]


POSES = [turned(0), turned(25), turned(-25), turned(0) * [0.8, 1] + [12, 0], turned(10, 1.4), turned(0, 0.5)]


@pytest.mark.parametrize("points", POSES, ids=["upright", "left", "right", "narrow", "large", "small"])
@pytest.mark.parametrize("seed", range(5))
class TestWhatIsHidden:
    def visible(self, kind, points, seed):
        return occlude(grey(170, 170), points, kind, np.random.default_rng(seed))[1]

    def test_a_medical_mask_hides_the_mouth_and_no_eye(self, points, seed):
        assert hidden(self.visible("medical_mask", points, seed), points).tolist() == [False, False, True, True, True]

    def test_sunglasses_hide_the_eyes_and_no_mouth(self, points, seed):
        assert hidden(self.visible("sunglasses", points, seed), points).tolist() == [True, True, False, False, False]

    def test_a_scarf_hides_the_mouth_and_no_eye(self, points, seed):
        found = hidden(self.visible("scarf", points, seed), points)
        assert found[3:].all()
        assert not found[:2].any()

    def test_a_hand_hides_a_part(self, points, seed):
        face = self.visible("hand", points, seed)
        box = np.concatenate([points.min(0), points.max(0)]).astype(int)
        share = 1 - face[box[1] : box[3], box[0] : box[2]].mean()
        assert 0.08 < share < 0.95

    def test_a_veil_leaves_the_eyes(self, points, seed):
        assert hidden(self.visible("veil", points, seed), points).tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_the_same_generator_draws_the_same(self, kind):
        one, two = (occlude(grey(), UPRIGHT, kind, np.random.default_rng(7)) for _ in range(2))
        other = occlude(grey(), UPRIGHT, kind, np.random.default_rng(8))
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[1], two[1])
        assert not np.array_equal(one[0], other[0])

    def test_the_picture_changes_only_at_the_occluder(self, kind):
        image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
        before = image.copy()
        result, visible = occlude(image, UPRIGHT, kind, np.random.default_rng(1))
        assert np.array_equal(image, before)
        assert result.dtype == np.uint8
        assert result.shape == image.shape
        assert visible.dtype == bool
        assert visible.shape == (112, 112)
        same = (result == image).all(-1)
        assert same[visible].mean() > 0.9  # all but the softened edge
        assert same[~visible].mean() < 0.05

    def test_edges_are_softened(self, kind):
        black, _ = occlude(np.zeros((112, 112, 3), np.float32), UPRIGHT, kind, np.random.default_rng(2))
        white, _ = occlude(np.full((112, 112, 3), 255, np.float32), UPRIGHT, kind, np.random.default_rng(2))
        between = ((white - black).mean(-1) > 60) & ((white - black).mean(-1) < 195)
        assert between.any()

    def test_float_pictures_agree_with_uint8(self, kind):
        exact, visible = occlude(grey(dtype=np.float32), UPRIGHT, kind, np.random.default_rng(3))
        rounded, also = occlude(grey(), UPRIGHT, kind, np.random.default_rng(3))
        assert exact.dtype == np.float32
        assert np.abs(exact - rounded).max() <= 1.0
        assert np.array_equal(visible, also)

    @pytest.mark.parametrize("shift", [(500, 0), (0, -500), (-80, 30), (60, 70)])
    def test_faces_over_the_border_and_outside(self, kind, shift):
        result, visible = occlude(grey(), UPRIGHT + shift, kind, np.random.default_rng(4))
        assert np.isfinite(result).all()
        if max(map(abs, shift)) == 500:
            assert visible.all()
            assert (result == 127).all()

    @pytest.mark.parametrize("scale", [0.08, 6.0])
    def test_tiny_and_large_faces(self, kind, scale):
        side = max(8, round(112 * scale))
        _, visible = occlude(grey(side, side), UPRIGHT * scale, kind, np.random.default_rng(5))
        assert 0.05 < 1 - visible.mean() < 0.9

    def test_the_occluded_share_does_not_depend_on_the_size(self, kind):
        shares = []
        for scale in (1, 3):
            _, visible = occlude(grey(112 * scale, 112 * scale), UPRIGHT * scale, kind, np.random.default_rng(6))
            shares.append(1 - visible.mean())
        assert shares[0] == pytest.approx(shares[1], abs=0.02)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((5, 2)), "one spot"),
        (np.column_stack([np.arange(5), np.arange(5)]), "one line"),
        (np.full((5, 2), np.nan), "finite"),
        (np.zeros((4, 2)), "shape"),
    ],
)
def test_landmarks_that_span_no_face_are_refused(points, words):
    with pytest.raises(ValueError, match=words):
        occlude(grey(), points, "scarf", np.random.default_rng(0))


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_rough_smoothing_is_close_to_a_gaussian_and_keeps_edges_bright(sigma):
    drawn = []
    for roughly in (False, True):
        layer = Layer((60, 60), np.array([[10.0, 10.0], [50.0, 50.0]]), 5.0, 2)
        mesh = np.stack(np.meshgrid(np.linspace(10, 50, 9), np.linspace(12, 48, 7)), axis=-1)
        layer.mesh(mesh, np.random.default_rng(0).uniform(120, 220, (6, 8, 3)))
        before = layer.pixels.copy()
        layer.smooth(sigma, roughly)
        assert np.array_equal(layer.pixels[..., 3], before[..., 3])
        drawn.append(layer.pixels[..., :3].astype(float))
    covered = before[..., 3] > 0
    assert np.abs(drawn[0] - before[..., :3])[covered].mean() > 3
    assert np.abs(drawn[1] - drawn[0])[covered].mean() < 1
    assert drawn[1][covered].min() > 110
    assert (drawn[1][~covered] == 0).all()


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'veill'.*medical_mask, sunglasses, scarf, hand, veil"):
        occlude(grey(), UPRIGHT, "veill", np.random.default_rng(0))


def test_a_grey_picture_is_refused():
    with pytest.raises(ValueError, match="RGB"):
        occlude(np.zeros((112, 112), np.uint8), UPRIGHT, "hand", np.random.default_rng(0))
