import pytest
import torch
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models.backbones import find_backbone
from faceline_core.models.checkpoint import load_recogniser, save_checkpoint
from faceline_core.models.freezing import layers_in_forward_order
from faceline_core.models.recogniser import Recogniser

NAMES = ["efficientnet_b0", "ir_18", "mobilefacenet", "mobilenet_v3_small", "resnet18"]


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
    assert "version 1, this Faceline reads version 3" in error(lambda c: c.update(version=1))
    assert "not a checkpoint of Faceline's" in error(lambda c: c.pop("format"))
    assert "do not fit resnet18" in error(lambda c: c["state_dict"].pop("head.bias"))
    assert "another normalisation" in error(lambda c: c["normalisation"].update(mean=(0.5, 0.5, 0.5)))
    with pytest.raises(FacelineError, match="dvc repro train"):
        load_recogniser(tmp_path / "none.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "c.pth").read_bytes()[:5000])
    with pytest.raises(FacelineError, match="damaged"):
        load_recogniser(tmp_path / "cut.pth")
