"""Searching pictures of any size, against the network on each picture as it is."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torchvision.ops import nms

from faceline_core.parameters.detection import DetectAugment
from faceline_detect.retinaface import anchors, normalised, searching
from faceline_detect.retinaface.coding import decode_boxes, decode_landmarks
from faceline_detect.retinaface.searching import RetinaFaceSearch, Search
from faceline_detect.searching import candidates, sizes
from faceline_detect.searching.batches import padded_batches
from faceline_detect.training.augmentation import Scene, SceneAugmentation
from faceline_detect.training.labels import Labels, seen_through
from faceline_detect.training.windows import Window

ALL = Search(confidence=0, nms=1)
"""Every anchor is reported."""
NO_CHANGE = {"scale": (1, 1), "rotate": 0, "brightness": 0, "contrast": 0, "blur": 0, "jpeg": 0, "mosaic": 0}


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plainly(network, image, search):
    """(D, 15) box, score, landmarks of a picture, not padded, in the network as it comes."""
    with torch.inference_mode():
        outputs = network(normalised(torch.from_numpy(image.copy()).permute(2, 0, 1)[None]))
    grid = anchors(*image.shape[:2])
    boxes, scores = decode_boxes(outputs.boxes[0], grid), outputs.logits[0].softmax(1)[:, 1]
    rows = torch.cat([boxes, scores[:, None], decode_landmarks(outputs.landmarks[0], grid).flatten(1)], 1)
    rows = rows[scores >= search.confidence]
    return rows[nms(rows[:, :4], rows[:, 4], search.nms)].numpy()


def rows_of(faces):
    return np.array([[*face.box, face.score, *face.landmarks.ravel()] for face in faces]).reshape(-1, 15)


def assert_same_faces(found, expected, tolerance=0.1):
    """In any order; scores to a hundredth of the tolerance."""
    assert len(found) == len(expected)
    weights = np.ones(15)
    weights[4] = 100
    apart = (np.abs(found[:, None] - expected[None]) * weights).max(2)
    assert max(apart.min(0).max(), apart.min(1).max()) < tolerance


@pytest.mark.parametrize("backbone", ["mobilenet0.25", "resnet50"])
def test_padding_and_company_change_nothing(lively, backbone):
    network = lively(backbone)
    pictures = [picture(*size, seed) for seed, size in enumerate([(64, 96), (60, 90), (33, 70), (64, 65), (97, 31)])]
    search = RetinaFaceSearch(network, ALL)
    for image, faces in zip(pictures, search.detect(pictures), strict=True):
        assert_same_faces(rows_of(faces), plainly(network, image, ALL))


def test_suppression_and_confidence(lively):
    network, image, wanted = lively(), picture(96, 128), Search(confidence=0.02, nms=0.4)
    found = rows_of(RetinaFaceSearch(network, wanted).detect([image])[0])
    expected = plainly(network, image, wanted)
    assert 3 < len(found) < len(rows_of(RetinaFaceSearch(network, ALL).detect([image])[0])) / 2
    assert_same_faces(found, expected)
    assert (np.diff(found[:, 4]) <= 0).all()


def test_types(lively):
    face = RetinaFaceSearch(lively(), ALL).detect([picture(40, 40)])[0][0]
    assert (face.box.dtype, face.box.shape) == (np.float32, (4,))
    assert (face.landmarks.dtype, face.landmarks.shape) == (np.float32, (5, 2))
    assert isinstance(face.score, float)


def test_the_faces_of_a_mirrored_picture_are_the_mirrored_faces(lively):
    search = RetinaFaceSearch(lively(), dataclasses.replace(ALL, flip=True, scales=(0.5, 1.0)))
    image = picture(60, 88)
    faces, mirrored = (rows_of(found) for found in search.detect([image, image[:, ::-1]]))
    assert len(faces) == 2 * (len(anchors(60, 88)) + len(anchors(30, 44)))
    expected = mirrored.copy()
    expected[:, [0, 2]] = 88 - mirrored[:, [2, 0]]
    landmarks = mirrored[:, 5:].reshape(-1, 5, 2)[:, [1, 0, 2, 4, 3]]  # left and right change places
    landmarks[..., 0] = 87 - landmarks[..., 0]  # a landmark is a pixel; a box has edges
    expected[:, 5:] = landmarks.reshape(-1, 10)
    assert_same_faces(faces, expected)


@pytest.mark.parametrize(
    ("size", "changes", "searched_at"),
    [
        ((100, 300), {}, [(100, 300)]),
        ((100, 300), {"short_side": 200}, [(200, 600)]),
        ((100, 300), {"short_side": 200, "long_side": 450}, [(150, 450)]),
        ((300, 100), {"short_side": 50, "long_side": 450}, [(150, 50)]),
        ((100, 300), {"long_side": 150}, [(50, 150)]),
        ((100, 300), {"short_side": 50, "long_side": 150, "scales": (0.5, 2.0)}, [(25, 75), (100, 300)]),
        ((1000, 3000), {}, [(224, 671)]),
        ((1000, 3000), {"scales": (0.1, 1.0, 2.0)}, [(100, 300), (224, 671)]),
        ((1, 2000), {"short_side": 50}, [(9, 17321)]),
    ],
)
def test_the_sizes_that_pictures_are_searched_at(lively, monkeypatch, size, changes, searched_at):
    monkeypatch.setattr(sizes, "LARGEST_PHOTO", 150_000)
    seen = []
    monkeypatch.setattr(searching, "resized", lambda image, size: seen.append(size) or sizes.resized(image, size))
    RetinaFaceSearch(lively(), dataclasses.replace(ALL, confidence=1, **changes)).detect([picture(*size)])
    assert seen == searched_at


def test_faces_are_in_pixels_of_the_given_picture(lively):
    network, large = lively(), picture(61, 88)
    small = cv2.resize(large, (44, 30), interpolation=cv2.INTER_AREA)
    (found,) = RetinaFaceSearch(network, dataclasses.replace(ALL, scales=(0.5,))).detect([large])
    scale = np.array([2, 61 / 30, 2, 61 / 30, 1, *[2, 61 / 30] * 5])
    shift = np.array([0, 0, 0, 0, 0, *[0.5, 0.5] * 5])  # landmarks are pixels: their middles scale
    assert_same_faces(rows_of(found), (plainly(network, small, ALL) + shift) * scale - shift)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [(60, 88), (30, 44), (120, 176), (37, 90)])
def test_what_training_makes_of_a_face_in_a_view_is_that_face_in_the_picture(size, mirrored):
    rng = np.random.default_rng(4)
    corners = rng.uniform(5, 40, (6, 2))
    labels = Labels(
        np.hstack([corners, corners + rng.uniform(8, 20, (6, 2))]), rng.uniform(0, 59, (6, 5, 2)), np.zeros(6, bool)
    )
    scaled = labels.scaled(np.array([size[1] / 88, size[0] / 60]))
    flip = SceneAugmentation(DetectAugment.model_validate(NO_CHANGE | {"flip": float(mirrored)}), 64, 0)
    seen = flip._transformed(Scene(picture(*size), scaled), 0, 0).labels
    rows = np.hstack([seen.boxes, np.full((6, 1), 0.9), seen.landmarks.reshape(6, 10)])
    view = searching._View(0, size, mirrored)
    found = searching._in_picture(torch.from_numpy(rows).float(), view, picture(60, 88)).numpy()
    np.testing.assert_allclose(found[:, :4], labels.boxes, atol=1e-3)
    np.testing.assert_allclose(found[:, 5:].reshape(6, 5, 2), labels.landmarks, atol=1e-3)


def test_a_zoomed_window_of_training_is_a_scaled_view():
    """Each dot that a training window shows is found where it is in the picture."""
    landmarks = np.random.default_rng(5).uniform(10, 40, (1, 5, 2))
    labels = Labels(np.array([[8.0, 8, 44, 44]]), landmarks, np.zeros(1, bool))
    for zoom in (0.5, 1.5, 2.0):
        size = (int(60 * zoom), int(80 * zoom))
        seen = seen_through(labels, Window(np.array([40.0, 30.0]), zoom, 0, size[::-1]))
        rows = torch.from_numpy(np.hstack([seen.boxes, [[0.9]], seen.landmarks.reshape(1, 10)])).float()
        found = searching._in_picture(rows, searching._View(0, size, False), picture(60, 80)).numpy()
        np.testing.assert_allclose(found[:, :4], labels.boxes, atol=1e-3)
        np.testing.assert_allclose(found[0, 5:].reshape(5, 2), landmarks[0], atol=1e-3)


def test_tiny_narrow_and_empty_pictures_and_none(lively):
    search = RetinaFaceSearch(lively(), Search(confidence=0.3))
    shapes = [(1, 1), (10, 10), (3, 900), (0, 5), (20_000, 12)]
    found = search.detect([picture(*shape) for shape in shapes])
    assert len(found) == len(shapes)
    assert found[3] == []
    assert search.detect([]) == []


def test_a_face_is_never_searched_among_more_than_the_best_candidates(lively, monkeypatch):
    network, image = lively(), picture(64, 64)
    monkeypatch.setattr(candidates, "CANDIDATES", 10)
    assert_same_faces(rows_of(RetinaFaceSearch(network, ALL).detect([image])[0]), plainly(network, image, ALL)[:10])


def test_the_network_is_left_as_it_is(lively):
    network = lively().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.inference_mode():  # as in Lightning's validation
        RetinaFaceSearch(network, dataclasses.replace(ALL, precision="bf16")).detect([picture(40, 70)])
    assert network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    network(torch.randn(2, 3, 64, 64)).boxes.sum().backward()


def test_batches_hold_each_picture_once_within_their_bounds():
    rng = np.random.default_rng(0)
    sizes = [tuple(int(side) for side in rng.integers(1, 700, 2)) for _ in range(200)] + [(250, 250)] * 20 + [(3000, 9)]
    seen = []
    for batch, (height, width) in padded_batches(sizes, 600_000, 8):
        seen += batch
        assert height % 32 == width % 32 == 0
        assert all(sizes[position][0] <= height and sizes[position][1] <= width for position in batch)
        assert len(batch) == 1 or len(batch) * height * width <= 600_000
        assert len(batch) <= 8
        own = sum(-(-sizes[position][0] // 32) * -(-sizes[position][1] // 32) * 1024 for position in batch)
        assert own >= 0.85 * len(batch) * height * width
    assert sorted(seen) == list(range(len(sizes)))
    assert sum(1 for _ in padded_batches([(250, 250)] * 20, 10**9, 8)) == 3
