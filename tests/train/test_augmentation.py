import pickle
import warnings

import cv2
import numpy as np
import pytest

from faceline_core.errors import FacelineError
from faceline_core.parameters.training import Augment
from faceline_train.augmentation import Augmentation
from faceline_train.presets import PRESETS

SIZE = 48
RAMP = np.linspace(0, 200, SIZE * SIZE * 3).reshape(SIZE, SIZE, 3).astype(np.uint8) + np.array([0, 20, 55], np.uint8)


def augmentation(*transforms, preset="none", seed=1, img_size=SIZE):
    settings = Augment(preset=preset, transforms=list(transforms), occlude=0, occluders=["medical_mask"], views=0)
    return Augmentation(settings, seed, img_size)


def flat(*colour):
    return np.broadcast_to(np.array(colour, np.uint8), (SIZE, SIZE, 3)).copy()


def drawn(augment, face, count):
    return [augment(face, 0, index) for index in range(count)]


FLIP = {"name": "HorizontalFlip", "p": 0.5}
DARKER = {
    "name": "ColorJitter",
    "brightness": [0.5, 1.5],
    "contrast": [1, 1],
    "saturation": [1, 1],
    "hue": [0, 0],
    "p": 1,
}


@pytest.mark.parametrize("preset", ["light", "standard", "low_quality"])
def test_a_draw_is_a_function_of_seed_epoch_and_index(preset):
    augment = augmentation(preset=preset)
    first = drawn(augment, RAMP, 12)
    elsewhere = pickle.loads(pickle.dumps(augment))  # noqa: S301 (as a worker process gets it)
    again = [elsewhere(RAMP, 0, index) for index in reversed(range(12))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (
        [augment(RAMP, 1, index) for index in range(12)],
        drawn(augmentation(preset=preset, seed=2), RAMP, 12),
        first[1:],
    ):
        assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=False))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_keeps_size_and_leaves_the_cached_face_alone(preset):
    cached = RAMP.copy()
    cached.flags.writeable = False
    for face in drawn(augmentation(FLIP, preset=preset), cached, 30):
        assert (face.shape, face.dtype) == (RAMP.shape, np.uint8)
    assert np.array_equal(cached, RAMP)


def test_nothing_asked_for_is_the_face_itself():
    assert augmentation()(RAMP, 0, 0) is RAMP


def test_the_transforms_of_params_yaml_come_after_those_of_its_preset(parameters_with):
    listed = [{"name": "Solarize", "threshold_range": [0, 0], "p": 1}]
    settings = parameters_with(("augment",), {"augment.preset": "light", "augment.transforms": listed}).augment
    both = Augmentation(settings, 1, SIZE)
    assert np.array_equal(both(RAMP, 0, 3), 255 - augmentation(preset="light")(RAMP, 0, 3))


def marked_face():
    """Red and blue dots, 30 px left and right of the middle of a black face of 112 px."""
    face = np.zeros((112, 112, 3), np.uint8)
    cv2.circle(face, (26, 56), 4, (200, 0, 0), -1)
    cv2.circle(face, (86, 56), 4, (0, 0, 200), -1)
    return face


def motion(face):
    """Whether a marked face was mirrored, its turn in degrees, its scale, and how far its middle moved (x, y)."""
    ys, xs = np.mgrid[:112, :112]
    excess = face[..., 0].astype(float) - face[..., 2]
    red, blue = (
        np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
        for weight in (np.clip(sign * excess - 40, 0, None) for sign in (1, -1))
    )
    mirrored = red[0] > blue[0]
    along = (red - blue if mirrored else blue - red) / 60
    middle = (red + blue) / 2 - 56 + np.array([mirrored, 0])  # the mirror of column 56 is 55
    return mirrored, np.degrees(np.arctan2(along[1], along[0])), np.hypot(*along), middle


