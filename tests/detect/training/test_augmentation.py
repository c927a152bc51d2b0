"""Faces of training squares: pictures with a coloured dot at each landmark show where the labels should be."""

import cv2
import numpy as np
import pytest

from faceline_core.parameters.detection import DetectAugment
from faceline_detect.training.augmentation import Scene, SceneAugmentation
from faceline_detect.training.labels import Labels, seen_through
from faceline_detect.training.mosaic import tiles
from faceline_detect.training.placing import place
from faceline_detect.training.windows import FILL, Window

SIDE = 320
DOTS = np.array([(230, 20, 20), (20, 20, 230), (240, 240, 240), (230, 220, 0), (0, 220, 230)])
"""RGB of left eye, right eye, nose, left and right corner of the mouth."""
MIRRORED = [1, 0, 2, 4, 3]
SKIN = (10, 70, 10)
PLACES = np.array([(0.32, 0.4), (0.7, 0.41), (0.5, 0.58), (0.36, 0.78), (0.66, 0.77)])
NONE = {
    "scale": (1, 1), "flip": 0, "rotate": 0, "brightness": 0, "contrast": 0, "blur": 0, "jpeg": 0, "mosaic": 0,
}  # fmt: skip
ALL = {
    "scale": (0.3, 1), "flip": 0.5, "rotate": 15, "brightness": 0.2, "contrast": 0.2, "blur": 0.3, "jpeg": 0.3,
}  # fmt: skip


def augmentation(side=SIDE, seed=1, **settings):
    return SceneAugmentation(DetectAugment(**NONE | settings), side, seed)


def with_faces(boxes, size=(640, 480), ignore=None):
    """A scene of elliptic faces that fill their boxes, with a dot of its colour at each landmark."""
    picture = np.full((size[1], size[0], 3), 150, np.uint8)
    boxes = np.array(boxes, float).reshape(-1, 4)
    landmarks = np.empty((len(boxes), 5, 2))
    for box, points in zip(boxes, landmarks, strict=True):
        extent = box[2:] - box[:2]
        points[:] = box[:2] + PLACES * extent - 0.5
        middle, half = 16 * ((box[:2] + box[2:]) / 2 - 0.5), 16 * extent / 2
        cv2.ellipse(picture, np.rint(middle).astype(int), np.rint(half).astype(int), 0, 0, 360, SKIN, -1, shift=4)
        for point, colour in zip(points, DOTS.tolist(), strict=True):
            cv2.circle(picture, np.rint(16 * point).astype(int), round(16 * extent[0] / 11), colour, -1, shift=4)
    return Scene(picture, Labels(boxes, landmarks, np.zeros(len(boxes), bool) if ignore is None else np.array(ignore)))


GROUP = with_faces([(60.5, 50.25, 150.5, 170.25), (400, 180, 520, 340), (250, 300, 310, 380), (10, 400, 60, 470)])
SMALL = with_faces([(30, 20, 120, 130), (180, 60, 240, 140)], size=(300, 200))
LARGE = with_faces([(300, 200, 800, 900), (1300, 500, 1600, 880)], size=(1900, 1300))
EMPTY = with_faces([], size=(500, 400))
SCENES = [GROUP, SMALL, LARGE, EMPTY]


def drawn(augment, scenes, draws):
    return [augment(scenes.__getitem__, len(scenes), epoch, i) for epoch in range(draws) for i in range(len(scenes))]


def nearest_dot(square, point):
    """Which colour lies at a landmark."""
    x, y = np.rint(point).astype(int)
    return int(np.abs(square[y, x].astype(int) - DOTS).sum(axis=1).argmin())


def part_of(square, box, around=0):
    """What a box holds, and its corner (2,)."""
    left, top = np.maximum(np.rint(box[:2]).astype(int) - around, 0)
    right, bottom = np.rint(box[2:]).astype(int) + around
    return square[top:bottom, left:right].astype(int), np.array([left, top])


def dot_centre(square, box, which):
    """(2,) the middle of a dot within a face."""
    part, corner = part_of(square, box)
    ys, xs = np.nonzero(np.abs(part - DOTS[which]).sum(axis=2) < 120)
    return corner + np.array([xs.mean(), ys.mean()])


