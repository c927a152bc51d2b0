"""MTCNN behind the one interface, against facenet-pytorch as it comes."""

import numpy as np
import pytest
from facenet_pytorch import MTCNN
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.faces import read_photo
from faceline_detect.detectors import load
from faceline_detect.detectors import mtcnn as mtcnn_module
from faceline_detect.detectors.batches import equal_size_batches


@pytest.fixture(scope="module")
def mtcnn():
    return load("mtcnn")


@pytest.fixture(scope="module")
def photos(real_data):
    """Real photos of several sizes, some with several faces."""
    people = sorted((real_data / "recognition/people").glob("*/*.jpg"))[::120]
    groups = sorted((real_data / "detection/images").rglob("*.jpg"))[9:13]
    return [read_photo(path) for path in people + groups]


@pytest.mark.real
def test_the_same_faces_as_facenet_pytorch_one_photo_at_a_time(mtcnn, photos):
    original = MTCNN(keep_all=True)
    several = 0
    for photo, faces in zip(photos, mtcnn.detect(photos), strict=True):
        boxes, scores, landmarks = original.detect(Image.fromarray(photo), landmarks=True)
        assert len(faces) == (0 if boxes is None else len(boxes))
        if boxes is not None:
            boxes, landmarks = boxes.astype(float), landmarks.astype(float)  # they come as arrays of objects
        several += len(faces) > 1
        for face in faces:
            at = int(np.argmin(np.abs(boxes - face.box).sum(axis=1)))
            np.testing.assert_allclose(face.box, boxes[at], atol=0.05)
            np.testing.assert_allclose(face.landmarks, landmarks[at], atol=0.05)
            assert face.score == pytest.approx(scores[at], abs=1e-3)
            assert (face.box.dtype, face.landmarks.dtype) == (np.float32, np.float32)
        assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    assert several > 2


@pytest.mark.real
def test_landmarks_are_in_the_order_of_the_template(mtcnn, photos):
    (face,) = mtcnn.detect(photos[:1])[0][:1]
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]


def test_photos_without_faces_tiny_ones_and_none_at_all(mtcnn):
    rng = np.random.default_rng(0)
    shapes = [(19, 300), (300, 5), (1, 1), (20, 20), (64, 48), (64, 48), (200, 30)]
    photos = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes] + [np.zeros((90, 90, 3), np.uint8)]
    assert mtcnn.detect(photos) == [[]] * len(photos)
    assert mtcnn.detect([]) == []


@pytest.mark.real
def test_huge_photos_are_searched_smaller_and_answered_in_their_own_pixels(mtcnn, photos, monkeypatch):
    (expected,) = mtcnn.detect(photos[:1])
    monkeypatch.setattr(mtcnn_module, "LARGEST_PHOTO", 40_000)
    (found,) = mtcnn.detect(photos[:1])
    np.testing.assert_allclose(found[0].box, expected[0].box, atol=8)
    np.testing.assert_allclose(found[0].landmarks, expected[0].landmarks, atol=5)


def test_a_candidate_wholly_outside_costs_no_photo(mtcnn, monkeypatch):
    """facenet-pytorch then raises one of two errors for the whole batch: photos are tried one by one, then framed."""
    face = (np.array([[42, 52, 62, 72]]), np.array([0.9]), np.full((1, 5, 2), 50))
    photos = [np.full((40, 40, 3), grey, np.uint8) for grey in (10, 20, 30)]

    def detect(batch, landmarks):
        assert landmarks
        if len(batch) > 1:
            raise IndexError(
                "The shape of the mask [3] at index 0 does not match the shape of the indexed tensor [4, 4]"
            )
        if batch.shape[1:3] == (40, 40) and batch[0, 0, 0, 0] == 20:
            raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
        return tuple(np.array([part, None], dtype=object)[:1] for part in face)

    monkeypatch.setattr(mtcnn.net, "detect", detect)
    found = mtcnn.detect(photos)
    assert [faces[0].box.tolist() for faces in found] == [[42, 52, 62, 72], [10, 20, 30, 40], [42, 52, 62, 72]]


def test_other_errors_of_the_net_are_not_hidden(mtcnn, monkeypatch):
    def detect(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(mtcnn.net, "detect", detect)
    with pytest.raises(RuntimeError, match="out of memory"):
        mtcnn.detect([np.zeros((40, 40, 3), np.uint8)])


def test_batches_are_of_one_size_bounded_and_complete():
    rng = np.random.default_rng(1)
    images = [np.zeros((int(h), int(w), 3), np.uint8) for h, w in rng.choice([20, 40, 100], (60, 2))]
    batches = list(equal_size_batches(images, max_pixels=8_000, max_images=5))
    assert sorted(position for batch in batches for position in batch) == list(range(60))
    for batch in batches:
        assert len({images[position].shape for position in batch}) == 1
        assert len(batch) <= 5
        assert len(batch) == 1 or sum(images[position][..., 0].size for position in batch) <= 8_000


def test_unknown_detectors_and_needless_checkpoints_are_refused(tmp_path):
    with pytest.raises(FacelineError, match="'mtcn', expected one of mtcnn"):
        load("mtcn")
    with pytest.raises(FacelineError, match="takes no checkpoint"):
        load("mtcnn", tmp_path / "a.pth")
