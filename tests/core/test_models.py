import pickle
import random
from pathlib import Path

import pytest
import torch
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models import weights as weights_module
from faceline_core.models.backbones import backbones, find_backbone
from faceline_core.models.checkpoint import load_recogniser, save_checkpoint
from faceline_core.models.freezing import layers_in_forward_order
from faceline_core.models.mobilefacenet import MobileFaceNet
from faceline_core.models.recogniser import Recogniser
from faceline_core.models.tensor_file import read_tensor_file
from faceline_core.models.weights import load_backbone_weights

NAMES = sorted(backbones())


def faces(count: int = 2, size: int = 112) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)


def settled(recogniser: Recogniser, size: int) -> Recogniser:
    """With BatchNorm statistics of real input: those of a fresh network let its features vanish."""
    norms = [module for module in recogniser.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)]
    recogniser.train()
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        recogniser(faces(4, size))
    return recogniser


@pytest.mark.parametrize("name", NAMES)
def test_a_recogniser_answers_alike_whatever_the_memory_layout_and_type(name):
    torch.manual_seed(0)
    recogniser = settled(Recogniser(name, 112, ["a", "b", "c"]), 112).eval()
    with torch.no_grad():
        probabilities, unit, norm = recogniser.recognise(faces())
        logits = recogniser(faces().contiguous().float())
    assert probabilities.shape == (2, 3)
    assert unit.shape == (2, find_backbone(name, 112).dim)
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(logits.softmax(dim=1), probabilities, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(unit * norm, recogniser.features(faces()), atol=1e-5, rtol=1e-4)


def test_the_network_sees_normalised_rgb():
    recogniser = Recogniser("resnet18", 112, ["a", "b"])
    seen = []
    recogniser.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    image = torch.zeros(1, 3, 112, 112, dtype=torch.uint8)
    image[:, 0] = 255
    recogniser.eval()(image)
    channels = seen[0][0, :, 0, 0]
    torch.testing.assert_close(channels, torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]))


def test_mobilefacenet_is_the_published_network():
    network = MobileFaceNet()
    assert sum(p.numel() for p in network.parameters()) == 999_936
    assert len(network.state_dict()) == 307


def test_layers_come_in_the_order_in_which_they_run():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Conv2d(4, 5, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.last(self.first(x))

    network = Backwards()
    assert layers_in_forward_order(network, 8) == [network.first, network.last]
    assert network.training


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.7, 1.0])
def test_what_is_frozen_does_not_move_and_the_rest_does(ratio):
    torch.manual_seed(0)
    recogniser = settled(Recogniser("mobilenet_v3_small", 64, ["a", "b"], ratio), 64)
    layers = layers_in_forward_order(recogniser.backbone, 64)
    recogniser.train()
    before = {name: tensor.clone() for name, tensor in recogniser.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in recogniser.parameters() if p.requires_grad], lr=0.1)
    recogniser(faces(4, 64)).square().sum().backward()
    optimizer.step()
    frozen = layers[: int(ratio * len(layers))]
    names = {module: name for name, module in recogniser.named_modules()}
    for layer in layers:
        moved = any(
            not torch.equal(tensor, before[f"{names[layer]}.{name}"]) for name, tensor in layer.state_dict().items()
        )
        assert moved == (layer not in frozen), names[layer]
    assert not torch.equal(recogniser.head.weight, before["head.weight"])


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("mobilenet_v3_smal", 112, "did you mean mobilenet_v3_small?"),
        ("zzz", 112, "known are"),
        ("mobilefacenet", 224, "takes faces of 112 px, img_size is 224"),
    ],
)
def test_a_backbone_that_is_not_there_or_does_not_fit(name, size, expected):
    with pytest.raises(FacelineError, match=expected.replace("?", r"\?")):
        find_backbone(name, size)


def test_weights_go_through_a_file_whatever_wraps_them(tmp_path):
    torch.manual_seed(1)
    source = MobileFaceNet()
    for number, content in enumerate(
        (
            source.state_dict(),
            {"state_dict": source.state_dict()},
            {"state_dict": {f"model.{k}": v for k, v in source.state_dict().items()}, "epoch": 3},
            {f"module.{k}": v for k, v in source.state_dict().items()},
        )
    ):
        file = tmp_path / f"{number}.pth"
        torch.save(content, file)
        target = MobileFaceNet()
        line = load_backbone_weights(target, "mobilefacenet", 112, str(file), tmp_path)
        assert "307 of 307" in line
        for name, tensor in source.state_dict().items():
            assert torch.equal(tensor, target.state_dict()[name])