GEOMETRY = {
    "nothing": {},
    "crop": {"scale": (0.3, 1)},
    "flip": {"flip": 1},
    "rotation": {"rotate": 15},
    "all": {"scale": (0.3, 1), "flip": 0.5, "rotate": 15},
    "mosaic": {"scale": (0.3, 1), "flip": 0.5, "rotate": 15, "mosaic": 1},
}


@pytest.mark.parametrize("settings", GEOMETRY.values(), ids=GEOMETRY.keys())
def test_landmarks_land_on_their_dots_and_left_stays_left(settings):
    checked, mirrored, errors = 0, 0, []
    for square, labels in drawn(augmentation(**settings), SCENES, 8):
        for box, points in zip(labels.boxes, labels.landmarks, strict=True):
            if np.isnan(points).any() or box[2] - box[0] < 40:
                continue
            flipped = nearest_dot(square, points[0]) == 1
            expected = [MIRRORED[which] if flipped else which for which in range(5)]
            assert points[0, 0] < points[1, 0]
            assert points[3, 0] < points[4, 0]
            radius = (box[3] - box[1]) / 8
            for point, which in zip(points, expected, strict=True):
                if (np.minimum(point - box[:2], box[2:] - point) < radius).any():
                    continue  # the dot itself is cut
                errors.append(dot_centre(square, box, which) - point)
            checked, mirrored = checked + 1, mirrored + flipped
    assert checked >= 20
    assert np.abs(errors).max() < 0.8  # dots are drawn and enlarged by whole pixels
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1
    assert mirrored / checked == pytest.approx(settings.get("flip", 0), abs=0.25)


@pytest.mark.parametrize("mosaic", [0, 1])
@pytest.mark.parametrize("alone", ["brightness", "contrast", "blur", "jpeg", "all"])
def test_landmarks_keep_their_colours_through_everything(alone, mosaic):
    settings = ALL if alone == "all" else {alone: 0.3 if alone in ("brightness", "contrast") else 1}
    checked = 0
    for square, labels in drawn(augmentation(**settings | {"mosaic": mosaic}), SCENES, 4):
        assert (square.shape, square.dtype) == ((SIDE, SIDE, 3), np.uint8)
        for box, points in zip(labels.boxes, labels.landmarks, strict=True):
            if np.isfinite(points).all() and box[2] - box[0] >= 40:
                found = [nearest_dot(square, point) for point in points]
                assert found in ([0, 1, 2, 3, 4], MIRRORED)
                checked += 1
    assert checked >= 8


@pytest.mark.parametrize("settings", [GEOMETRY["all"], GEOMETRY["mosaic"]], ids=["alone", "mosaic"])
def test_boxes_fit_the_faces(settings):
    """Also turned ones: a face that fills its box as an ellipse goes on doing so."""
    checked = 0
    for square, labels in drawn(augmentation(**settings), SCENES, 8):
        for box, points in zip(labels.boxes, labels.landmarks, strict=True):
            if np.isnan(points).any() or box[2] - box[0] < 40 or box.min() < 3 or box.max() > SIDE - 3:
                continue
            part, corner = part_of(square, box, around=3)
            ys, xs = np.nonzero((np.abs(part - FACE_COLOURS[:, None, None]).sum(axis=3) < 100).any(axis=0))
            tight = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            if min(*tight[:2], *(part.shape[1::-1] - tight[2:])) == 0:
                continue  # another face, or a tile's end, is too near to tell
            assert np.abs(np.tile(corner, 2) + tight - box).max() < 2.5
            checked += 1
    assert checked >= 12


FACE_COLOURS = np.vstack([DOTS, SKIN])


def test_a_box_hardly_grows_when_turned():
    scene = with_faces([(200, 150, 320, 310)])
    grown = []
    for angle in np.linspace(-10, 10, 9):
        window = Window(np.array([260.0, 230.0]), 1.0, angle, (SIDE, SIDE))
        box = seen_through(scene.labels, window).boxes[0]
        assert (box[:2] + box[2:]) / 2 == pytest.approx(np.array([160, 160]))
        grown.append((box[2:] - box[:2]).prod() / (120 * 160))
    assert 1 <= min(grown) <= max(grown) < 1.03


def test_a_square_face_keeps_its_box_at_every_angle():
    labels = Labels(np.array([[100.0, 100, 140, 140]]), np.full((1, 5, 2), np.nan), np.zeros(1, bool))
    for angle in (0, 10, 45):
        window = Window(np.array([120.0, 120.0]), 1.5, angle, (100, 100))
        assert seen_through(labels, window).boxes[0] == pytest.approx(np.array([20, 20, 80, 80]))