@pytest.mark.parametrize(("preset", "scaling", "shift"), [("light", 0.0, 0.0), ("standard", 0.1, 0.05)])
def test_geometry_of_light_and_standard(preset, scaling, shift):
    found = [motion(face) for face in drawn(augmentation(preset=preset, img_size=112), marked_face(), 300)]
    mirrored, angles, scales, middles = (np.array(column) for column in zip(*found, strict=True))
    assert 120 <= mirrored.sum() <= 180
    assert 9 < angles.max() < 10.5
    assert -10.5 < angles.min() < -9
    assert np.allclose([scales.min(), scales.max()], [1 - scaling, 1 + scaling], atol=0.02)
    assert np.allclose([middles.min(0), middles.max(0)], [[-112 * shift] * 2, [112 * shift] * 2], atol=0.7)


@pytest.mark.parametrize(("preset", "change"), [("light", 0.2), ("standard", 0.2), ("low_quality", 0.5)])
def test_colours(preset, change):
    augment = augmentation(preset=preset)
    grey = np.array([face.max() for face in drawn(augment, flat(100, 100, 100), 600) if np.ptp(face) == 0])
    assert np.allclose([grey.min(), grey.max()], [100 * (1 - change), 100 * (1 + change)], atol=3)
    coloured = [face[24, 24].astype(float) for face in drawn(augment, flat(100, 70, 55), 200)]
    vivid = [colour for colour in coloured if np.ptp(colour) >= 40]
    assert len(vivid) > 50
    for red, green, blue in vivid:
        assert (red - green) / (green - blue) == pytest.approx(2, abs=0.4)  # the hue stays


def test_low_quality_crops_then_coarsens_then_recolours():
    """A flat face tells: only the crop makes black, only a resize after it blurs that edge into further levels, and
    only a contrast after it brightens the black."""
    levels = [np.unique(face[..., 0]) for face in drawn(augmentation(preset="low_quality"), flat(100, 100, 100), 1000)]
    cropped = sum(len(found) > 1 for found in levels)
    assert 150 < cropped < 250
    assert 15 < sum(len(found) > 2 for found in levels) < 60
    assert any(len(found) == 2 and found[0] > 0 for found in levels)
    recoloured = sum(found[-1] != 100 for found in levels if len(found) <= 2)
    assert 140 < recoloured < 240


def test_low_quality_coarsens_one_face_in_five():
    noise = np.random.default_rng(0).integers(0, 2, (SIZE, SIZE, 1), np.uint8).repeat(3, 2) * 200
    augment = augmentation(*(it for it in PRESETS["low_quality"] if it["name"] == "LowResolution"))
    assert 150 < sum(not np.array_equal(face, noise) for face in drawn(augment, noise, 1000)) < 250


def test_pasted_crop_keeps_a_box_in_its_place():
    bright = RAMP // 2 + 100
    areas, ratios, corners = [], [], []
    for face in drawn(augmentation({"name": "PastedCrop", "p": 1}), bright, 400):
        kept = face.any(axis=2)
        rows, columns = np.flatnonzero(kept.any(1)), np.flatnonzero(kept.any(0))
        assert kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert kept.sum() == len(rows) * len(columns)
        assert np.array_equal(face[kept], bright[kept])
        areas.append(kept.mean())
        ratios.append(len(columns) / len(rows))
        corners.append((rows[0], columns[0]))
    assert 0.18 < min(areas) < 0.25
    assert max(areas) > 0.95
    assert 0.7 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.42
    assert np.log(ratios).mean() == pytest.approx(0, abs=0.03)  # wide as often as high
    assert np.mean(corners, axis=0)[0] == pytest.approx(np.mean(corners, axis=0)[1], abs=1)


def test_pasted_crop_of_a_box_that_never_fits_is_the_whole_face():
    long = augmentation({"name": "PastedCrop", "scale": [0.9, 1], "ratio": [3, 4], "p": 1})
    assert np.array_equal(long(RAMP, 0, 0), RAMP)


def test_low_resolution_takes_detail_and_keeps_size():
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    same = augmentation({"name": "LowResolution", "scale": [1, 1], "p": 1})
    coarse = drawn(augmentation({"name": "LowResolution", "scale": [0.2, 0.2], "p": 1}), noise, 60)
    assert np.array_equal(same(noise, 0, 0), noise)
    detail = [np.abs(np.diff(face.astype(int), axis=1)).mean() for face in coarse]
    assert max(detail) < 0.6 * np.abs(np.diff(noise.astype(int), axis=1)).mean()
    assert all(face.shape == noise.shape for face in coarse)
    assert len({face.tobytes() for face in coarse}) > 15  # of 5 interpolations there and 5 back
    blocks = [face for face in coarse if len(np.unique(face.reshape(-1, 3), axis=0)) <= 100]
    assert blocks  # nearest back: 10 x 10 colours


