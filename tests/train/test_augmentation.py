import numpy as np
import pytest

from faceline_train.augmentation import Augmentation

KEYS = ("augment",)


def faces(parameters_with, count, **changes):
    settings = parameters_with(KEYS, {f"augment.{name}": value for name, value in changes.items()}).augment
    augmentation = Augmentation(settings, seed=1)
    ramp = np.linspace(0, 200, 48 * 48 * 3).reshape(48, 48, 3).astype(np.uint8) + np.array([0, 20, 55], np.uint8)
    return ramp, [augmentation(ramp, 0, index) for index in range(count)], augmentation


OFF = {"flip": 0, "rotation": 0, "brightness": 0, "contrast": 0, "saturation": 0, "shift": 0, "scale": 0, "erase": 0}


def test_a_draw_is_a_function_of_seed_epoch_and_index(parameters_with):
    ramp, first, augmentation = faces(parameters_with, 4)
    again = [augmentation(ramp, 0, index) for index in (3, 2, 1, 0)][::-1]
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first[0], augmentation(ramp, 1, 0))
    assert not np.array_equal(first[0], first[1])


def test_all_off_leaves_the_face(parameters_with):
    ramp, found, _ = faces(parameters_with, 1, **OFF)
    assert np.array_equal(found[0], ramp)


def test_flip_comes_as_often_as_asked_and_leaves_the_rest(parameters_with):
    ramp, found, _ = faces(parameters_with, 400, **OFF | {"flip": 0.25})
    mirrored = sum(np.array_equal(face, ramp[:, ::-1]) for face in found)
    assert mirrored + sum(np.array_equal(face, ramp) for face in found) == 400
    assert 70 <= mirrored <= 130


def test_transforms_draw_independently(parameters_with):
    """Seeded alike, as a Compose does it, a mirrored face would always be a dark one."""
    settings = {"flip": 0.5, "brightness": 0.5}
    _, found, _ = faces(parameters_with, 400, **OFF | settings)
    mirrored = np.array([face[0, 0, 0] > face[0, -1, 0] for face in found], float)
    brightness = np.array([face.mean() for face in found])
    assert abs(np.corrcoef(mirrored, brightness)[0, 1]) < 0.15


@pytest.mark.parametrize("name", ["rotation", "brightness", "contrast", "saturation", "shift", "scale", "erase"])
def test_each_knob_changes_the_face_and_keeps_its_shape(parameters_with, name):
    ramp, found, _ = faces(
        parameters_with, 5, **OFF | {name: 10 if name == "rotation" else 0.5 if name != "erase" else 1}
    )
    assert all(face.shape == ramp.shape and face.dtype == np.uint8 for face in found)
    assert any(not np.array_equal(face, ramp) for face in found)