def test_mirrored_twice_is_what_it_was():
    scene = with_faces([(30.5, 40, 110, 150.25), (200, 180, 260, 250)], size=(SIDE, SIDE))
    flip = augmentation(flip=1)
    once = flip([scene].__getitem__, 1, 0, 0)
    twice = flip([once].__getitem__, 1, 0, 0)
    assert np.array_equal(once.picture, scene.picture[:, ::-1])
    assert np.array_equal(twice.picture, scene.picture)
    assert once.labels.boxes[0] == pytest.approx(np.array([SIDE - 110, 40, SIDE - 30.5, 150.25]), abs=1e-3)
    for found, expected in zip(twice.labels, scene.labels, strict=True):
        assert found == pytest.approx(expected, abs=1e-3)


def window(left, top, side=200, shown=100):
    return Window(np.array([left + side / 2, top + side / 2]), shown / side, 0.0, (shown, shown))


# A face of 80 x 100 px at (300, 200) in a window of 200 px shown at half size.
FATES = {
    "whole": ((250, 150), [25, 25, 65, 75], False, True),
    "three eighths cut off, with an eye: learnt, without landmarks": ((330, 150), [0, 25, 25, 75], False, False),
    "its mouth cut off": ((250, 75), [25, 62.5, 65, 100], False, False),
    "two fifths cut off each way, its middle inside": ((330, 235), [0, 0, 25, 32.5], True, None),
    "its middle outside": ((345, 150), [0, 25, 17.5, 75], True, None),
    "hardly any left": ((365, 150), None, None, None),
    "outside": ((500, 150), None, None, None),
}


@pytest.mark.parametrize(("corner", "box", "ignored", "has_landmarks"), FATES.values(), ids=FATES.keys())
def test_what_becomes_of_a_face_at_the_edge(corner, box, ignored, has_landmarks):
    labels = seen_through(with_faces([(300, 200, 380, 300)]).labels, window(*corner))
    if box is None:
        assert [len(each) for each in labels] == [0, 0, 0]
        return
    assert labels.boxes[0] == pytest.approx(np.array(box, float))
    assert labels.ignore.tolist() == [ignored]
    assert np.isfinite(labels.landmarks).all() == bool(has_landmarks)
    assert np.isnan(labels.landmarks).all() != bool(has_landmarks)


def test_faces_that_are_too_small_become_ignored_and_ignored_ones_stay_so():
    boxes = [(100, 100, 115, 115), (140, 100, 157, 117), (180, 100, 220, 150), (150, 180, 150, 200)]
    scene = with_faces(boxes, ignore=[False, False, True, True])
    labels = seen_through(scene.labels, window(90, 90))
    assert labels.ignore.tolist() == [True, False, True]  # 7.5 and 8.5 px; one without size is gone
    assert np.isnan(labels.landmarks[[0, 2]]).all()
    assert np.isfinite(labels.landmarks[1]).all()


def test_a_point_that_is_unknown_stays_so_and_leaves_the_others():
    scene = with_faces([(100, 100, 180, 200)])
    scene.labels.landmarks[0, 3] = np.nan
    points = augmentation(flip=1)([scene].__getitem__, 1, 0, 0).labels.landmarks[0]
    assert np.isnan(points).all(axis=1).tolist() == [False, False, False, False, True]


def test_shrinking_averages_and_enlarging_samples_between():
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    shrunk = Window(np.array([200.0, 200.0]), 0.25, 0.0, (100, 100)).cut(noise)
    assert np.abs(shrunk - noise.reshape(100, 4, 100, 4, 3).mean(axis=(1, 3))).max() <= 0.51
    same = Window(np.array([150.0, 130.0]), 1.0, 0.0, (100, 60)).cut(noise)
    assert np.array_equal(same, noise[100:160, 100:200])
    turned = Window(np.array([200.0, 200.0]), 1.0, 90.0, (400, 400)).cut(noise)
    assert np.array_equal(turned, np.rot90(noise, -1))
    slope = np.broadcast_to(np.arange(0, 204, 2, dtype=np.uint8)[None, :, None], (60, 102, 3)).copy()
    shown = Window(np.array([51.0, 30.0]), 0.25, 0.0, (24, 12)).cut(slope)[6, :, 0]  # 102 px are no multiple of 4
    assert shown == pytest.approx(2 * (3 + 4 * (np.arange(24) + 0.5) - 0.5), abs=1.1)
    ramp = np.broadcast_to(np.arange(0, 200, 4, dtype=np.uint8)[None, :, None], (20, 50, 3)).copy()
    assert np.ptp(np.diff(Window(np.array([25.0, 10.0]), 4.0, 0.0, (80, 8)).cut(ramp)[0, :, 0].astype(int))) == 0


