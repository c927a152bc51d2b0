"""MTCNN behind the one interface, against facenet-pytorch as it comes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from PIL import Image
from torch.nn.functional import interpolate

from faceline_core.errors import FacelineError
from faceline_core.faces import read_photo
from faceline_detect.detectors import cascade as cascade_module
from faceline_detect.detectors import identity, load
from faceline_detect.detectors import mtcnn as mtcnn_module
from faceline_detect.detectors.area_means import crop_means, spans, strip_means, sum_tables
from faceline_detect.detectors.batches import equal_size_batches
from faceline_detect.detectors.folders import write_fused, write_mtcnn, write_trained
from faceline_detect.fusion import combine
from faceline_detect.retinaface import RetinaFace
from faceline_detect.retinaface.checkpoint import load_retinaface, save
from faceline_detect.retinaface.searching import RetinaFaceSearch, Search

MEMBERS = {"fused": {"mtcnn", "retinaface", "yolo"}}


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
def test_it_does_not_matter_in_which_parts_a_photo_is_searched(mtcnn, photos, monkeypatch):
    for photo in photos[:3]:
        (whole,) = mtcnn.cascade._propose(sum_tables([photo]))
        monkeypatch.setattr(cascade_module, "_PART", 4_000)
        (in_parts,) = mtcnn.cascade._propose(sum_tables([photo]))
        monkeypatch.undo()
        assert len(whole) > 10
        np.testing.assert_allclose(in_parts, whole, atol=0.01)


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


@pytest.mark.real
def test_a_candidate_wholly_outside_costs_no_face(mtcnn, photos, monkeypatch):
    """facenet-pytorch raises one of two errors, for its second and third net leave it out of one list only."""
    expected = mtcnn.detect(photos[:1])[0]
    propose = mtcnn.cascade._propose
    outside = torch.tensor([[-40.0, -40, -10, -10, 0.99], [9, 300, 30, 321, 0.9], [400, 5, 430, 35, 0.9]])
    monkeypatch.setattr(mtcnn.cascade, "_propose", lambda tables: [torch.cat([outside, *propose(tables)])])
    for face, same in zip(mtcnn.detect(photos[:1])[0], expected, strict=True):
        np.testing.assert_allclose(face.box, same.box, atol=1e-3)
    monkeypatch.setattr(mtcnn.cascade, "_propose", lambda _: [outside])
    assert mtcnn.detect(photos[:1]) == [[]]


@pytest.mark.parametrize("size", [(20, 24), (97, 53), (113, 41)])
def test_a_picture_made_smaller_is_what_torch_makes_of_it(size):
    pictures = np.random.default_rng(2).integers(0, 256, (2, 113, 97, 3), np.uint8)
    expected = interpolate(torch.from_numpy(pictures).permute(0, 3, 1, 2).float(), size=size, mode="area")
    rows, columns = spans(113, size[0]), spans(97, size[1])
    means = strip_means(sum_tables(pictures), rows, columns)
    np.testing.assert_allclose(means, expected.permute(0, 2, 3, 1), atol=1e-3)
    strip = strip_means(sum_tables(pictures), (rows[0][5:9], rows[1][5:9]), columns)
    np.testing.assert_array_equal(strip, means[:, 5:9])


def test_crops_are_what_torch_makes_of_them_one_by_one():
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (80, 70, 3), np.uint8)
    corners = rng.integers(0, 60, (40, 2))
    crops = np.hstack([corners, np.minimum(corners + rng.integers(1, 90, (40, 2)), (70, 80))])
    means = crop_means(sum_tables([picture])[0], crops, 24)
    for (left, top, right, bottom), found in zip(crops, means, strict=True):
        part = torch.from_numpy(picture[top:bottom, left:right]).permute(2, 0, 1)[None].float()
        np.testing.assert_allclose(found, interpolate(part, size=24, mode="area")[0].permute(1, 2, 0), atol=1e-3)


def test_sums_beyond_what_32_bits_hold_give_the_right_means():
    white = np.full((3000, 3000, 3), 255, np.uint8)  # 2.3 thousand million
    tables = sum_tables([white])
    assert (strip_means(tables, spans(3000, 15), spans(3000, 17)) == 255).all()
    assert (crop_means(tables[0], np.array([[2000, 2000, 3000, 3000]]), 48) == 255).all()


def test_batches_are_of_one_size_bounded_and_complete():
    rng = np.random.default_rng(1)
    images = [np.zeros((int(h), int(w), 3), np.uint8) for h, w in rng.choice([20, 40, 100], (60, 2))]
    batches = list(equal_size_batches(images, max_pixels=8_000, max_images=5))
    assert sorted(position for batch in batches for position in batch) == list(range(60))
    for batch in batches:
        assert len({images[position].shape for position in batch}) == 1
        assert len(batch) <= 5
        assert len(batch) == 1 or sum(images[position][..., 0].size for position in batch) <= 8_000


@pytest.fixture(scope="module")
def trained(real_data, parameters_with, tmp_path_factory):
    """Folders as the stage leaves them: `retinaface` with published weights, `fused` of it and MTCNN."""
    folder = tmp_path_factory.mktemp("detect")
    settings = parameters_with(("detect",), {}).detect
    fusion = settings.fusion.model_copy(update={"weights": {"mtcnn": 1.0, "retinaface": 0.9}})
    test = settings.test.model_copy(update={"working_confidence": 0.8})
    settings = settings.model_copy(update={"test": test, "fusion": fusion})
    save(folder / "file.pth", load_retinaface(real_data / "weights/retinaface_mobilenet0.25.pth")[0], Search(0.02))
    write_trained(folder / "retinaface", "retinaface", folder / "file.pth", settings)
    write_mtcnn(folder / "mtcnn")
    write_fused(folder / "fused", {name: folder / name for name in fusion.weights}, settings)
    return folder, fusion


@pytest.mark.real
def test_a_trained_detector_reports_from_the_score_that_its_folder_says(trained, photos, real_data):
    folder, _ = trained
    everything = load("retinaface", folder / "retinaface", confidence=0.02).detect(photos)
    for detector, lowest in (
        (load("retinaface", folder / "retinaface"), 0.8),
        (load("retinaface", folder / "file.pth"), 0.5),
        (load("retinaface", real_data / "weights/retinaface_mobilenet0.25.pth"), 0.5),
        (load("retinaface", folder / "file.pth", confidence=0.9), 0.9),
    ):
        assert (detector.confidence, detector.landmarks) == (lowest, True)
        for found, all_of_them in zip(detector.detect(photos), everything, strict=True):
            expected = [face.box.tolist() for face in all_of_them if face.score >= lowest]
            np.testing.assert_allclose([face.box for face in found], np.reshape(expected, (-1, 4)), atol=0.01)
    assert sum(map(len, everything)) > sum(map(len, load("retinaface", folder / "file.pth").detect(photos)))


@pytest.mark.real
def test_a_fused_detector_finds_what_its_members_find_taken_together(trained, photos, mtcnn):
    folder, fusion = trained
    shutil.move(folder / "retinaface", folder / "elsewhere")
    fused = load("fused", folder / "fused")
    assert (fused.confidence, fused.landmarks) == (0.8, True)
    retinaface = load("retinaface", folder / "elsewhere", confidence=fusion.confidence_threshold)
    shutil.move(folder / "elsewhere", folder / "retinaface")
    both = zip(mtcnn.detect(photos), retinaface.detect(photos), strict=True)
    apart = []
    for found, (one, other) in zip(fused.detect(photos), both, strict=True):
        expected = [f for f in combine({"mtcnn": one, "retinaface": other}, fusion) if f.score >= 0.8]
        np.testing.assert_allclose([f.box for f in found], np.reshape([f.box for f in expected], (-1, 4)), atol=0.01)
        np.testing.assert_allclose([f.score for f in found], [f.score for f in expected], atol=1e-4)
        assert all(face.landmarks is not None for face in found)
        apart += [np.abs(face.box - same.box).max() for face, same in zip(found[:1], one[:1], strict=True)]
    assert max(apart) > 1, "a fused box lies between those of the members"


@pytest.mark.real
def test_members_report_from_the_threshold_of_the_fusion_whatever_the_fused_score_must_be(trained, photos, mtcnn):
    """At the folder's 0.999 few faces of RetinaFace would be left to take part in a mean box."""
    folder, fusion = trained
    strict = shutil.copytree(folder / "fused", folder / "strict")
    description = json.loads((strict / "detector.json").read_text())
    description["search"]["confidence"] = 0.999
    (strict / "detector.json").write_text(json.dumps(description))
    fused = load("fused", strict)
    assert {name: member.confidence for name, member in fused.members.items()} == dict.fromkeys(fusion.weights, 0.02)
    retinaface = load("retinaface", strict / "retinaface", confidence=0.02).detect(photos)
    shared = 0
    for found, one, other in zip(fused.detect(photos), mtcnn.detect(photos), retinaface, strict=True):
        expected = [f for f in combine({"mtcnn": one, "retinaface": other}, fusion) if f.score >= 0.999]
        np.testing.assert_allclose([f.box for f in found], np.reshape([f.box for f in expected], (-1, 4)), atol=0.01)
        alone = np.array([face.box for face in one])
        shared += sum(np.abs(alone - face.box).max(axis=1).min() > 0.5 for face in found)
    assert shared > 10, "most boxes are means of both"


