"""Photos whose faces a trained detector finds, and detectors that do not do."""

from importlib.util import find_spec

import pytest

from faceline_core.errors import FacelineError
from faceline_core.parameters.schema import Preprocess
from faceline_detect.detectors.folders import write_mtcnn, write_not_trained, write_trained
from faceline_detect.detectors.identity import working_confidence
from faceline_preprocess import preprocessing
from faceline_preprocess.judging import limits_of
from faceline_preprocess.preprocessing import preprocess


@pytest.fixture
def settings_with(parameters_with):
    """A function that gives `detect` of params.yaml, with another working_confidence."""
    return lambda confidence=0.5: parameters_with(("detect",), {"detect.test.working_confidence": confidence}).detect


@pytest.fixture
def retinaface(project, monkeypatch, real_data, settings_with):
    """A RetinaFace with published weights in the project's artifacts."""
    from faceline_detect.retinaface.checkpoint import load_retinaface, save
    from faceline_detect.retinaface.searching import Search

    monkeypatch.chdir(project.folder)
    network = load_retinaface(real_data / "weights/retinaface_mobilenet0.25.pth")[0]
    save(project.folder / "trained.pth", network, Search())
    folder = project.folder / "artifacts/detect/retinaface"
    write_trained(folder, "retinaface", project.folder / "trained.pth", settings_with())


@pytest.mark.real
@pytest.mark.usefixtures("retinaface")
def test_faces_are_those_of_the_detector_that_is_named(project, lfw):
    from faceline_core.faces import pick, read_photo
    from faceline_detect.detectors import load

    lfw(project, 2, 3)
    values = {"unseen_identities": 0.0, "near_duplicate_bits": None, "num_workers": 0}
    preprocess(project.set(detector="retinaface", **values))
    rows, detector = project.manifest(), load("retinaface")
    for row in rows:
        photo = read_photo(project.folder / row["path"])
        (face,) = pick(detector.detect([photo])[0], "central_largest", photo.shape[1], photo.shape[0])
        assert [float(row[f"box_{edge}"]) for edge in ("x1", "y1", "x2", "y2")] == pytest.approx(face.box, abs=0.1)
        assert float(row["score"]) == pytest.approx(face.score, abs=1e-4)
    preprocess(project.set(detector="mtcnn", **values))
    assert all(mine["score"] != row["score"] for mine, row in zip(project.manifest(), rows, strict=True))


def test_min_confidence_auto_is_the_score_that_the_detector_works_with(tmp_path, monkeypatch, settings_with):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").write_bytes(b"weights")
    write_trained(
        tmp_path / "artifacts/detect/retinaface",
        "retinaface",
        tmp_path / "model",
        settings_with(0.37),
    )
    limits = Preprocess.model_construct(min_confidence="auto", min_face_height=20)
    assert limits_of(limits, "mtcnn").min_confidence == 0.9
    assert limits_of(limits, "retinaface").min_confidence == working_confidence("retinaface") == 0.37
    assert limits_of(limits, "retinaface").min_face_height == 20
    named = Preprocess.model_construct(min_confidence=0.6)
    assert limits_of(named, "retinaface") is named


def test_what_is_done_already_is_forgotten_where_the_detector_is_another(project, monkeypatch, settings_with):
    monkeypatch.chdir(project.folder)
    (project.people / "ann").mkdir()
    (project.people / "ann/a.jpg").write_bytes(b"photo")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preprocessing, "find_faces", stopped)

    def scratch(detector):
        with pytest.raises(KeyboardInterrupt):
            preprocess(project.set(detector=detector))
        (folder,) = project.folder.glob("data/.scratch/preprocess-*")
        return folder.name

    before = scratch("mtcnn")
    folder, model = project.folder / "artifacts/detect/yolo", project.folder / "model"
    seen = []
    for weights, confidence in ((b"a", 0.5), (b"a", 0.5), (b"b", 0.5), (b"b", 0.1)):
        model.write_bytes(weights)
        write_trained(folder, "yolo", model, settings_with(confidence))
        seen.append(scratch("yolo"))
    assert seen[0] == seen[1]
    assert len({before, *seen}) == 4
    write_mtcnn(project.folder / "artifacts/detect/mtcnn")
    assert scratch("mtcnn") == before, "MTCNN is the same, whatever is trained"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, r"artifacts/detect/retinaface/detector.json is not there\. Train .*: dvc repro detect"),
        (lambda folder: write_not_trained(folder, "retinaface"), r"was not trained .* In detect.train add retinaface"),
        (write_mtcnn, "is of mtcnn, expected retinaface"),
        (lambda folder: spoil(folder, "{"), "detector.json is damaged"),
        (lambda folder: spoil(folder, '{"detector": "retinaface", "search": {"nms": 1}}'), "detector.json is damaged"),
    ],
)
@pytest.mark.real
def test_a_detector_that_is_not_there_is_one_line_before_any_photo(project, lfw, monkeypatch, make, words):
    monkeypatch.chdir(project.folder)
    lfw(project, 2, 2)
    project.processed.mkdir()
    (project.processed / "manifest.csv").write_text("earlier")
    make(project.folder / "artifacts/detect/retinaface")
    with pytest.raises(FacelineError, match=words):
        preprocess(project.set(detector="retinaface"))
    assert (project.processed / "manifest.csv").read_text() == "earlier"
    assert not list(project.folder.glob("data/.scratch/*/photos.jsonl"))


def spoil(folder, text):
    folder.mkdir(parents=True)
    (folder / "detector.json").write_text(text)


@pytest.fixture(scope="module")
def boxes_only(tmp_path_factory):
    """The file of a YOLO that finds boxes alone, untrained."""
    if find_spec("ultralytics") is None:  # to import it here would change things for other tests
        pytest.skip("ultralytics is not installed")
    from faceline_detect.yolo.checkpoint import write_yolo
    from faceline_detect.yolo.importing import ultralytics_at_work

    with ultralytics_at_work():
        from ultralytics.nn.tasks import DetectionModel

        network = DetectionModel("yolo11n.yaml", nc=1, verbose=False)
    network.names = {0: "face"}
    path = tmp_path_factory.mktemp("yolo") / "boxes.pt"
    write_yolo(network, path, 320)
    return path


@pytest.mark.real
@pytest.mark.parametrize("workers", [0, 1])
def test_a_yolo_without_landmarks_is_refused_before_any_photo(
    project, lfw, monkeypatch, settings_with, boxes_only, workers
):
    monkeypatch.chdir(project.folder)
    write_trained(project.folder / "artifacts/detect/yolo", "yolo", boxes_only, settings_with())
    lfw(project, 2, 2)
    with pytest.raises(FacelineError, match=r"yolo gives no landmarks, by which .* detect\.yolo\.landmarks: true"):
        preprocess(project.set(detector="yolo", num_workers=workers))
    assert not list(project.folder.glob("data/.scratch/*/photos.jsonl"))
