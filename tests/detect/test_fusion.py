"""Weighted boxes fusion and soft-NMS, against slow versions written from the papers."""

import math

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from faceline_core.faces import Face
from faceline_core.parameters.detection import Fusion
from faceline_detect.fusion import combine, fuse, soft_nms


def face(box, score, landmarks=None):
    return Face(np.array(box, np.float32), None if landmarks is None else np.array(landmarks, np.float32), score)


@pytest.fixture(scope="module")
def crowd():
    """A function that draws what `count` detectors find of a picture's faces: shifted boxes, some missed, some false,
    some without landmarks."""

    def draw(seed, count=3, people=25):
        rng = np.random.default_rng(seed)
        places = rng.uniform(0, 300, (people, 2))
        sizes = rng.uniform(15, 60, (people, 1))
        true = np.hstack([places, places + sizes])
        found = []
        for _ in range(count):
            seen, false = true[rng.random(people) < 0.8], rng.uniform(0, 60, (3, 4))
            false[:, 2:] += 70
            boxes = np.vstack([seen + rng.normal(0, 3, seen.shape), false])
            scores = rng.choice([0.0, 0.3, 0.5, 0.9], len(boxes)) + rng.choice([0, rng.uniform(0, 0.1)], len(boxes))
            points = [None if rng.random() < 0.3 else rng.uniform(box[0], box[2], (5, 2)) for box in boxes]
            found.append([face(*each) for each in zip(boxes, scores, points, strict=True)])
        return found

    return draw


def iou(a, b):
    return float(box_iou(torch.tensor(np.array(a, float))[None], torch.tensor(np.array(b, float))[None]))


def mean(members, value):
    weights = [max(w * f.score, 1e-12) for f, w, _ in members]
    return sum(weight * value(f) for weight, (f, *_) in zip(weights, members, strict=True)) / sum(weights)


def fuse_slowly(found, weights, threshold, conf_type, lowest):
    """Section 3 of the paper, box by box; every fused box is computed anew from its members."""
    pool = [(f, w, d) for d, (faces, w) in enumerate(zip(found, weights, strict=True)) for f in faces]
    pool = sorted((m for m in pool if m[0].score >= lowest), key=lambda m: (-m[0].score * m[1], m[0].box.tolist()))
    clusters = []
    for member in pool:
        shared = [iou(member[0].box, mean(cluster, lambda f: f.box.astype(float))) for cluster in clusters]
        if shared and max(shared) > threshold:
            clusters[shared.index(max(shared))].append(member)
        else:
            clusters.append([member])
    fused = []
    for cluster in clusters:
        of_each = [max([w * f.score for f, w, d in cluster if d == which], default=0) for which in range(len(found))]
        score = max(of_each) / max(weights) if conf_type == "max" else sum(of_each) / sum(weights)
        marked = [member for member in cluster if member[0].landmarks is not None]
        landmarks = mean(marked, lambda f: f.landmarks.astype(float)) if marked else None
        fused.append(face(mean(cluster, lambda f: f.box.astype(float)), score, landmarks))
    return sorted(fused, key=lambda f: -f.score)


def assert_same(found, expected, atol=1e-3):
    assert [f.score for f in found] == pytest.approx([f.score for f in expected], abs=1e-9)
    place = [sorted(faces, key=lambda f: (-round(f.score, 7), f.box.tolist())) for faces in (found, expected)]
    for ours, theirs in zip(*place, strict=True):
        np.testing.assert_allclose(ours.box, theirs.box, atol=atol)
        assert (ours.landmarks is None) == (theirs.landmarks is None)
        if theirs.landmarks is not None:
            np.testing.assert_allclose(ours.landmarks, theirs.landmarks, atol=atol)


@pytest.mark.parametrize("conf_type", ["max", "avg"])
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.6, 0.4, 2.0]])
@pytest.mark.parametrize("seed", range(3))
def test_fusion_is_what_the_paper_says(crowd, seed, weights, conf_type):
    found = crowd(seed)
    fused = fuse(found, weights, 0.55, conf_type, 0.1)
    assert_same(fused, fuse_slowly(found, weights, 0.55, conf_type, 0.1))
    assert len(fused) < sum(f.score >= 0.1 for faces in found for f in faces) - 10
    assert all(f.box.dtype == np.float32 for f in fused)


def test_a_face_that_one_detector_saw_keeps_its_score_by_max_and_is_lowered_by_avg():
    seen = [face([10, 10, 50, 50], 0.9)]
    (kept,) = fuse([seen, []], [0.6, 0.4])
    assert kept.score == 0.9
    (lowered,) = fuse([seen, []], [0.6, 0.4], conf_type="avg")
    assert lowered.score == pytest.approx(0.54)
    (of_the_lesser,) = fuse([[], seen], [0.6, 0.4])
    assert of_the_lesser.score == pytest.approx(0.6)
    twice = [*seen, face([12, 10, 52, 50], 0.8)]
    (counted_once,) = fuse([twice, []], conf_type="avg")
    assert counted_once.score == pytest.approx(0.45)


