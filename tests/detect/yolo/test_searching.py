"""Faces of pictures, against ultralytics' own predict."""

import numpy as np
import pytest
import torch

from faceline_core.faces import read_photo
from faceline_detect.searching import sizes
from faceline_detect.yolo.checkpoint import write_yolo
from faceline_detect.yolo.importing import ultralytics_at_work
from faceline_detect.yolo.searching import YoloSearch

NMS = 0.5
SIDE = 320


@pytest.fixture(scope="module")
def photos(scenes):
    return [read_photo(path) for path in sorted((scenes / "images").iterdir())]


@pytest.fixture(scope="module")
def network(ultralytics_there, photos, tmp_path_factory):  # noqa: ARG001
    """A pose network of drawn weights whose outputs differ from place to place: its BatchNorms know the scenes."""
    path = tmp_path_factory.mktemp("yolo") / "model.pt"
    with ultralytics_at_work():
        from ultralytics.nn.tasks import PoseModel

        torch.manual_seed(0)
        net = PoseModel("yolo11n-pose.yaml", nc=1, data_kpt_shape=[5, 3], verbose=False)
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = None
        with torch.no_grad():
            net(torch.from_numpy(np.stack(photos[:2])).permute(0, 3, 1, 2).float() / 255)
            for level in net.model[-1].cv3:
                level[-1].weight *= 2
        net.names = {0: "face"}
        write_yolo(net.eval(), path, SIDE)
    return path


def search_at(network, side, confidence=0.25, nms=NMS):
    """As with a network that was trained at another side."""
    search = YoloSearch(network, confidence, nms)
    search.side = side
    return search


def of_the_best(network, photo, side=SIDE, count=200):
    """A score that so many boxes of a picture reach."""
    return search_at(network, side, 0.0, 1.0).detect([photo])[0][count].score


@pytest.fixture(scope="module")
def confidence(network, photos):
    return of_the_best(network, photos[0])


def predicted(path, photo, confidence, side):
    """(D, 5) boxes and scores, (D, 5, 2) landmarks, highest score first; ultralytics takes BGR."""
    with ultralytics_at_work() as ultralytics:
        result = ultralytics.YOLO(path).predict(
            np.ascontiguousarray(photo[:, :, ::-1]),
            imgsz=side,
            conf=confidence,
            iou=NMS,
            max_det=1000,
            verbose=False,
            device="cpu",
        )[0]
        boxes = np.column_stack([result.boxes.xyxy.numpy(), result.boxes.conf.numpy()])
        return boxes, result.keypoints.xy.numpy()


def of(faces):
    boxes = np.array([[*face.box, face.score] for face in faces]).reshape(-1, 5)
    return boxes, np.array([face.landmarks for face in faces]).reshape(-1, 5, 2)


@pytest.mark.parametrize("width", [640, 320])
def test_as_ultralytics_finds_them(network, photos, width):
    """At the picture's size, and at half of it, where both average four pixels."""
    for photo in photos[:2]:
        confidence = of_the_best(network, photo, width)
        boxes, landmarks = of(search_at(network, width, confidence).detect([photo])[0])
        expected_boxes, expected_landmarks = predicted(network, photo, confidence, width)
        assert len(boxes) == len(expected_boxes) > 20
        np.testing.assert_allclose(boxes[:, 4], expected_boxes[:, 4], atol=1e-4)
        np.testing.assert_allclose(boxes[:, :4].clip(0, 640), expected_boxes[:, :4], atol=0.2)
        np.testing.assert_allclose(landmarks.clip(0, 640), expected_landmarks, atol=0.2)


def test_colours_are_not_swapped(network, photos, confidence):
    search = YoloSearch(network, confidence, NMS)
    right, swapped = search.detect([photos[0], np.ascontiguousarray(photos[0][:, :, ::-1])])
    assert of(right)[0].shape != of(swapped)[0].shape or not np.allclose(of(right)[0], of(swapped)[0], atol=1e-3)
    np.testing.assert_allclose(of(right)[0][:, 4], predicted(network, photos[0], confidence, SIDE)[0][:, 4], atol=1e-4)


def test_pictures_of_any_size_are_searched_as_if_alone(network, photos, confidence):
    big = photos[0]
    cut = [big, big[:100, :333], big[:33, :600], big[5:6, :40], big[:, :0], np.ascontiguousarray(big[::2, ::2])]
    search = YoloSearch(network, confidence, NMS)
    together = search.detect(cut)
    assert together[4] == []
    assert search.detect([]) == []
    for picture, faces in zip(cut, together, strict=True):
        for face, alone in zip(faces, search.detect([picture])[0], strict=True):
            np.testing.assert_allclose(face.box, alone.box, atol=0.01)
            np.testing.assert_allclose(face.landmarks, alone.landmarks, atol=0.01)
            assert (face.box.dtype, face.landmarks.dtype, face.box.shape) == (np.float32, np.float32, (4,))
        scores = [face.score for face in faces]
        assert scores == sorted(scores, reverse=True)
        assert all(score >= confidence for score in scores)


def test_beyond_a_picture_lies_the_grey_that_ultralytics_pads_with(network, photos):
    photo = photos[0][:296, :300]
    framed = np.full((320, 320, 3), 114, np.uint8)
    framed[:296, :300] = photo
    confidence = of_the_best(network, framed)
    (faces,) = search_at(network, 300, confidence).detect([photo])
    (expected,) = YoloSearch(network, confidence, NMS).detect([framed])
    np.testing.assert_allclose(of(faces)[0], of(expected)[0], atol=1e-3)


def test_faces_are_given_in_the_pixels_of_the_picture(network, photos, confidence):
    """A picture twice as high and wide, brought back to the same size, has the same faces at twice the place."""
    search = YoloSearch(network, confidence, NMS)
    photo = np.ascontiguousarray(photos[1][::2, ::2])
    twice = photo.repeat(2, axis=0).repeat(2, axis=1)
    for face, larger in zip(*search.detect([photo, twice]), strict=True):
        np.testing.assert_allclose(larger.box, 2 * face.box, atol=0.05)
        np.testing.assert_allclose(larger.landmarks, 2 * face.landmarks, atol=0.05)


def test_it_searches_at_the_side_that_it_was_trained_with(network, monkeypatch):
    search = YoloSearch(network)
    assert search._size(640, 480) == (SIDE, 240)
    assert search._size(100, 200) == (160, SIDE)
    assert search._size(2000, 1) == (SIDE, 1)
    monkeypatch.setattr(sizes, "LARGEST_PHOTO", 10_000)
    assert search._size(200, 200) == (100, 100)
