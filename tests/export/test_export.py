import json

import cv2
import numpy as np
import pytest
import torch

from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import save_checkpoint
from faceline_core.models.recogniser import Recogniser
from faceline_core.stage.files import sha256_of
from faceline_export.exporting import export
from faceline_export.proof import largest_differences
from faceline_export.torchscript import write_torchscript

VR = {
    "far_1e-1": {"chosen_threshold": 0.41, "far_at_chosen": 0.09, "vr_at_chosen": 0.8, "resolvable": True},
    "far_1e-4": {"resolvable": False, "vr": None},
}


@pytest.fixture
def trained(tmp_path, write_processed):
    processed = write_processed(tmp_path, size=32)
    artifacts = tmp_path / "artifacts"
    torch.manual_seed(0)
    classes = read_split(processed, "train").classes
    recogniser = Recogniser("resnet18", 32, classes)
    save_checkpoint(
        artifacts / "checkpoints/best_model.pth", recogniser, epoch=1, data_sha256="abc", parameters={"lr": 0.1}
    )
    checkpoint = {"sha256": sha256_of(artifacts / "checkpoints/best_model.pth")}
    (artifacts / "metrics.json").write_text(json.dumps({"unseen": {"vr": VR}, "checkpoint": checkpoint}))
    return processed, artifacts, recogniser.eval()


def test_the_exported_file_answers_as_the_checkpoint_from_a_jpeg_to_a_name(trained):
    processed, artifacts, recogniser = trained
    export(processed, artifacts)
    model = torch.jit.load(str(artifacts / "model/model.torchscript.pt"))
    faces = [cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB) for p in read_split(processed, "test").paths]
    for images in (torch.from_numpy(np.stack(faces)), torch.from_numpy(faces[0][None]).float()):
        probabilities, unit, norm = model(images)
        with torch.no_grad():
            features = recogniser.features(images.permute(0, 3, 1, 2))
            expected = recogniser(images.permute(0, 3, 1, 2)).softmax(1)
        torch.testing.assert_close(probabilities, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(unit * norm, features, atol=1e-5, rtol=1e-3)
        torch.testing.assert_close(unit.norm(dim=1), torch.ones(len(images)))


def test_metadata_says_what_an_application_needs(trained):
    processed, artifacts, _ = trained
    export(processed, artifacts)
    metadata = json.loads((artifacts / "model/metadata.json").read_text())
    assert metadata["classes"] == [f"person_{i:02}" for i in range(4)]
    assert (metadata["img_size"], metadata["color_order"], metadata["embedding_size"]) == (32, "RGB", 512)
    assert metadata["mean"] == [0.485, 0.456, 0.406]
    assert metadata["thresholds"] == [{"far": 0.1, "threshold": 0.41, "measured_far": 0.09, "measured_vr": 0.8}]
    assert metadata["training_data_sha256"] == "abc"
    assert 0 <= metadata["largest_difference"] <= 1e-4
    assert metadata["parameters"] == {"lr": 0.1}
    assert set(metadata["versions"]) == {"faceline", "torch", "torchvision"}


def test_without_unknown_people_there_is_no_threshold(trained):
    processed, artifacts, _ = trained
    metrics = json.loads((artifacts / "metrics.json").read_text())
    del metrics["unseen"]
    (artifacts / "metrics.json").write_text(json.dumps(metrics))
    export(processed, artifacts)
    assert json.loads((artifacts / "model/metadata.json").read_text())["thresholds"] == []


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("ir_18", "adaface"),
        ("mobilefacenet", "arcface"),
        ("inception_resnet_v1", "softmax"),
        ("mobilenet_v3_small", "cosface"),
        ("efficientnet_b0", "softmax"),
        ("resnet18", "softmax"),
        ("timm/mobilenetv4_conv_small", "softmax"),
    ],
)
def test_backbones_and_heads_export_for_any_batch(tmp_path, name, head):
    torch.manual_seed(0)
    recogniser = Recogniser(name, 112, ["a", "b"], head=head).eval()
    recogniser.see_channels_as("bgr" if name == "ir_18" else "rgb")
    write_torchscript(recogniser, tmp_path / "m.pt")
    faces = torch.randint(0, 256, (3, 112, 112, 3), dtype=torch.uint8)
    assert largest_differences(recogniser, tmp_path / "m.pt", faces)["forward"] <= 1e-4


@pytest.mark.parametrize("answer", ["another", "nan"])
def test_a_model_that_differs_is_not_exported(trained, monkeypatch, answer):
    processed, artifacts, recogniser = trained
    export(processed, artifacts)
    before = (artifacts / "model/model.torchscript.pt").read_bytes()

    def write_another(_recogniser, path, _statistics):
        torch.manual_seed(1)
        other = Recogniser("resnet18", 32, recogniser.classes).eval()
        if answer == "nan":
            torch.nn.init.constant_(other.head.bias, float("nan"))
        write_torchscript(other, path)

    monkeypatch.setattr("faceline_export.exporting.write_torchscript", write_another)
    with pytest.raises(FacelineError, match="differs from its checkpoint by"):
        export(processed, artifacts)
    assert (artifacts / "model/model.torchscript.pt").read_bytes() == before


def test_what_is_missing_is_told(trained):
    processed, artifacts, _ = trained
    (artifacts / "metrics.json").write_text(json.dumps({"unseen": {"vr": VR}, "checkpoint": {"sha256": "of another"}}))
    with pytest.raises(FacelineError, match="measured on another checkpoint"):
        export(processed, artifacts)
    (artifacts / "metrics.json").write_text("{")
    with pytest.raises(FacelineError, match="is not JSON"):
        export(processed, artifacts)
    (artifacts / "metrics.json").unlink()
    with pytest.raises(FacelineError, match="dvc repro evaluate"):
        export(processed, artifacts)
    (artifacts / "checkpoints/best_model.pth").unlink()
    with pytest.raises(FacelineError, match="dvc repro train"):
        export(processed, artifacts)
