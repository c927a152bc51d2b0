"""Occluders over aligned faces: what each kind hides, how far the template's landmarks move, and its alpha."""

from itertools import product

import numpy as np
import pytest

from faceline_core.faces import TEMPLATE, template
from faceline_core.occluders import KINDS
from faceline_core.occluders.aligned import jittered_template, occlude_aligned
from faceline_core.occluders.camera import camera_from

DRAWS = 100
LEFT_EYE, RIGHT_EYE, NOSE, MOUTH_CORNERS, MOUTH, FOREHEAD, CHIN = 0, 1, 2, slice(3, 5), 5, 6, 7
PLACES = np.vstack([TEMPLATE, [[56, 92], [56, 25], [56, 103]]])  # px of 112: the template, mouth, forehead, chin


def face(size=112, seed=0):
    return np.random.default_rng([9, seed]).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=[112, 32])
def hidden(request):
    """Of each kind, (DRAWS, 8) whether each of PLACES is hidden, and (DRAWS,) the share of the face that is."""
    size = request.param
    x, y = np.round(PLACES * size / 112).astype(int).T
    masks = {
        kind: np.stack([~occlude_aligned(face(size), [kind], np.random.default_rng(i))[1] for i in range(DRAWS)])
        for kind in KINDS
    }
    return {kind: (drawn[:, y, x], drawn.mean((1, 2))) for kind, drawn in masks.items()}


class TestWhatEachKindHides:
    def test_a_medical_mask_hides_mouth_chin_and_nose_tip_and_no_eye(self, hidden):
        places, share = hidden["medical_mask"]
        assert places[:, [MOUTH, CHIN]].all()
        assert places[:, MOUTH_CORNERS].all()
        assert places[:, NOSE].mean() > 0.9
        assert not places[:, [LEFT_EYE, RIGHT_EYE, FOREHEAD]].any()
        assert 0.15 < share.min() < share.max() < 0.42

    def test_sunglasses_hide_the_eyes_and_nothing_below(self, hidden):
        places, share = hidden["sunglasses"]
        assert places[:, [LEFT_EYE, RIGHT_EYE]].mean() > 0.98
        assert not places[:, [NOSE, MOUTH, CHIN, FOREHEAD]].any()
        assert 0.07 < share.min() < share.max() < 0.25

    def test_a_scarf_hides_mouth_and_chin_and_no_eye(self, hidden):
        places, share = hidden["scarf"]
        assert places[:, [MOUTH, CHIN]].all()
        assert not places[:, [LEFT_EYE, RIGHT_EYE, FOREHEAD]].any()
        assert 0.1 < places[:, NOSE].mean() < 0.9  # it is worn high and low
        assert 0.12 < share.min() < share.max() < 0.47

    def test_a_hand_hides_a_part_now_here_now_there(self, hidden):
        places, share = hidden["hand"]
        for place in (LEFT_EYE, RIGHT_EYE, NOSE, MOUTH):
            assert 0.1 < places[:, place].mean() < 0.7
        assert 0.07 < share.min() < share.max() < 0.33

    def test_a_veil_leaves_little_but_the_eyes(self, hidden):
        places, share = hidden["veil"]
        assert places[:, [NOSE, MOUTH, CHIN, FOREHEAD]].all()
        assert places[:, [LEFT_EYE, RIGHT_EYE]].mean() < 0.02
        assert 0.5 < share.min() < share.max() < 0.88


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    @pytest.mark.parametrize("size", [32, 64, 112, 224])
    def test_hidden_is_where_alpha_is_above_a_half_and_where_it_is_0_nothing_changes(self, kind, size):
        """Dark faces are lit alike, so that over 14 and over 0 the same is drawn: they differ by 14 (1 - alpha)."""
        grey = [np.full((size, size, 3), level, np.float32) for level in (0, 14)]
        (over_0, visible), (over_14, also) = (occlude_aligned(g, [kind], np.random.default_rng(size)) for g in grey)
        alpha = 1 - (over_14 - over_0).astype(float).mean(-1) / 14
        assert np.array_equal(visible, alpha <= 0.5)
        assert np.array_equal(visible, also)
        none = alpha < 1e-4
        assert 0 < none.mean() < 1
        image = face(size)
        result, _ = occlude_aligned(image, [kind], np.random.default_rng(size))
        assert np.array_equal(result[none], image[none])
        assert np.array_equal(image, face(size))
        assert (result != image).any(-1)[~visible].mean() > 0.95

    def test_the_generator_decides_everything(self, kind):
        one, two, other = (occlude_aligned(face(), [kind], np.random.default_rng(seed)) for seed in (5, 5, 6))
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[1], two[1])
        assert not np.array_equal(one[1], other[1])

    def test_float_faces_agree_with_uint8(self, kind):
        exact, visible = occlude_aligned(face().astype(np.float32), [kind], np.random.default_rng(3))
        rounded, also = occlude_aligned(face(), [kind], np.random.default_rng(3))
        assert exact.dtype == np.float32
        assert rounded.dtype == np.uint8
        assert np.abs(exact - rounded).max() <= 1
        assert np.array_equal(visible, also)

    def test_the_shape_grows_with_the_face(self, kind):
        small, large = (occlude_aligned(face(size), [kind], np.random.default_rng(8))[1] for size in (56, 224))
        blocks = large.reshape(56, 4, 56, 4).mean((1, 3)) > 0.5
        assert (blocks != small).mean() < 0.05


