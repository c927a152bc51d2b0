import argparse
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models.backbones import find_backbone
from faceline_core.models.checkpoint import save_checkpoint
from faceline_core.models.mobilefacenet import MobileFaceNet
from faceline_core.models.recogniser import Recogniser
from faceline_core.models.torchvision_networks import adapted
from faceline_core.models.weights import load_backbone_weights
from faceline_core.tensors.matching import match, prefix_of
from faceline_core.tensors.tensor_file import read_tensor_file


def load(network, backbone, weights, cache, strict=True):
    return load_backbone_weights(network, backbone, str(weights), cache, strict)


def error(call, *arguments, **named) -> str:
    with pytest.raises(FacelineError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(network: nn.Module, state: dict[str, torch.Tensor]) -> None:
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.fixture(scope="module")
def small():
    """A small network, and its backbone."""
    backbone = find_backbone("mobilefacenet", 112)
    torch.manual_seed(1)
    return backbone.build(), backbone


WRAPPED = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state},
    "lightning": lambda state: {"state_dict": {f"model.{k}": v for k, v in state.items()}, "epoch": 3},
    "ddp": lambda state: {f"module.{k}": v for k, v in state.items()},
    "ours in training": lambda state: {"state_dict": {f"recogniser.backbone.{k}": v for k, v in state.items()}},
    "any name": lambda state: {"net": {f"encoder.trunk.{k}": v for k, v in state.items()}, "lr": 0.1},
    "old": lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
    "optimizer": lambda state: {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}, "model_state_dict": state},
    "half": lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_weights_go_through_a_file_whatever_wraps_them(tmp_path, small, wrapping):
    source, backbone = small
    torch.save(WRAPPED[wrapping](source.state_dict()), tmp_path / "w.pth")
    target = MobileFaceNet()
    loaded = load(target, backbone, tmp_path / "w.pth", tmp_path)
    counters = sum(name.endswith("num_batches_tracked") for name in source.state_dict())
    count = 307 - counters if wrapping == "old" else 307
    assert loaded.line == f"weights from {tmp_path / 'w.pth'}, {count} of {count} tensors"
    assert loaded.channel_order is None
    if wrapping == "half":
        torch.testing.assert_close(target.state_dict(), source.state_dict(), atol=1e-3, rtol=1e-3)
    else:
        assert_same(target, source.state_dict())


def test_safetensors_are_read(tmp_path, small):
    source, backbone = small
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    target = MobileFaceNet()
    assert "307 of 307" in load(target, backbone, tmp_path / "w.safetensors", tmp_path).line
    assert_same(target, source.state_dict())
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-100])
    assert "damaged" in error(load, target, backbone, tmp_path / "cut.safetensors", tmp_path)


def test_the_prefix_is_the_one_that_most_names_stand_behind(small):
    own = small[0].state_dict()
    few = {f"model.{name}": own[name] for name in list(own)[:20]}
    most = {f"model.student.{name}": tensor for name, tensor in own.items()}
    assert prefix_of(own, {**few, **most}) == prefix_of(own, {**most, **few}) == "model.student."
    other_shapes = {f"teacher.{name}": torch.zeros(1) for name in own}
    assert prefix_of(own, {**other_shapes, **most}) == "model.student."
    assert prefix_of(own, {}) == ""


def test_what_does_not_fit_is_listed_and_too_much_of_it_is_an_error(tmp_path, small):
    source, backbone = small
    state = OrderedDict(source.state_dict())
    names = [name for name in state if name.startswith("features.0.")]
    for name in names:
        del state[name]
    state["conv3.weight"] = torch.zeros(64, 512, 1, 1)
    state |= {"extra.weight": torch.zeros(1), "fc.weight": torch.zeros(1), "head.kernel": torch.zeros(1)}
    torch.save(state, tmp_path / "w.pth")
    target = MobileFaceNet()
    before = target.state_dict()["conv3.weight"].clone()
    line = load(target, backbone, tmp_path / "w.pth", tmp_path).line
    missing = [name for name in names if not name.endswith("num_batches_tracked")]
    assert f"missing: {', '.join(missing[:10])} and {len(missing) - 10} more;" in line
    assert "of another shape: conv3.weight (64, 512, 1, 1) for (128, 512, 1, 1);" in line
    assert line.endswith("left over: extra.weight)")
    assert torch.equal(target.state_dict()["conv3.weight"], before)
    assert torch.equal(target.conv3.bias, source.conv3.bias)

    for name in [name for name in state if name.startswith("features.1")]:
        del state[name]
    torch.save(state, tmp_path / "w.pth")
    fresh = MobileFaceNet()
    message = error(load, fresh, backbone, tmp_path / "w.pth", tmp_path)
    assert "less than 90 %" in message
    assert "weights_strict: false" in message
    assert not torch.equal(fresh.conv3.bias, source.conv3.bias)
    load(fresh, backbone, tmp_path / "w.pth", tmp_path, strict=False)
    assert torch.equal(fresh.conv3.bias, source.conv3.bias)


