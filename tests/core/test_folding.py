"""Folding frozen BatchNorms changes no number, no name and no gradient."""

import pytest
import torch
from torch import nn

from faceline_core.models.recogniser import Recogniser
from faceline_core.tensors.folding import FoldedConv, fold_frozen


def settled(name: str, ratio: float, size: int) -> Recogniser:
    """In float64, with BatchNorm statistics and weights that are not those of a fresh network."""
    torch.manual_seed(0)
    recogniser = Recogniser(name, size, ["a", "b"], ratio)
    for module in recogniser.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                module.weight.data.uniform_(0.5, 2)
    return recogniser.double()


@pytest.mark.parametrize("ratio", [0.5, 1.0])
@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 64), ("mobilenet_v3_small", 64), ("efficientnet_b0", 64), ("ir_18", 112), ("mobilefacenet", 112)],
)
def test_it_gives_what_it_gave(name, size, ratio):
    plain, folded = settled(name, ratio, size), settled(name, ratio, size)
    count = fold_frozen(folded.backbone, size)
    assert count == sum(isinstance(module, FoldedConv) for module in folded.modules()) > 3
    before, after = plain.state_dict(), folded.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    images = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8)
    gradients, given = [], []
    for recogniser in (plain.train(), folded.train()):
        torch.manual_seed(1)
        given.append(recogniser.features(images))
        if ratio < 1:
            given[-1].square().mean().backward()
        gradients.append({key: p.grad for key, p in recogniser.named_parameters() if p.grad is not None})
    torch.testing.assert_close(*given, atol=1e-7, rtol=1e-7)
    assert gradients[0].keys() == gradients[1].keys()
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, atol=1e-7, rtol=1e-5, msg=key)


def test_nothing_is_folded_where_another_layer_looks_on():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.norm.running_mean.fill_(3.0)

        def forward(self, x):
            maps = self.conv(x)
            return (self.norm(maps) + maps).flatten(1)

    network = Forked().requires_grad_(False).eval()
    images = torch.randn(2, 3, 8, 8)
    before = network(images)
    assert fold_frozen(network, 8) == 0
    assert torch.equal(network(images), before)
    assert isinstance(network.conv, nn.Conv2d)


def test_what_is_trained_is_left_alone():
    recogniser = settled("resnet18", 0.5, 64)
    trained = [m for m in recogniser.backbone.modules() if isinstance(m, nn.BatchNorm2d) and m.weight.requires_grad]
    fold_frozen(recogniser.backbone, 64)
    assert all(any(module is norm for module in recogniser.modules()) for norm in trained)
    assert len(trained) == 10


def test_every_module_keeps_the_mode_it_was_in():
    """BatchNorms of a network that is trained as a whole may be frozen alone."""
    recogniser = settled("resnet18", 0.0, 64)
    recogniser.freeze_batchnorm()
    before = {name: module.training for name, module in recogniser.named_modules()}
    assert fold_frozen(recogniser.backbone, 64) == 0
    assert {name: module.training for name, module in recogniser.named_modules()} == before
    assert set(before.values()) == {True, False}


def test_statistics_that_move_are_left_alone():
    """A BatchNorm without weights of its own has nothing to train, and yet learns."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten()).requires_grad_(False)
    assert fold_frozen(network, 8) == 0
    assert fold_frozen(network.eval(), 8) == 1