def test_transforms_draw_independently():
    """Seeded alike, as a Compose does it, a mirrored face would always be a dark one."""
    for transforms in (
        [FLIP, DARKER],
        [{"name": "Sequential", "transforms": [FLIP, DARKER], "p": 1}],
        [{"name": "RandomOrder", "n": 2, "transforms": [DARKER, {"name": "OneOf", "transforms": [FLIP], "p": 0.5}]}],
    ):
        found = drawn(augmentation(*transforms), RAMP, 400)
        mirrored = np.array([face[0, 0, 0] > face[0, -1, 0] for face in found], float)
        brightness = np.array([face.mean() for face in found])
        assert 150 < mirrored.sum() < 250
        assert abs(np.corrcoef(mirrored, brightness)[0, 1]) < 0.15


def test_alternatives_are_drawn_anew_for_each_face():
    """Of three equal ones each comes as often; and the choice says nothing of what is drawn within."""
    each = [
        {"name": "ToGray", "p": 1},
        {"name": "Solarize", "threshold_range": [0, 0], "p": 1},
        {"name": "Sequential", "p": 1, "transforms": [{"name": "VerticalFlip", "p": 0.5}]},
    ]
    found = drawn(augmentation({"name": "OneOf", "transforms": each, "p": 1}), RAMP, 600)
    grey = sum(bool((np.ptp(face, axis=2) == 0).all()) for face in found)
    inverted = sum(np.array_equal(face, 255 - RAMP) for face in found)
    flipped = sum(np.array_equal(face, RAMP[::-1]) for face in found)
    untouched = sum(np.array_equal(face, RAMP) for face in found)
    assert grey + inverted + flipped + untouched == 600
    assert all(150 < count < 250 for count in (grey, inverted, flipped + untouched))
    assert 60 < flipped < 140


def test_lists_and_nested_values_reach_albumentations():
    augment = augmentation({"name": "Affine", "translate_px": {"x": [3, 3], "y": [0, 0]}, "p": 1})
    assert np.array_equal(augment(RAMP, 0, 0)[:, 3:], RAMP[:, :-3])


def test_a_sequence_may_change_the_size_within():
    steps = [
        {"name": "RandomCrop", "height": 40, "width": 40, "p": 1},
        {"name": "Resize", "height": SIZE, "width": SIZE, "p": 1},
    ]
    assert augmentation({"name": "Sequential", "transforms": steps, "p": 1})(RAMP, 0, 0).shape == RAMP.shape