def test_ninety_percent_of_a_networks_own_tensors_are_enough():
    own = {f"layer{number}": torch.zeros(2) for number in range(20)}
    counters = {f"layer{number}.num_batches_tracked": torch.tensor(0) for number in range(20)}
    eighteen = dict(list(own.items())[:18])
    assert match({**own, **counters}, eighteen).share == 0.9
    assert match({**own, **counters}, {**eighteen, "layer17": torch.zeros(3), **counters}).share == 0.85


def test_a_faceline_checkpoint_gives_its_backbone_and_says_how_it_saw_channels(tmp_path):
    recogniser = Recogniser("resnet18", 64, ["a", "b"])
    save_checkpoint(tmp_path / "c.pth", recogniser)
    target = Recogniser("resnet18", 64, ["x", "y", "z"])
    loaded = load(target.backbone, find_backbone("resnet18", 64), tmp_path / "c.pth", tmp_path)
    assert torch.equal(target.backbone.conv1.weight, recogniser.backbone.conv1.weight)
    assert (loaded.line.endswith("120 of 120 tensors"), loaded.channel_order) == (True, "rgb")
    content = torch.load(tmp_path / "c.pth", weights_only=True)
    content["normalisation"]["channel_order"] = "bgr"
    torch.save(content, tmp_path / "c.pth")
    assert load(target.backbone, find_backbone("resnet18", 64), tmp_path / "c.pth", tmp_path).channel_order == "bgr"


class _Config:
    """As the writers of checkpoints have them: a class that only they can import."""

    def __init__(self):
        self.lr, self.milestones = 0.1, [8, 12]