def test_members_of_a_fusion_are_loaded_at_its_threshold(tmp_path, parameters_with):
    settings = parameters_with(("detect",), {"detect.fusion.confidence_threshold": 0.07}).detect
    fusion = settings.fusion.model_copy(update={"weights": {"mtcnn": 1.0, "retinaface": 1.0}})
    settings = settings.model_copy(update={"fusion": fusion})
    save(tmp_path / "model.pth", RetinaFace("mobilenet0.25"), Search())
    write_trained(tmp_path / "retinaface", "retinaface", tmp_path / "model.pth", settings)
    write_mtcnn(tmp_path / "mtcnn")
    write_fused(tmp_path / "fused", {name: tmp_path / name for name in fusion.weights}, settings)
    for wanted in (None, 0.3):
        fused = load("fused", tmp_path / "fused", confidence=wanted)
        assert fused.confidence == (wanted or 0.5)
        assert [member.confidence for member in fused.members.values()] == [0.07, 0.07]


@pytest.mark.parametrize("precision", [32, "bf16"])
def test_a_retinaface_searches_in_the_precision_of_its_folder(tmp_path, parameters_with, lively, precision):
    network = lively()
    save(tmp_path / "model.pth", network, Search())
    settings = parameters_with(("detect",), {"detect.search.precision": precision}).detect
    write_trained(tmp_path / "folder", "retinaface", tmp_path / "model.pth", settings)
    photo = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    found = [face.score for face in load("retinaface", tmp_path / "folder", confidence=0.0).detect([photo])[0]]
    same, other = (
        [face.score for face in RetinaFaceSearch(network, Search(0.0, precision=each)).detect([photo])[0]]
        for each in (precision, "bf16" if precision == 32 else 32)
    )
    assert len(found) > 5
    assert found == same != other


@pytest.mark.parametrize("name", ["mtcnn", "retinaface", "yolo", "fused"])
def test_the_identity_of_a_detector_holds_the_packages_that_it_runs(name):
    package = Path(identity.__file__).parents[1]
    todo, reached = [package / f"detectors/{each}.py" for each in ({name} | MEMBERS.get(name, set()))], set()
    while todo:
        file = todo.pop()
        reached.add(file)
        modules = re.findall(r"^ *from faceline_detect\.([\w.]+) import", file.read_text(), re.M)
        places = [package.joinpath(*module.split(".")) for module in modules if module != "detectors"]  # loads any
        files = [place / "__init__.py" if place.is_dir() else place.with_suffix(".py") for place in places]
        todo += set(files) - reached
    assert {file.relative_to(package).parts[0] for file in reached} == set(identity._CODE[name])


def test_unknown_detectors_and_needless_checkpoints_are_refused(tmp_path):
    with pytest.raises(FacelineError, match="'mtcn', expected one of mtcnn"):
        load("mtcn")
    with pytest.raises(FacelineError, match="takes no checkpoint"):
        load("mtcnn", tmp_path / "a.pth")
