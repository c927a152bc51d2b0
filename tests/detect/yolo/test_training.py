"""A YOLO's training: its files, that it goes on, and what it turns away."""

import re

import numpy as np
import pytest
import torch
import yaml

from faceline_core.errors import FacelineError
from faceline_detect.annotations import read_annotations
from faceline_detect.scenes import Part
from faceline_detect.yolo import training
from faceline_detect.yolo.checkpoint import read_yolo
from faceline_detect.yolo.importing import ultralytics_at_work
from faceline_detect.yolo.models import check_model
from faceline_detect.yolo.searching import YoloSearch
from faceline_detect.yolo.training import train_yolo


@pytest.fixture(scope="module")
def parts(scenes):
    labels = read_annotations(scenes / "label.txt")
    return Part(labels.pictures[:4], labels.folder), Part(labels.pictures[4:], labels.folder)


def changed(settings, **values):
    return type(settings).model_validate(settings.model_dump() | values)


def test_it_leaves_a_model_a_history_and_plots(trained):
    rows = trained.history
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        parts = [float(value) for name, value in row.items() if name.startswith("train_") and name != "train_loss"]
        assert float(row["train_loss"]) == pytest.approx(sum(parts))
        assert min(parts) > 0
        assert {"train_pose_loss", "val_box_loss", "landmarks_map50_95"} <= set(row)
        for name in ("precision", "recall", "map50", "map50_95"):
            assert 0 <= float(row[name]) <= 1
        assert 0 < float(row["lr"]) <= trained.settings.lr
        assert float(row["seconds"]) > 0
    plots = {path.name for path in (trained.folder / "report").iterdir()}
    assert {
        "results.png",
        "BoxPR_curve.png",
        "confusion_matrix.png",
        "train_batch0.jpg",
        "val_batch0_pred.jpg",
    } <= plots
    (scratch,) = (trained.folder / "artifacts/.scratch").iterdir()
    assert {path.name for path in scratch.iterdir()} == {"done"}, "pictures or states are left there"


def test_the_model_holds_nothing_of_this_machine(trained):
    content = (trained.folder / "model.pt").read_bytes()
    for word in (str(trained.folder), str(trained.home), "faceline-ultralytics", "origin"):
        assert word.encode() not in content


def test_ultralytics_itself_takes_the_model(trained):
    with ultralytics_at_work() as ultralytics:
        model = ultralytics.YOLO(trained.folder / "model.pt")
        assert (model.task, model.names) == ("pose", {0: "face"})
        assert model.model.args["imgsz"] == trained.settings.side


def test_stopped_and_gone_on_with_it_comes_to_the_same_bytes(
    trained, parts, yolo_settings, on_cpu, tmp_path, capsys, monkeypatch
):
    """The other run was never stopped, and in a process of its own."""
    places = tmp_path / "model.pt", tmp_path / "report"
    options = {"seed": 3, "trainer": on_cpu, "artifacts": tmp_path / "artifacts"}

    def stop(_row, _epochs):
        raise KeyboardInterrupt

    torch.set_num_threads(1)
    with monkeypatch.context() as patch:
        patch.setattr(training, "line_of", stop)
        with pytest.raises(KeyboardInterrupt):
            train_yolo(yolo_settings, *parts, *places, **options)
    assert not places[0].exists()
    capsys.readouterr()
    train_yolo(yolo_settings, *parts, *places, **options)
    output = capsys.readouterr().out
    assert "goes on where it was stopped" in output
    assert re.findall(r"YOLO epoch (\d)/", output) == ["2"]
    assert places[0].read_bytes() == (trained.folder / "model.pt").read_bytes()
    with (places[1] / "history.csv").open() as file:
        assert len(file.readlines()) == 3
    train_yolo(yolo_settings, *parts, *places, **options)
    assert "was trained before" in capsys.readouterr().out


def test_boxes_alone(trained, parts, yolo_settings, on_cpu, tmp_path):  # noqa: ARG001
    settings = changed(yolo_settings, landmarks=False, epochs=1)
    places = tmp_path / "model.pt", tmp_path / "report"
    train_yolo(settings, *parts, *places, seed=0, trainer=on_cpu, artifacts=tmp_path)
    columns = (places[1] / "history.csv").read_text().splitlines()[0]
    assert "map50" in columns
    assert not re.search("pose|landmarks", columns)
    search = YoloSearch(tmp_path / "model.pt", confidence=0.0)
    assert not search.landmarks
    faces = search.detect([np.zeros((64, 64, 3), np.uint8)])[0]
    assert faces
    assert all(face.landmarks is None for face in faces)