def test_outside_the_picture_is_the_networks_zero():
    square = Window(np.array([0.0, 0.0]), 0.5, 0.0, (50, 50)).cut(np.full((300, 300, 3), 200, np.uint8))
    assert (square[26:, 26:] == 200).all()
    assert (square[:24] == FILL).all()
    assert (Window(np.array([-900.0, 0.0]), 1.0, 0.0, (9, 7)).cut(square) == np.full((7, 9, 3), FILL)).all()


def windows(scene, scale=(0.3, 1.0), rotate=0.0, size=(SIDE, SIDE), count=100):
    shape = scene.picture.shape[:2]
    return [place(shape, scene.labels, size, scale, rotate, np.random.default_rng(i)) for i in range(count)]


@pytest.mark.parametrize("rotate", [0.0, 15.0])
@pytest.mark.parametrize("size", [(SIDE, SIDE), (200, 120)])
def test_a_window_holds_a_whole_face_to_learn(rotate, size):
    for scene in (GROUP, SMALL, LARGE):
        for each in windows(scene, rotate=rotate, size=size):
            labels = seen_through(scene.labels, each)
            middles = each.shown((scene.labels.boxes[:, :2] + scene.labels.boxes[:, 2:]) / 2)
            assert (~labels.ignore & np.isfinite(labels.landmarks).all(axis=(1, 2))).any(), middles


@pytest.mark.parametrize("size", [(SIDE, SIDE), (200, 120)])
def test_unturned_windows_lie_inside_and_are_as_large_as_scale_says(size):
    for scene in (GROUP, EMPTY):
        limit = np.array(scene.picture.shape[1::-1])
        found = windows(scene, size=size)
        for each in found:
            assert (each.middle - each.reach > -1e-6).all()
            assert (each.middle + each.reach < limit + 1e-6).all()
        fractions = [max(size) / each.zoom / min(limit) for each in found]
        assert 0.3 <= min(fractions) < 0.35
        assert 0.95 < max(fractions) <= 1


def test_every_face_is_chosen_and_a_picture_without_is_shown_everywhere():
    held = np.array([len(seen_through(GROUP.labels, each).boxes) for each in windows(GROUP, scale=(0.3, 0.3))])
    assert held.min() >= 1
    shown = [
        seen_through(with_faces([box]).labels, each)
        for each in windows(GROUP, scale=(0.4, 0.4))
        for box in GROUP.labels.boxes.tolist()
    ]
    counts = np.array([len(labels.boxes) > 0 and not labels.ignore.any() for labels in shown]).reshape(-1, 4).sum(0)
    assert counts.min() > 15
    middles = np.array([each.middle for each in windows(EMPTY, scale=(0.3, 0.3))])
    assert np.allclose([middles.min(0), middles.max(0)], [[60, 60], [440, 340]], atol=12)


def test_a_face_that_fills_its_picture_stays_whole():
    scene = with_faces([(10, 20, 190, 290)], size=(200, 300))
    for each in windows(scene):
        box = seen_through(scene.labels, each).boxes[0]
        assert (box[2:] - box[:2]) / each.zoom == pytest.approx(np.array([180, 270]))
        assert box[3] - box[1] > 0.999 * SIDE


def test_a_small_face_is_enlarged_until_it_can_be_learnt_where_scale_allows():
    scene = with_faces([(300, 300, 308, 308)])  # 8 px: 8 / 480 * 320 = 5.3 px at scale 1
    for each in windows(scene):
        assert seen_through(scene.labels, each).ignore.tolist() == [False]
    tiny = with_faces([(300, 300, 302, 302), (100, 100, 150, 160)])
    assert all((~seen_through(tiny.labels, each).ignore).any() for each in windows(tiny))
    alone = with_faces([(300, 300, 302, 302)])
    assert all(seen_through(alone.labels, each).ignore.tolist() == [True] for each in windows(alone))


