"""Squares by (epoch, index): the same from every process, whatever is kept in memory."""

import pickle

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import DetectAugment
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.training.scene_set import SceneSet, collate

SIDE = 96
AUGMENT = DetectAugment(
    scale=(0.3, 1), flip=0.5, rotate=10, brightness=0.2, contrast=0.2, blur=0.1, jpeg=0.1, mosaic=0.3
)
CROP = DetectAugment(scale=(0.5, 1), flip=0, rotate=0, brightness=0, contrast=0, blur=0, jpeg=0, mosaic=0)
RED = (220, 20, 20)


def annotation(path, boxes, points=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    landmarks = np.full((len(boxes), 5, 2), np.nan) if points is None else np.array(points, float).reshape(-1, 5, 2)
    return Annotation(path, boxes, landmarks, np.zeros(len(boxes), bool), np.zeros((len(boxes), 6), np.int64))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures 0.png to 5.png of 200 x 150 px with noise, of which 5.png shows no face."""
    folder = tmp_path_factory.mktemp("scenes")
    for index in range(6):
        noise = np.random.default_rng(index).integers(0, 256, (15, 20, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(noise, (200, 150), interpolation=cv2.INTER_CUBIC))
    return folder


@pytest.fixture(scope="module")
def pictures():
    faces = [(20, 30, 70, 90), (110, 40, 150, 95)]
    points = [[(l + 10, t + 10), (l + 30, t + 10), (l + 20, t + 25), (l + 12, t + 40), (l + 28, t + 40)]
              for l, t, *_ in faces]  # fmt: skip  # noqa: E741
    return [annotation(f"{index}.png", faces if index < 5 else [], points if index < 5 else None) for index in range(6)]


def same(a, b):
    arrays = ((image, target.boxes, target.landmarks, target.ignore) for image, target in (a, b))
    return all(torch.equal(torch.nan_to_num(x.float(), -1), torch.nan_to_num(y.float(), -1))
               for x, y in zip(*arrays, strict=True))  # fmt: skip


KEYS = [[(0, 3), (0, 0), (0, 5)], [(0, 1), (0, 2), (0, 4)], [(1, 3), (1, 0), (7, 5)]]


def unpacked(batches):
    return [(image, target) for images, targets in batches for image, target in zip(images, targets, strict=True)]


def test_squares_are_the_same_from_every_process_and_of_either_memory(folder, pictures):
    scenes = SceneSet(pictures, folder, SIDE, AUGMENT, 3)
    here = [scenes[key] for keys in KEYS for key in keys]
    loader = DataLoader(scenes, batch_sampler=KEYS, num_workers=2, collate_fn=lambda batch: batch)
    torch.manual_seed(5)
    assert all(map(same, here, unpacked(loader)))
    uncached = pickle.loads(pickle.dumps(SceneSet(pictures, folder, SIDE, AUGMENT, 3, memory=0)))  # noqa: S301
    assert (scenes.pictures.in_memory, uncached.pictures.in_memory) == (6, 0)
    np.random.seed(5)
    assert all(map(same, here[::-1], [uncached[key] for keys in KEYS[::-1] for key in keys[::-1]]))
    assert not any(same(a, b) for i, a in enumerate(here) for b in here[:i])
    other = SceneSet(pictures, folder, SIDE, AUGMENT, 4)
    assert not any(same(a, other[key]) for a, key in zip(here, [key for keys in KEYS for key in keys], strict=True))


def test_a_batch(folder, pictures):
    scenes = SceneSet(pictures, folder, SIDE, AUGMENT, 3)
    images, targets = scenes.__getitems__(KEYS[0])
    assert (images.shape, images.dtype, len(scenes)) == ((3, 3, SIDE, SIDE), torch.uint8, 6)
    assert same((images[1], targets[1]), scenes[0, 0])
    assert same((images[1], targets[1]), unpacked([collate([scenes[0, 0]])])[0])
    for target in targets:
        count = len(target.boxes)
        assert [(each.shape, each.dtype) for each in (target.boxes, target.landmarks, target.ignore)] == [
            ((count, 4), torch.float32), ((count, 5, 2), torch.float32), ((count,), torch.bool)]  # fmt: skip
        assert (target.boxes[:, 2:] > target.boxes[:, :2]).all()
        assert ((target.boxes >= 0) & (target.boxes <= SIDE)).all()


def test_what_is_kept_is_never_drawn_over(folder, pictures):
    scenes = SceneSet(pictures, folder, SIDE, AUGMENT, 3)
    before = [scenes.scene(index).picture.copy() for index in range(6)], [each.boxes.copy() for each in pictures]
    for epoch in range(20):
        scenes.__getitems__([(epoch, index) for index in range(6)])
    assert all(np.array_equal(scenes.scene(index).picture, before[0][index]) for index in range(6))
    assert all(np.array_equal(each.boxes, kept) for each, kept in zip(pictures, before[1], strict=True))


def test_colours_are_rgb_and_exif_turns_the_picture_as_its_labels(tmp_path):
    """A picture that is stored lying on its side: its face is red in the upper half of the upright one."""
    upright = np.full((240, 160, 3), 40, np.uint8)
    upright[30:90, 40:90] = RED
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90 degrees against the clock
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    image, target = SceneSet([annotation("a.jpg", [(40, 30, 90, 90)])], tmp_path, SIDE, CROP, 1)[0, 0]
    left, top, right, bottom = target.boxes[0].round().int().tolist()
    inside, zoom = image[:, top + 2 : bottom - 2, left + 2 : right - 2], (right - left) / 50
    assert (inside.float().mean(dim=(1, 2)) - torch.tensor(RED)).abs().max() < 4
    assert (image[0] > 130).sum() == pytest.approx(zoom**2 * 50 * 60, rel=0.06)


@pytest.mark.parametrize("augment", [CROP, None], ids=["crop", "whole"])
def test_large_pictures_are_reduced_and_their_labels_with_them(tmp_path, augment):
    large = np.full((701, 1003, 3), 40, np.uint8)
    large[100:420, 300:560] = RED
    Image.fromarray(large).save(tmp_path / "a.png")
    corners = [(300, 100), (559, 100), (430, 260), (300, 419), (559, 419)]  # pixels of the face
    scenes = SceneSet([annotation("a.png", [(300, 100, 560, 420)], corners)], tmp_path, SIDE, augment, 1)
    side = SIDE if augment is None else 2 * SIDE
    assert min(scenes.scene(0).picture.shape[:2]) == side
    checked = 0
    for epoch in range(10):
        image, target = scenes[epoch, 0]
        ys, xs = torch.nonzero(image[0] > 130, as_tuple=True)
        found = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert (found - target.boxes[0]).abs().max() < 0.9
        half = 0.5 * (target.boxes[0, 2] - target.boxes[0, 0]) / 260  # a pixel of the face now
        expected = target.boxes[0] + torch.tensor([half, half, -half, -half]) - 0.5
        if not target.landmarks.isnan().any():
            assert (target.landmarks[0, [0, 4]].flatten() - expected).abs().max() < 0.02
            checked += 1
    assert checked >= 5
    if augment is None:
        width = SIDE * 260 / 1003
        assert float(target.boxes[0, 2] - target.boxes[0, 0]) == pytest.approx(width, abs=0.3)
        assert (image[:, 0] == torch.tensor([123, 117, 104])[:, None]).all()


def test_memory_is_bounded(folder, pictures):
    scenes = SceneSet(pictures * 20, folder, SIDE, AUGMENT, 3, memory=70 * 200 * 150 * 3)
    assert scenes.pictures.in_memory == 64
    assert same(scenes[0, 61], SceneSet(pictures * 20, folder, SIDE, AUGMENT, 3, memory=0)[0, 61])


def test_pictures_that_are_missing_or_broken(folder, tmp_path):
    with pytest.raises(FacelineError, match=r"nowhere\.png: No such file or directory\. Put it there, or"):
        SceneSet([annotation("nowhere.png", [])], folder, SIDE, AUGMENT, 1)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    later = SceneSet([annotation("bad.jpg", [])], tmp_path, SIDE, AUGMENT, 1, memory=0)
    error = later.__getitems__([(0, 0)])
    assert isinstance(error, FacelineError)
    assert "bad.jpg: it is no JPEG" in str(error) or "bad.jpg: does not decode" in str(error)
    with pytest.raises(FacelineError, match="no pictures to train on"):
        SceneSet([], folder, SIDE, AUGMENT, 1)


def test_pictures_without_faces_are_negatives(folder, pictures):
    scenes = SceneSet(pictures[5:], folder, SIDE, CROP, 1)
    squares = [scenes[epoch, 0] for epoch in range(5)]
    assert all(len(target.boxes) == 0 for _, target in squares)
    assert not same(squares[0], squares[1])