def test_a_faceline_checkpoint_gives_its_backbone(tmp_path):
    recogniser = Recogniser("resnet18", 64, ["a", "b"])
    save_checkpoint(tmp_path / "c.pth", recogniser)
    target = Recogniser("resnet18", 64, ["x", "y", "z"])
    load_backbone_weights(target.backbone, "resnet18", 64, str(tmp_path / "c.pth"), tmp_path)
    assert torch.equal(target.backbone.conv1.weight, recogniser.backbone.conv1.weight)


class _Evil:
    def __reduce__(self):
        return (Path.touch, (Path("/tmp/faceline-was-here"),))  # noqa: S108


def test_weights_that_do_not_do_are_told_apart(tmp_path):
    backbone = find_backbone("resnet18", 64).build()

    def error(path):
        with pytest.raises(FacelineError) as caught:
            load_backbone_weights(backbone, "resnet18", 64, str(path), tmp_path)
        return str(caught.value)

    assert "is not there" in error(tmp_path / "none.pth")
    torch.save(MobileFaceNet().state_dict(), tmp_path / "other.pth")
    assert "fits 0 of 120 tensors of resnet18" in error(tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("not weights")
    assert "no file of PyTorch tensors" in error(tmp_path / "text.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    assert "holds no tensors" in error(tmp_path / "empty.pth")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(_Evil()))
    assert "would run code" in error(tmp_path / "evil.pth")
    assert not Path("/tmp/faceline-was-here").exists()  # noqa: S108


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_is_told_whatever_the_damage(tmp_path, zipped):
    whole = tmp_path / "whole.pth"
    torch.save({"weight": torch.arange(50.0), "n": 3}, whole, _use_new_zipfile_serialization=zipped)
    data = whole.read_bytes()
    rng = random.Random(0)  # noqa: S311
    told = 0
    for _ in range(150):
        changed = bytearray(data[: rng.randrange(1, len(data))] if rng.random() < 0.3 else data)
        for _ in range(rng.randrange(4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        (tmp_path / "damaged.pth").write_bytes(changed)
        try:
            read_tensor_file(tmp_path / "damaged.pth")
        except FacelineError:
            told += 1
    assert told > 50


def test_pretrained_weights_without_a_network_say_which_file_to_put_where(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    backbone = find_backbone("mobilenet_v3_small", 64).build()
    with pytest.raises(FacelineError) as caught:
        load_backbone_weights(backbone, "mobilenet_v3_small", 64, "pretrained", tmp_path)
    file = tmp_path / "mobilenet_v3_small-047dcff4.pth"
    assert str(file) in str(caught.value)
    torch.save(find_backbone("mobilenet_v3_small", 64).build().state_dict(), file)
    assert "240 of 240" in load_backbone_weights(backbone, "mobilenet_v3_small", 64, "pretrained", tmp_path)
    assert weights_module._hash_in(file.name) == "047dcff4"


def test_a_checkpoint_round_trip_keeps_every_answer(tmp_path):
    recogniser = Recogniser("resnet18", 64, ["a", "b"]).eval()
    save_checkpoint(tmp_path / "c.pth", recogniser, epoch=3)
    loaded, content = load_recogniser(tmp_path / "c.pth")
    assert content["epoch"] == 3
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(faces(2, 64)), recogniser(faces(2, 64)))


def test_a_checkpoint_that_does_not_do_is_told(tmp_path):
    def error(change):
        content = torch.load(tmp_path / "c.pth", weights_only=True)
        change(content)
        torch.save(content, tmp_path / "d.pth")
        with pytest.raises(FacelineError) as caught:
            load_recogniser(tmp_path / "d.pth")
        return str(caught.value)

    save_checkpoint(tmp_path / "c.pth", Recogniser("resnet18", 64, ["a", "b"]))
    assert "version 2, this Faceline reads version 1" in error(lambda c: c.update(version=2))
    assert "not a checkpoint of Faceline's" in error(lambda c: c.pop("format"))
    assert "do not fit resnet18" in error(lambda c: c["state_dict"].pop("head.bias"))
    assert "another normalisation" in error(lambda c: c["normalisation"].update(mean=(0.5, 0.5, 0.5)))
    with pytest.raises(FacelineError, match="dvc repro train"):
        load_recogniser(tmp_path / "none.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "c.pth").read_bytes()[:5000])
    with pytest.raises(FacelineError, match="damaged"):
        load_recogniser(tmp_path / "cut.pth")