def test_a_public_adaface_checkpoint_loads_as_it_is(tmp_path):
    torch.manual_seed(0)
    backbone = find_backbone("ir_18", 32)
    source = backbone.build()
    state = {f"model.{name}": tensor for name, tensor in source.state_dict().items()}
    content = {
        "epoch": 25,
        "global_step": 88_000,
        "pytorch-lightning_version": "1.4.4",
        "state_dict": OrderedDict({**state, "head.kernel": torch.zeros(512, 10), "head.t": torch.zeros(1)}),
        "callbacks": {_Config: {"best_model_score": torch.tensor(0.9), "best": np.float64(0.5)}},
        "optimizer_states": [
            {"state": {0: {"momentum_buffer": torch.zeros(5)}}, "param_groups": [{"lr": np.float32(0.1)}]}
        ],
        "hparams_name": "kwargs",
        "hyper_parameters": argparse.Namespace(arch="ir_18", config=_Config(), path=Path("data"), sizes={1, 2}),
        "lists": defaultdict(list, a=[1]),
    }
    torch.save(content, tmp_path / "adaface_ir18.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "adaface_ir18.ckpt", weights_only=True)
    target = backbone.build()
    loaded = load(target, backbone, tmp_path / "adaface_ir18.ckpt", tmp_path)
    count = len(state)
    assert loaded.line == f"weights from {tmp_path / 'adaface_ir18.ckpt'}, {count} of {count} tensors"
    assert loaded.channel_order == "bgr"
    assert_same(target, source.state_dict())
    read = read_tensor_file(tmp_path / "adaface_ir18.ckpt")
    assert read["epoch"] == 25
    assert read["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.1)
    assert type(read["hyper_parameters"]).__name__ == "Placeholder"


def test_what_the_catalogue_says_of_channels_stands_against_a_foreign_file(tmp_path):
    (tmp_path / "models.yaml").write_text("arcface: {constructor: ir/ir_18, channel_order: rgb}")
    backbone = find_backbone("arcface", 32, tmp_path / "models.yaml")
    torch.save(backbone.build().state_dict(), tmp_path / "w.pth")
    assert load(backbone.build(), backbone, tmp_path / "w.pth", tmp_path).channel_order is None


def test_weights_that_do_not_do_are_told_apart(tmp_path):
    backbone = find_backbone("resnet18", 64)
    network = backbone.build()
    assert "is not there. Put" in error(load, network, backbone, tmp_path / "none.pth", tmp_path)
    assert "did you mean pretrained" in error(load, network, backbone, "pretraind", tmp_path)
    torch.save(MobileFaceNet().state_dict(), tmp_path / "other.pth")
    message = error(load, network, backbone, tmp_path / "other.pth", tmp_path)
    assert "tensors of resnet18, which is less than 90 %" in message
    assert "missing: conv1.weight" in message
    (tmp_path / "text.pth").write_text("not weights")
    assert "no file of tensors" in error(load, network, backbone, tmp_path / "text.pth", tmp_path)
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    assert "holds no tensors" in error(load, network, backbone, tmp_path / "empty.pth", tmp_path)
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    assert "save its state_dict()" in error(load, network, backbone, tmp_path / "whole.pth", tmp_path)
    assert load(network, backbone, "none", tmp_path).line == "weights from scratch"


def test_densenets_and_vits_take_what_torchvision_publishes():
    own = find_backbone("densenet121", 64).build().state_dict()
    old = {name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): tensor for name, tensor in own.items()}
    assert old.keys() != own.keys()
    assert adapted("densenet121", 64, old).keys() == own.keys()

    rows, columns = torch.meshgrid(torch.linspace(0, 1, 7), torch.linspace(0, 1, 7), indexing="ij")
    grid = torch.stack([rows, columns]).reshape(1, 2, 49).permute(0, 2, 1)
    published = {"encoder.pos_embedding": torch.cat([torch.full((1, 1, 2), 9.0), grid], dim=1)}
    fitted = adapted("vit_b_32", 160, published)["encoder.pos_embedding"]
    assert fitted.shape == (1, 26, 2)
    assert fitted[0, 0, 0] == 9
    corner = fitted[0, 1:].reshape(5, 5, 2)
    torch.testing.assert_close(corner[0, 0], torch.zeros(2), atol=0.05, rtol=0)
    torch.testing.assert_close(corner[4, 2], torch.tensor([1.0, 0.5]), atol=0.05, rtol=0)


def test_networks_that_look_up_their_version_load(tmp_path):
    backbone = find_backbone("mnasnet0_5", 64)
    source = backbone.build()
    torch.save(source.state_dict(), tmp_path / "w.pth")
    target = backbone.build()
    load(target, backbone, tmp_path / "w.pth", tmp_path)
    assert_same(target, source.state_dict())


def test_facenets_weights_are_for_facenet(tmp_path, small):
    assert "are of inception_resnet_v1, model_name is mobilefacenet" in error(load, *small, "vggface2", tmp_path)
    assert "nobody publishes any for mobilefacenet" in error(load, *small, "pretrained", tmp_path)


def test_the_catalogues_file_is_what_pretrained_takes(tmp_path, small):
    source, _ = small
    (tmp_path / "models.yaml").write_text(f"mine: {{constructor: mobilefacenet, weights: {tmp_path}/w.pth}}")
    torch.save(source.state_dict(), tmp_path / "w.pth")
    target = MobileFaceNet()
    load(target, find_backbone("mine", 112, tmp_path / "models.yaml"), "pretrained", tmp_path)
    assert_same(target, source.state_dict())


def test_published_weights_of_mobilefacenet_fit(real_data, tmp_path, small):
    loaded = load(MobileFaceNet(), small[1], real_data / "weights/mobilefacenet_foamliu.pt", tmp_path)
    assert "307 of 307" in loaded.line or "of 307" not in loaded.line