def test_without_epochs_the_weights_given_are_the_detector(trained, parts, yolo_settings, on_cpu, tmp_path):
    weights = trained.folder / "model.pt"
    settings = changed(yolo_settings, epochs=0, model=str(weights))
    place = train_yolo(settings, *parts, tmp_path / "m.pt", tmp_path / "r", seed=0, trainer=on_cpu, artifacts=tmp_path)
    assert place.read_bytes() == weights.read_bytes()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "yolo11x9.yaml"}, r"yolo11x9.yaml is no file and none of ultralytics'; did you mean yolo11"),
        ({"model": "yolov10n.yaml"}, r"no yolov10n.yaml for landmarks.*landmarks: false"),
        ({"model": "yolo11n-seg.yaml"}, r"no yolo11n-seg.yaml for landmarks"),
        ({"model": "yolo11n-seg.yaml", "landmarks": False}, r"yolo11n-seg.yaml is no detector: it ends in Segment"),
        ({"model": "yolo11n-pose.yaml", "landmarks": False}, r"gives landmarks, and detect.yolo.landmarks is false"),
        ({"model": "yolo11n"}, r"neither a .yaml nor a .pt file"),
        ({"model": "yolo11n.pt"}, r"yolo11n.pt is not there.*none is downloaded"),
    ],
)
@pytest.mark.usefixtures("ultralytics_there")
def test_models_that_do_not_do(yolo_settings, tmp_path, monkeypatch, values, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacelineError, match=message):
        check_model(changed(yolo_settings, **values))


@pytest.mark.parametrize(
    ("model", "landmarks", "expected"),
    [
        ("yolo11n.yaml", True, "yolo11n-pose.yaml"),
        ("yolo11n.yaml", False, "yolo11n.yaml"),
        ("yolo11s-pose.yaml", True, "yolo11s-pose.yaml"),
        ("yolov8m-p6.yaml", False, "yolov8m-p6.yaml"),
        ("yolo26n.yaml", True, "yolo26n-pose.yaml"),
    ],
)
@pytest.mark.usefixtures("ultralytics_there")
def test_yamls_of_ultralytics(yolo_settings, model, landmarks, expected):
    assert check_model(changed(yolo_settings, model=model, landmarks=landmarks)) == expected


def test_weights_and_a_yaml_of_ones_own(trained, yolo_settings, tmp_path):
    weights = str(trained.folder / "model.pt")
    assert check_model(changed(yolo_settings, model=weights)) == weights
    with pytest.raises(FacelineError, match=r"model\.pt gives landmarks, and detect.yolo.landmarks is false"):
        check_model(changed(yolo_settings, model=weights, landmarks=False))
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"nc": 1, "head": [[-1, 1, "Detect", ["nc"]]]}))
    assert check_model(changed(yolo_settings, model=str(own), landmarks=False)) == str(own)
    with pytest.raises(FacelineError, match=r"own\.yaml gives no landmarks"):
        check_model(changed(yolo_settings, model=str(own)))
    own.write_text("head: 3")
    with pytest.raises(FacelineError, match=r"own\.yaml has no list `head`"):
        check_model(changed(yolo_settings, model=str(own)))


class Harmful:
    def __reduce__(self):
        return print, ("code of a file ran",)


@pytest.mark.usefixtures("ultralytics_there")
def test_files_that_are_no_yolo_are_refused_and_run_no_code(tmp_path, capsys):
    path = tmp_path / "model.pt"
    with pytest.raises(FacelineError, match="is not there"):
        read_yolo(path)
    for content in (b"", b"no weights", {"model": Harmful()}, {"model": 3}, [1]):
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(FacelineError, match=r"model.pt: ultralytics reads no YOLO from it"):
            read_yolo(path)
    assert "code of a file ran" not in capsys.readouterr().out


@pytest.mark.usefixtures("ultralytics_there")
def test_a_gpu_or_precision_that_is_not_there(parts, yolo_settings, parameters_with, tmp_path):
    places = tmp_path / "m.pt", tmp_path / "r"
    for values, message in (
        ({"trainer.accelerator": "cpu", "trainer.precision": 16}, "precision: 16 needs a GPU"),
        ({"trainer.accelerator": "gpu"}, "no CUDA device"),
    ):
        if "gpu" in values.values() and torch.cuda.is_available():
            continue
        trainer = parameters_with(("trainer",), values).trainer
        with pytest.raises(FacelineError, match=message):
            train_yolo(yolo_settings, *parts, *places, seed=0, trainer=trainer, artifacts=tmp_path)