def test_each_of_the_kinds_is_drawn_as_often():
    def share(kinds):
        return np.array([1 - occlude_aligned(face(48), kinds, np.random.default_rng(i))[1].mean() for i in range(200)])

    veils = share(["veil", "sunglasses"]) > 0.4  # see the bounds above
    assert 0.4 < veils.mean() < 0.6
    assert (share(["veil"]) > 0.4).all()


def figures(points):
    """Of landmarks (N, 5, 2) at 112 px: scale, turn in degrees, shift x, shift y, residual of the best similarity."""
    still, moved = TEMPLATE @ [1, 1j], points @ [1, 1j]
    middle = still.mean()
    arms, moved_arms = still - middle, moved - moved.mean(1, keepdims=True)
    turn = (arms.conj() * moved_arms).sum(1) / (abs(arms) ** 2).sum()
    shift = moved.mean(1) - middle
    residual = np.sqrt((abs(moved_arms - turn[:, None] * arms) ** 2).mean(1))
    return np.stack([abs(turn), np.degrees(np.angle(turn)), shift.real, shift.imag, residual])


def test_the_landmarks_move_as_the_definition_says():
    """The same quantiles as the definition's, drawn anew here: +-3 px each, +-5 px all, 0.95 to 1.10, +-7 degrees."""
    rng, count = np.random.default_rng(0), 4000
    still = TEMPLATE @ [1, 1j]
    points = still + rng.uniform(-3, 3, (count, 5)) + 1j * rng.uniform(-3, 3, (count, 5))
    turn = rng.uniform(0.95, 1.10, count) * np.exp(1j * np.deg2rad(rng.uniform(-7, 7, count)))
    shift = rng.uniform(-5, 5, count) + 1j * rng.uniform(-5, 5, count)
    slow = (points - still.mean()) * turn[:, None] + still.mean() + shift[:, None]
    slow = np.stack([slow.real, slow.imag], axis=-1)
    fast = np.stack([jittered_template(112, np.random.default_rng([1, i])) for i in range(count)])
    at = [0.01, 0.1, 0.5, 0.9, 0.99]
    expected, found = (np.quantile(figures(p), at, axis=1).T for p in (slow, fast))
    tolerance = np.array([[0.008], [0.5], [0.4], [0.4], [0.12]])  # four standard errors, or more
    assert (np.abs(found - expected) < tolerance).all()


def test_they_grow_with_the_face():
    one, two = (jittered_template(size, np.random.default_rng(4)) for size in (112, 224))
    assert np.allclose(two, 2 * one)
    assert np.abs(one - template(112)).max() < 16


def test_no_jitter_brings_landmarks_onto_one_line():
    for signs in product((-3.0, 3.0), repeat=10):
        camera = camera_from(TEMPLATE + np.reshape(signs, (5, 2)))
        assert 25 < camera.unit < 60


@pytest.mark.parametrize(
    ("image", "kinds", "words"),
    [
        (np.zeros((112, 96, 3), np.uint8), ["scarf"], r"\(112, 96, 3\)"),
        (np.zeros((112, 112), np.uint8), ["scarf"], r"\(112, 112\)"),
        (np.zeros((112, 112, 3), np.uint8), [], "no kinds"),
        (np.zeros((112, 112, 3), np.uint8), ["veill"], "'veill'.*veil"),
    ],
)
def test_what_cannot_be_drawn_is_refused(image, kinds, words):
    with pytest.raises(ValueError, match=words):
        occlude_aligned(image, kinds, np.random.default_rng(0))