SIZED = {"height": 64, "width": 64}
FAULTS = [
    ([{"name": "GausianBlur"}], "[0]: unknown transform GausianBlur: did you mean GaussianBlur"),
    ([FLIP, {"name": "CoarseDropout3D"}], "[1]: unknown transform CoarseDropout3D: did you mean CoarseDropout"),
    ([{"name": "PastedCrops"}], "[0]: unknown transform PastedCrops: did you mean PastedCrop"),
    ([{"p": 0.5}], "[0] should be {name: <a transform>, <its argument>: <value>, ...}, found {'p': 0.5}"),
    ([{"name": 3}], "[0] should be {name: <a transform>"),
    (
        [{"name": "GaussianBlur", "blur_limits": 3}],
        "[0] (GaussianBlur): unknown argument blur_limits: did you mean blur_limit",
    ),
    ([{"name": "OneOrOther", "first": 3}], "[0] (OneOrOther): unknown argument first"),
    ([FLIP, {"name": "GaussianBlur", "blur_limit": "x"}], "[1] (GaussianBlur): blur_limit should be a valid tuple"),
    ([{"name": "GaussianBlur", "p": 3}], "[0] (GaussianBlur): p should be less than or equal to 1, found 3"),
    ([{"name": "MotionBlur", "blur_limit": [3, 4]}], "[0] (MotionBlur): blur_limit: Non-zero kernel sizes must be odd"),
    ([{"name": "RandomCrop"}], "[0] (RandomCrop): height is missing; width is missing"),
    ([{"name": "CropAndPad"}], "[0] (CropAndPad): Both px and percent parameters cannot be None"),
    (
        [{"name": "Resize", **SIZED}],
        "[0] (Resize): a face (48, 48, 3) uint8 should stay so, and becomes (64, 64, 3) uint8",
    ),
    ([{"name": "CenterCrop", **SIZED}], "[0] (CenterCrop): Crop size (height, width) exceeds image dimensions"),
    ([{"name": "RandomScale"}], "[0] (RandomScale): a face (48, 48, 3) uint8 should stay so"),
    (
        [{"name": "Normalize", "p": 0.01}],
        "[0] (Normalize): a face (48, 48, 3) uint8 should stay so, and becomes (48, 48, 3) float32",
    ),
    (
        [{"name": "ToTensorV2"}],
        "[0] (ToTensorV2): a face (48, 48, 3) uint8 should stay so, and becomes (3, 48, 48) torch",
    ),
    ([{"name": "MaskDropout"}], "[0] (MaskDropout): MaskDropout requires ['mask']"),
    ([{"name": "BBoxSafeRandomCrop"}], "[0] (BBoxSafeRandomCrop): it needs 'bboxes', and a face comes alone"),
    ([{"name": "ToRGB"}], "[0] (ToRGB): The image is already an RGB"),
    ([{"name": "Lambda", "image": "x"}], "[0] (Lambda): it does not work with these arguments: 'str' object is not"),
    ([{"name": "PastedCrop", "scale": [0, 1]}], "[0] (PastedCrop): scale All values in (0.0, 1.0) must be > 0"),
    ([{"name": "LowResolution", "scale": [0.5, 0.2]}], "[0] (LowResolution): scale First value should be less"),
    ([{"name": "OneOf"}], "[0] (OneOf): `transforms` should be a list of one transform or more, found None"),
    (
        [{"name": "OneOf", "transforms": [FLIP], "p": 20}],
        "[0] (OneOf): p should be a probability from 0 to 1, found 20",
    ),
    (
        [{"name": "OneOf", "transforms": [FLIP, {"name": "Blurr"}]}],
        "[0].transforms[1]: unknown transform Blurr: did you mean Blur",
    ),
    (
        [{"name": "SomeOf", "transforms": [FLIP, {"name": "RandomCrop", "height": 9, "width": 9}]}],
        "[0].transforms[1] (RandomCrop): a face (48, 48, 3) uint8 should stay so, and becomes (9, 9, 3)",
    ),
    ([{"name": "SomeOf", "n": 3, "transforms": [FLIP]}], "[0] (SomeOf): `n` is greater than number of transforms"),
    (
        [{"name": "Sequential", "transforms": [{"name": "RandomCrop", "height": 9, "width": 9, "p": 1}]}],
        "[0] (Sequential): a face (48, 48, 3) uint8 should stay so, and becomes (9, 9, 3)",
    ),
]


@pytest.mark.parametrize(("transforms", "said"), FAULTS, ids=[str(i) for i in range(len(FAULTS))])
def test_what_does_not_fit_is_one_line_before_the_first_face(transforms, said, capfd):
    with warnings.catch_warnings(record=True) as leaked, pytest.raises(FacelineError) as caught:
        warnings.simplefilter("always")
        augmentation(*transforms)
    assert str(caught.value).startswith(f"augment.transforms{said}")
    assert "\n" not in str(caught.value)
    assert not leaked
    assert capfd.readouterr() == ("", "")


def test_advice_of_albumentations_is_no_fault_and_stays_unsaid():
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        augmentation({"name": "ShiftScaleRotate", "p": 1})(RAMP, 0, 0)
    assert not leaked


def test_faces_of_another_size_than_announced():
    augment = augmentation({"name": "RandomResizedCrop", "size": [SIZE, SIZE], "p": 1})
    with pytest.raises(FacelineError, match=r"a face \(64, 64, 3\) has become \(48, 48, 3\)"):
        augment(np.zeros((64, 64, 3), np.uint8), 0, 0)
