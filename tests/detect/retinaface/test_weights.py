"""Where first weights come from."""

import pytest
import torch
from torchvision.models import resnet50

from faceline_core.errors import FacelineError
from faceline_detect.retinaface import RetinaFace, normalised, weights
from faceline_detect.retinaface.checkpoint import save
from faceline_detect.retinaface.searching import Search
from faceline_detect.retinaface.weights import load_weights


def same(network, other, part=""):
    pairs = zip(network.state_dict().items(), other.state_dict().values(), strict=True)
    return all(torch.equal(tensor, theirs) for (name, tensor), theirs in pairs if name.startswith(part))


def test_from_scratch(tmp_path):
    torch.manual_seed(0)
    network = RetinaFace("mobilenet0.25")
    torch.manual_seed(0)
    assert load_weights(network, "none", tmp_path) == "weights from scratch"
    assert same(network, RetinaFace("mobilenet0.25"))


def test_a_whole_network_and_a_checkpoint(lively, tmp_path):
    network, bare, checkpoint = lively(), tmp_path / "bare.pth", tmp_path / "model.pth"
    torch.save({"state_dict": {f"module.{n}": t for n, t in network.state_dict().items()}, "epoch": 3}, bare)
    save(checkpoint, network, Search())
    for path, said in ((bare, "300 of 300 tensors of the network"), (checkpoint, "a RetinaFace of mobilenet0.25")):
        fresh = RetinaFace("mobilenet0.25")
        assert load_weights(fresh, str(path), tmp_path) == f"weights from {path}, {said}"
        assert same(fresh, network)


def test_most_of_a_network(lively, tmp_path):
    """Landmark heads of another number of points."""
    path, state = tmp_path / "bare.pth", lively().state_dict()
    state["LandmarkHead.0.conv1x1.weight"] = torch.zeros(12, 64, 1, 1)
    torch.save(state, path)
    line = load_weights(RetinaFace("mobilenet0.25"), str(path), tmp_path)
    assert "299 of 300 tensors of the network (of another shape: LandmarkHead.0.conv1x1.weight" in line


def test_a_body_alone(lively, tmp_path):
    network, path, fresh = lively(), tmp_path / "body.pth", RetinaFace("mobilenet0.25")
    state = {f"module.{name}": tensor for name, tensor in network.body.state_dict().items()}
    torch.save({"state_dict": state | {"module.fc.weight": torch.zeros(1000, 256)}}, path)
    assert "162 of 162 tensors of its body" in load_weights(fresh, str(path), tmp_path)
    assert same(fresh.body, network.body)


def test_imagenets_resnet_sees_what_it_was_trained_to_see(tmp_path, monkeypatch):
    """Its first maps of a picture are those of torchvision's network on the picture in ImageNet's normalisation."""
    torch.manual_seed(0)
    theirs, path = resnet50().eval(), tmp_path / "resnet50.pth"
    torch.save(theirs.state_dict(), path)
    asked = []
    monkeypatch.setattr(weights, "downloaded", lambda *arguments: asked.append(arguments) or path)
    network = RetinaFace("resnet50").eval()
    assert "318 of 318 tensors of its body" in load_weights(network, "pretrained", tmp_path)
    ((url, folder, sha256),) = asked
    assert folder == tmp_path
    assert url.endswith(f"/resnet50-{sha256}.pth")
    picture = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = theirs.conv1((picture / 255 - mean) / std)
        found = network.body.conv1(normalised(picture))
        torch.testing.assert_close(found, expected, rtol=0, atol=0.05 * float(expected.std()))


@pytest.mark.parametrize(
    ("backbone", "source", "said"),
    [
        ("mobilenet0.25", "pretrained", "pretrained is there for backbone resnet50 alone"),
        ("mobilenet0.25", "pretraind", r"pretraind is not there \(did you mean pretrained\?\)"),
        ("mobilenet0.25", "other.pth", r"fits 0 of 253 tensors .* less than 90 %"),
        ("mobilenet0.25", "empty.pth", "holds no tensors"),
        ("mobilenet0.25", "text.pth", "is no file of tensors"),
        ("resnet50", "mobilenet.pth", r"is of backbone mobilenet0\.25, and backbone is resnet50"),
        ("resnet50", "model.pth", r"backbone mobilenet0\.25, and this one has resnet50"),
    ],
)
def test_what_does_not_do(lively, tmp_path, monkeypatch, backbone, source, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.pth").write_text("weights")
    torch.save({"epoch": 3}, "empty.pth")
    torch.save({"layer.weight": torch.zeros(3)}, "other.pth")
    torch.save(lively().state_dict(), "mobilenet.pth")
    save(tmp_path / "model.pth", lively(), Search())
    with pytest.raises(FacelineError, match=said) as error:
        load_weights(RetinaFace(backbone), source, tmp_path)
    assert "\n" not in str(error.value)