def test_the_order_of_detectors_of_one_weight_does_not_matter(crowd):
    for seed in range(5):
        found = crowd(seed)
        for turned in (found[::-1], found[1:] + found[:1]):
            for a, b in zip(fuse(found), fuse(turned), strict=True):
                assert a.score == b.score
                np.testing.assert_array_equal(a.box, b.box)
                assert (a.landmarks is None) == (b.landmarks is None)
                if a.landmarks is not None:
                    np.testing.assert_array_equal(a.landmarks, b.landmarks)


def test_one_detector_alone_comes_out_as_it_came_in():
    rng = np.random.default_rng(0)
    faces = [
        face([40 * i, 0, 40 * i + 39, 30], score, rng.uniform(0, 30, (5, 2)) if i % 2 else None)
        for i, score in enumerate([0.25, 1.0, 0.0, 0.7])
    ]
    for together in (fuse([faces], [0.3]), fuse([[], faces]), soft_nms(faces, confidence_threshold=0)):
        for ours, given in zip(together, sorted(faces, key=lambda f: -f.score), strict=True):
            assert ours.score == given.score
            np.testing.assert_array_equal(ours.box, given.box)
            assert (ours.landmarks is None) == (given.landmarks is None)
            if given.landmarks is not None:
                np.testing.assert_array_equal(ours.landmarks, given.landmarks)


def test_nothing_comes_out_beyond_the_faces_that_went_in(crowd):
    found = crowd(7, people=4)
    pool = [f for faces in found for f in faces]
    for fused in fuse(found):
        members = [f.box for f in pool if iou(f.box, fused.box) > 0.3]
        assert (fused.box >= np.min(members, axis=0)).all()
        assert (fused.box <= np.max(members, axis=0)).all()
        assert 0 <= fused.score <= max(f.score for f in pool)


def test_landmarks_come_from_those_members_that_have_them():
    points = np.arange(10).reshape(5, 2)
    box = [0, 0, 20, 20]
    (fused,) = fuse([[face(box, 0.9)], [face(box, 0.6, points)], [face(box, 0.3, points + 9)]])
    np.testing.assert_allclose(fused.landmarks, points + 3)
    (bare,) = fuse([[face(box, 0.9)], [face(box, 0.6)]])
    assert bare.landmarks is None


def test_no_faces_empty_boxes_and_wrong_settings():
    assert fuse([]) == fuse([[], []]) == soft_nms([]) == []
    empty = [face([5, 5, 5, 5], 0.5), face([9, 9, 3, 3], 0.4)]
    assert len(fuse([empty, empty])) == 4
    with pytest.raises(ValueError, match="expected 2, one a detector, found 1"):
        fuse([[], []], [1.0])
    with pytest.raises(ValueError, match="above 0, found 1, 0"):
        fuse([[], []], [1.0, 0.0])
    with pytest.raises(ValueError, match="'mean'"):
        fuse([[]], conf_type="mean")
    with pytest.raises(ValueError, match="'hard'"):
        soft_nms([], "hard")
    with pytest.raises(ValueError, match="above 0, found 0"):
        soft_nms([], "gaussian", sigma=0)


def soft_nms_slowly(faces, decay, threshold, sigma, lowest):
    """Figure 2 of the paper."""
    boxes, scores, kept = [f.box for f in faces], [f.score for f in faces], []
    while boxes:
        top = max(range(len(boxes)), key=lambda i: (scores[i], [-v for v in boxes[i].tolist()]))
        box, score = boxes.pop(top), scores.pop(top)
        kept.append(face(box, score))
        for i, other in enumerate(boxes):
            shared = iou(box, other)
            if decay == "gaussian":
                scores[i] *= math.exp(-shared * shared / sigma)
            elif shared > threshold:
                scores[i] *= 1 - shared
    return [f for f in kept if f.score >= lowest]


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
def test_soft_nms_is_what_the_paper_says(crowd, decay):
    for seed in range(3):
        pool = [face(f.box, f.score) for faces in crowd(seed) for f in faces]
        kept = soft_nms(pool, decay, 0.4, 0.5, 0.05)
        assert_same(kept, soft_nms_slowly(pool, decay, 0.4, 0.5, 0.05))
        assert len(kept) < len(pool)


def test_settings_choose_detectors_weights_and_method():
    a, b = face([0, 0, 20, 20], 0.9, np.ones((5, 2))), face([1, 0, 21, 20], 0.8)
    found = {"mtcnn": [face([90, 90, 99, 99], 1.0)], "yolo": [b], "retinaface": [a, face([50, 50, 60, 60], 0.1)]}
    settings = Fusion(
        method="boxes",
        iou_threshold=0.5,
        weights={"retinaface": 2.0, "yolo": 1.0},
        conf_type="max",
        confidence_threshold=0.2,
    )
    (fused,) = combine(found, settings)
    assert fused.score == 0.9
    np.testing.assert_allclose(fused.box[0], 0.4 / (0.9 + 0.4), atol=1e-6)
    np.testing.assert_allclose(fused.landmarks, 1)
    soft = combine(found, settings.model_copy(update={"method": "soft_nms"}))
    assert [f.score for f in soft] == [0.9]  # 0.4 x (1 - 0.905) is under the threshold
    far = {"retinaface": [a], "yolo": [face([70, 70, 90, 90], 0.8)]}
    assert [f.score for f in combine(far, settings.model_copy(update={"method": "soft_nms"}))] == [0.9, 0.4]