def test_pictures_of_any_shape():
    for size in ((10, 10), (3, 900), (1, 1), (4000, 40)):
        face = (0, 0, min(size), min(size))
        for scene in (with_faces([], size=size), with_faces([face], size=size)):
            for square, labels in drawn(augmentation(**ALL), [scene], 10):
                assert square.shape == (SIDE, SIDE, 3)
                assert np.isfinite(labels.boxes).all()


def test_tiles_cover_the_square_once():
    for seed in range(50):
        painted = np.zeros((96, 96), int)
        for left, top, width, height in tiles(96, np.random.default_rng(seed)):
            assert min(width, height) >= 28
            painted[top : top + height, left : left + width] += 1
        assert (painted == 1).all()


def test_a_mosaic_shows_its_own_picture_and_others():
    flat = [Scene(np.full((90, 80, 3), 10 * shade, np.uint8), EMPTY.labels) for shade in range(20)]
    squares = [square for square, _ in drawn(augmentation(mosaic=1), flat, 3)]
    seen = [{int(shade) // 10 for shade in np.unique(square)} for square in squares]
    assert all(place % 20 in shades for place, shades in enumerate(seen))
    assert max(map(len, seen)) == 4
    assert set().union(*(shades - {place % 20} for place, shades in enumerate(seen))) == set(range(20))
    alone = [len(np.unique(square)) for square, _ in drawn(augmentation(mosaic=0.5), flat, 5)]
    assert 30 < alone.count(1) < 70


def same(a, b):
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip((a[0], *a[1]), (b[0], *b[1]), strict=True))


@pytest.mark.parametrize("mosaic", [0, 0.5])
def test_a_draw_is_a_function_of_seed_epoch_and_index(mosaic):
    settings = ALL | {"mosaic": mosaic}
    scenes = [GROUP] * 4
    first, again = drawn(augmentation(**settings), scenes, 2), drawn(augmentation(**settings), scenes, 2)
    assert all(map(same, first, again))
    backwards = augmentation(**settings)
    other_order = [backwards(scenes.__getitem__, 4, epoch, i) for epoch in (1, 0) for i in (3, 2, 1, 0)][::-1]
    assert all(map(same, first, other_order))
    assert not any(same(first[i], first[j]) for i in range(8) for j in range(i))
    assert not any(map(same, first, drawn(augmentation(seed=2, **settings), scenes, 2)))


def test_flip_says_nothing_of_blur():
    scene = with_faces([(100, 100, 180, 200)], size=(SIDE, SIDE))
    found = drawn(augmentation(flip=0.5, blur=0.5), [scene], 150)
    flipped = [labels.boxes[0, 0] > 120 for _, labels in found]
    blurred = [len(np.unique(square)) > len(np.unique(scene.picture)) for square, _ in found]
    assert 50 < sum(flipped) < 100
    assert 50 < sum(blurred) < 100
    assert abs(np.corrcoef(flipped, blurred)[0, 1]) < 0.25


@pytest.mark.parametrize(("setting", "most"), [("brightness", 0.2), ("contrast", 0.4)])
def test_light_changes_by_the_fraction_that_was_asked_for(setting, most):
    halves = np.full((SIDE, SIDE, 3), 80, np.uint8)
    halves[:, SIDE // 2 :] = 120
    squares = drawn(augmentation(**{setting: most}), [Scene(halves, EMPTY.labels)], 200)
    found = np.array([square[0, [0, -1], 0] for square, _ in squares], float)
    spread = (found[:, 1] - found[:, 0]) / 40
    assert [spread.min(), spread.max()] == pytest.approx([1 - most, 1 + most], abs=0.06)
    level = found.mean(axis=1) / 100
    expected = [1 - most, 1 + most] if setting == "brightness" else [1, 1]
    assert [level.min(), level.max()] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("setting", ["blur", "jpeg"])
def test_how_often_and_how_much_a_square_is_made_worse(setting):
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 1), np.uint8).repeat(3, axis=2)
    found = [square for square, _ in drawn(augmentation(**{setting: 0.5}), [Scene(noise, EMPTY.labels)], 60)]
    worse = [square for square in found if not np.array_equal(square, noise)]
    assert 18 < len(worse) < 42
    detail = [np.abs(np.diff(square.astype(int), axis=1)).mean() for square in worse]
    assert len({round(each, 2) for each in detail}) > 10
