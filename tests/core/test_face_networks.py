import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from faceline_core.models.backbones import find_backbone
from faceline_core.models.ir import UNITS, IRNet
from faceline_core.models.mobilefacenet import MobileFaceNet
from faceline_core.models.probing import measures

SPEC = {  # parameters and GMACs at 112 px
    "ir_18": (24_020_352, 2.60),
    "ir_34": (34_134_080, 4.45),
    "ir_50": (43_585_600, 6.30),
    "ir_101": (65_150_912, 12.08),
}


def images(count: int = 2, size: int = 112) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def settled(network: nn.Module) -> nn.Module:
    """With BatchNorm statistics and weights that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
        elif name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()


@pytest.mark.parametrize("name", UNITS)
def test_ir_nets_have_the_size_that_the_paper_gives(name):
    found = measures(name, lambda size: IRNet(UNITS[name], size), 112, 112)
    parameters, gmacs = SPEC[name]
    assert (found.dim, found.parameters, round(found.macs / 1e9, 2)) == (512, parameters, gmacs)


@pytest.mark.parametrize("name", UNITS)
def test_ir_nets_have_the_tensors_of_published_checkpoints(name, real_data):
    file = real_data.parent / "spec/ir_state_dict.json"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    with torch.device("meta"):
        network = IRNet(UNITS[name])
    expected = json.loads(file.read_text())[name]["state_dict"]
    assert {key: list(tensor.shape) for key, tensor in network.state_dict().items()} == expected


def ir_slow(state: dict[str, torch.Tensor], units: tuple[int, ...], x: torch.Tensor) -> torch.Tensor:
    """The definition, layer by layer, from the weights alone."""

    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state.get(f"{name}.weight"), state.get(f"{name}.bias"), eps=1e-5)

    x = F.prelu(
        norm(F.conv2d(x, state["input_layer.0.weight"], padding=1), "input_layer.1"), state["input_layer.2.weight"]
    )
    firsts = np.cumsum((0, *units))
    for number in range(sum(units)):
        unit, stride = f"body.{number}", 2 if number in firsts else 1
        y = F.conv2d(norm(x, f"{unit}.res_layer.0"), state[f"{unit}.res_layer.1.weight"], padding=1)
        y = F.prelu(norm(y, f"{unit}.res_layer.2"), state[f"{unit}.res_layer.3.weight"])
        y = norm(F.conv2d(y, state[f"{unit}.res_layer.4.weight"], stride=stride, padding=1), f"{unit}.res_layer.5")
        x = x[:, :, ::stride, ::stride]
        if x.shape[1] != y.shape[1]:
            x = norm(F.conv2d(x, state[f"{unit}.shortcut_layer.0.weight"]), f"{unit}.shortcut_layer.1")
        x = x + y
    x = norm(x, "output_layer.0").reshape(len(x), -1)
    return norm(F.linear(x, state["output_layer.3.weight"], state["output_layer.3.bias"]), "output_layer.4")


@pytest.mark.parametrize(("name", "size"), [("ir_18", 112), ("ir_18", 64), ("ir_34", 48)])
def test_an_ir_net_computes_what_its_definition_says(name, size):
    network = settled(find_backbone(name, size).build())
    with torch.no_grad():
        features = network(images(2, size))
        strided = network(images(2, size).to(memory_format=torch.channels_last))
        slow = ir_slow(network.state_dict(), UNITS[name], images(2, size))
    scale = slow.abs().max()
    torch.testing.assert_close(features / scale, slow / scale, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(strided / scale, slow / scale, atol=1e-5, rtol=1e-4)


def test_an_ir_net_starts_once_and_so_that_all_of_it_learns(monkeypatch):
    def twice(*_arguments, **_named):
        raise AssertionError("torch's own start, which ours replaces")

    monkeypatch.setattr(nn.init, "kaiming_uniform_", twice)
    torch.manual_seed(0)
    network = IRNet(UNITS["ir_18"], 32)
    network(images(8, 32)).square().mean(dim=1).sqrt().sum().backward()
    sizes = [p.grad.norm().item() / max(p.detach().norm().item(), 1e-6) for p in network.parameters() if p.ndim > 1]
    assert min(sizes) > 1e-6
    assert max(sizes) < 1e3


def test_mobilefacenet_is_the_published_network():
    network = MobileFaceNet()
    assert sum(p.numel() for p in network.parameters()) == 999_936
    assert len(network.state_dict()) == 307


def test_facenet_gives_the_vector_that_facenet_pytorch_scales_to_unit_length():
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(0)
    ours, theirs = settled(find_backbone("inception_resnet_v1", 75).build()), InceptionResnetV1().eval()
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        features, unit = ours(images(2, 75)), theirs(images(2, 75))
    torch.testing.assert_close(F.normalize(features), unit)
    assert (features.norm(dim=1) - 1).abs().min() > 0.01
