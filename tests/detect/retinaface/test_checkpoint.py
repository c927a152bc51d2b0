"""RetinaFace's file: all comes back, and what does not belong together is refused."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_detect.retinaface.checkpoint import load_retinaface, save
from faceline_detect.retinaface.searching import RetinaFaceSearch, Search

SEARCH = Search(0.05, 0.3, 640, 900, (0.5, 1.0), True, "bf16")


@pytest.fixture
def written(lively, tmp_path):
    """A network, and the checkpoint of it."""
    network, path = lively(), tmp_path / "model.pth"
    save(path, network, SEARCH, side=320, epoch=7, parameters={"lr": 0.001})
    return network, path


@pytest.fixture
def changed(written):
    """A function that writes the checkpoint anew with some of its content replaced."""

    def change(**values):
        torch.save(read_tensor_file(written[1]) | values, written[1])
        return written[1]

    return change


def test_all_comes_back(written):
    network, path = written
    found, content = load_retinaface(path, "mobilenet0.25")
    assert not found.training
    assert Search(**content["search"]) == SEARCH
    assert (content["side"], content["epoch"], content["parameters"]) == (320, 7, {"lr": 0.001})
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    faces = [RetinaFaceSearch(one, Search(confidence=0)).detect([photo])[0] for one in (network, found)]
    assert len(faces[0]) > 10
    assert [asdict_of(face) for face in faces[0]] == [asdict_of(face) for face in faces[1]]


def asdict_of(face):
    return {name: np.asarray(value).tolist() for name, value in asdict(face).items()}


def test_what_a_checkpoint_records_is_what_the_format_promises(written):
    content = read_tensor_file(written[1])
    weights = content.pop("state_dict")
    assert len(weights) == 300
    content.pop("faceline")
    assert content == {
        "format": "faceline-retinaface",
        "version": 1,
        "backbone": "mobilenet0.25",
        "anchors": {"strides": [8, 16, 32], "sizes": [[16, 32], [64, 128], [256, 512]]},
        "coding": {"centre": 0.1, "size": 0.2},
        "activation": {"body_slope": 0.1, "slope": 0.1},
        "normalisation": {"channel_order": "bgr", "mean": [104.0, 117.0, 123.0]},
        "search": {
            "confidence": 0.05, "nms": 0.3, "short_side": 640, "long_side": 900, "scales": (0.5, 1.0), "flip": True,
            "precision": "bf16",
        },
        "side": 320,
        "epoch": 7,
        "parameters": {"lr": 0.001},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        ("anchors", {"strides": [8, 16, 32], "sizes": [[10, 20], [32, 64], [128, 256]]}, r"anchors .*\[\[10, 20\]"),
        (
            "activation",
            {"body_slope": 0.0, "slope": 0.1},
            r"activation body_slope 0.0, slope 0.1, and this one has body_",
        ),
        ("normalisation", {"channel_order": "rgb", "mean": [123.0, 117.0, 104.0]}, r"normalisation channel_order rgb"),
        ("coding", {"centre": 0.2, "size": 0.2}, r"coding centre 0.2"),
        ("anchors", None, r"anchors None"),
        ("version", 2, r"is a checkpoint of version 2, this Faceline reads version 1"),
        ("state_dict", {}, r"its weights do not fit a RetinaFace of mobilenet0.25"),
    ],
)
def test_what_disagrees_with_the_network_is_refused(changed, what, value, said):
    with pytest.raises(FacelineError, match=said) as error:
        load_retinaface(changed(**{what: value}))
    assert "\n" not in str(error.value)


def test_the_other_backbone_is_refused_by_both_names(written):
    with pytest.raises(FacelineError, match=r"backbone mobilenet0\.25, and this one has resnet50\. Set "):
        load_retinaface(written[1], "resnet50")


def test_files_that_are_no_checkpoint(tmp_path, lively):
    body, text = tmp_path / "body.pth", tmp_path / "text.pth"
    torch.save(lively().body.state_dict(), body)
    text.write_text("weights")
    for path, said in ((body, "no whole RetinaFace"), (text, "is no file of tensors"), (tmp_path / "no", "not there")):
        with pytest.raises(FacelineError, match=said):
            load_retinaface(path)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_bare_state_dict(lively, tmp_path, prefix):
    network, path = lively(), tmp_path / "bare.pth"
    torch.save({prefix + n: t for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}, path)
    loaded, content = load_retinaface(path)
    assert (loaded.training, content) == (False, {})
    found = loaded.state_dict()
    assert found["BboxHead.2.conv1x1.bias"].equal(network.state_dict()["BboxHead.2.conv1x1.bias"])
    assert found["body.stage3.1.4.running_var"].equal(network.state_dict()["body.stage3.1.4.running_var"])


def test_a_bare_state_dict_that_does_not_fit(lively, tmp_path):
    path, state = tmp_path / "bare.pth", lively().state_dict()
    weight = state.pop("fpn.merge1.0.weight")
    torch.save(state, path)
    with pytest.raises(FacelineError, match=r"no whole RetinaFace .* \(missing: fpn\.merge1\.0\.weight\)"):
        load_retinaface(path)
    torch.save(state | {"fpn.merge1.0.weight": weight[:1]}, path)
    with pytest.raises(FacelineError, match=r"of another shape: fpn\.merge1\.0\.weight \(1, 64, 3, 3\)"):
        load_retinaface(path)
    torch.save(state | {"fpn.merge1.0.weight": weight, "fpn.merge3.0.weight": weight}, path)
    with pytest.raises(FacelineError, match=r"left over: fpn\.merge3\.0\.weight"):
        load_retinaface(path)
    with pytest.raises(FacelineError, match=r"backbone mobilenet0\.25, and this one has resnet50"):
        load_retinaface(path, "resnet50")
    torch.save({"fc.weight": weight}, path)
    with pytest.raises(FacelineError, match="holds no RetinaFace"):
        load_retinaface(path)
