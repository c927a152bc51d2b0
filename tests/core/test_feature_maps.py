"""Where a backbone's feature maps are, and that they are those of the pass that gives the features."""

import copy

import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.models.backbones import find_backbone
from faceline_core.models.feature_maps import Tap, find_tap, with_map
from faceline_core.models.recogniser import Parts, Recogniser


@pytest.mark.parametrize(
    ("name", "size", "coarse", "fine"),
    [
        ("ir_18", 112, Tap("body", 512, 7), Tap("body.5", 256, 14)),
        ("mobilefacenet", 112, Tap("conv2", 512, 7), Tap("features.11", 128, 14)),
        ("resnet18", 64, Tap("layer4", 512, 2), Tap("layer3", 256, 4)),
        ("mobilenet_v3_small", 64, Tap("features", 576, 2), Tap("features.8", 48, 4)),
        ("timm/resnet18", 112, Tap("layer4", 512, 4), Tap("layer3", 256, 7)),
    ],
)
def test_the_map_is_the_last_one_or_the_next_finer_one(name, size, coarse, fine):
    network = find_backbone(name, size).build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert find_tap(network, size, 7, name) == coarse
    assert find_tap(network, size, 14, name) == fine
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_ir_50_gives_what_the_matcher_is_made_for():
    network = find_backbone("ir_50", 112).build()
    taps = [find_tap(network, 112, which, "ir_50") for which in (7, 14)]
    assert [(tap.channels, tap.side) for tap in taps] == [(512, 7), (256, 14)]


def test_a_transformer_has_none():
    network = find_backbone("timm/vit_tiny_patch16_224", 224).build()
    with pytest.raises(FacelineError, match=r"feature_map: 7: vit has no such feature map at 224 px"):
        find_tap(network, 224, 7, "vit")


def test_it_is_the_map_of_the_same_pass_and_gradients_go_through_both():
    torch.manual_seed(0)
    network = find_backbone("ir_18", 32).build().eval()
    tap = find_tap(network, 32, 7, "ir_18")
    images = torch.randn(3, 3, 32, 32)
    features, maps = with_map(network, tap, images)
    expected = network.body(network.input_layer(images))
    assert torch.equal(maps, expected)
    assert torch.equal(features, network.output_layer(expected))
    for output in (features, maps):
        (gradient,) = torch.autograd.grad(output.square().sum(), network.input_layer[0].weight, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_a_copy_keeps_its_own_map():
    torch.manual_seed(0)
    network = find_backbone("ir_18", 32).build().eval()
    tap = find_tap(network, 32, 7, "ir_18")
    images = torch.randn(2, 3, 32, 32)
    _, first = with_map(network, tap, images)
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.input_layer[0].weight.mul_(2)
    _, second = with_map(other, tap, images)
    _, third = with_map(network, tap, images)
    assert torch.equal(first, third)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("parts", [Parts(matcher=True), Parts(occlusion_head=True), Parts(True, True, 14, "masked")])
def test_what_a_recogniser_sees(parts):
    torch.manual_seed(0)
    recogniser = Recogniser("ir_18", 48, ["a", "b"], parts=parts).eval()
    images = torch.randint(0, 256, (3, 3, 48, 48), dtype=torch.uint8)
    with torch.no_grad():
        seen, (unit, norm) = recogniser.see(images), recogniser.embed(images)
        mirrored = recogniser.see(images, flip=True)
        raw = (recogniser.features(images) + recogniser.features(images.flip(3))) / 2
    assert torch.equal(seen.unit, unit)
    assert torch.equal(seen.norm, norm)
    side = 3 if parts.feature_map == 7 else 6
    assert seen.maps.shape == (3, 512 if side == 3 else 256, side, side)
    torch.testing.assert_close(seen.maps.square().sum(1), torch.ones(3, side, side))
    assert (recogniser.matcher is not None) == parts.matcher
    assert (seen.visibility is None) == (not parts.occlusion_head)
    torch.testing.assert_close(mirrored.unit * mirrored.norm, raw)
    assert torch.equal(mirrored.maps, seen.maps)
