import json

import pytest
import torch
import torchvision
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models import torchvision_networks
from faceline_core.models.backbones import backbone_from_dict, find_backbone
from faceline_core.models.probing import feature_dim, outline


def images(count: int = 2, size: int = 112) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def error(call, *arguments, **named) -> str:
    with pytest.raises(FacelineError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "mean", "std", "weights"),
    [
        ("ir_50", 0.5, 0.5, None),
        ("mobilefacenet", 0.485, 0.229, None),
        ("inception_resnet_v1", 127.5 / 255, 128 / 255, "vggface2.pt"),
        ("resnet18", 0.485, 0.229, "resnet18-f37072fd.pth"),
        ("googlenet", 0.5, 0.5, "googlenet-1378be20.pth"),
        ("timm/mobilenetv4_conv_small", 0.485, 0.229, "timm"),
        ("timm/dpn48b", 0.485, 0.229, None),
        ("timm/vit_tiny_patch16_224", 0.5, 0.5, "timm"),
    ],
)
def test_each_network_sees_what_its_weights_were_trained_on(name, mean, std, weights):
    backbone = find_backbone(name, 112)
    assert (backbone.normalisation.mean[0], backbone.normalisation.std[0]) == (mean, std)
    assert backbone.normalisation.channel_order == "rgb"
    assert backbone.weights is None if weights is None else backbone.weights.endswith(weights)


def test_googlenet_sees_what_torchvision_would_turn_its_input_into():
    """torchvision sets `transform_input` with the publisher's weights: ImageNet's mean and std in, 0.5 and 0.5 on."""
    face = torch.rand(1, 3, 32, 32)
    imagenet, ours = find_backbone("resnet18", 64).normalisation, find_backbone("googlenet", 64).normalisation

    def seen(how):
        return (face - torch.tensor(how.mean).view(1, 3, 1, 1)) / torch.tensor(how.std).view(1, 3, 1, 1)

    network = torchvision.models.GoogLeNet(aux_logits=False, init_weights=False, transform_input=True)
    torch.testing.assert_close(network._transform_input(seen(imagenet)), seen(ours))


FAMILIES = {torchvision.models.get_model_builder(name).__module__: name for name in torchvision_networks.names()[::-1]}
TAKES_224 = ("maxvit_t",)


@pytest.mark.parametrize("name", FAMILIES.values())
def test_every_torchvision_family_gives_a_vector_and_its_classifier_is_gone(name):
    size = 224 if name in TAKES_224 else 128
    declared = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    module = outline(lambda size: torchvision_networks.build(name, size), size)
    with torch.no_grad():
        features = module(images(2, size).to("meta"))
    assert features.ndim == 2
    end = next(getattr(module, key) for key in ("fc", "classifier", "head", "heads") if hasattr(module, key))
    assert not any(isinstance(layer, nn.Dropout) for layer in end.modules())
    assert sum(p.numel() for p in module.parameters()) <= declared - 1000 * (features.shape[1] + 1)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", "convnext_tiny", "shufflenet_v2_x0_5"])
def test_features_are_what_the_classifier_of_the_whole_network_gets(name):
    torch.manual_seed(0)
    whole = torchvision.models.get_model(name, weights=None).eval()
    backbone = find_backbone(name, 64)
    network = backbone.build().eval()
    state = whole.state_dict()
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    classifier = next(getattr(whole, key) for key in ("fc", "classifier", "head") if hasattr(whole, key))
    first = next(layer for layer in classifier.modules() if isinstance(layer, nn.Linear | nn.Conv2d))
    seen = []
    first.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        whole(images(2, 64))
        features = network(images(2, 64))
    assert features.shape == (2, backbone.dim)
    torch.testing.assert_close(features, seen[0].mean((2, 3)) if seen[0].ndim == 4 else seen[0])


@pytest.mark.parametrize(
    ("name", "size", "dim"),
    [
        ("mobilenet_v3_small", 64, 576),
        ("efficientnet_b0", 64, 1280),
        ("resnet18", 32, 512),
        ("timm/resnet18.a1_in1k", 64, 512),
        ("timm/vit_tiny_patch16_224", 112, 192),
        ("timm/ghostnetv2_100", 64, 1280),
    ],
)
def test_a_network_that_is_built_gives_as_many_features_as_it_says(name, size, dim):
    backbone = find_backbone(name, size)
    with torch.no_grad():
        assert backbone.build().eval()(images(1, size)).shape == (1, backbone.dim) == (1, dim)


def test_looking_at_a_network_takes_no_random_numbers():
    class Drawn(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.randn(3))

        def forward(self, x):
            return x.mean((2, 3)) * self.scale

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert feature_dim("drawn", lambda _size: Drawn(), 32, 64) == 3
    assert torch.rand(1) == expected


def test_a_network_that_does_not_run_without_memory_is_looked_at_with_it():
    class AsksForValues(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 7)

        def forward(self, x):
            scale = self.layer.weight.abs().max().item()
            return self.layer(x.mean((2, 3))) / scale

    assert feature_dim("odd", lambda _size: AsksForValues(), 32, 64) == 7


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("mobilenet_v3_smal", 112, "did you mean mobilenet_v3_small"),
        ("ir_51", 112, "did you mean ir_50"),
        ("zzz", 112, "known are"),
        ("mobilefacenet", 224, "takes faces of 112 px, img_size is 224"),
        ("ir_50", 100, "takes faces whose side is a multiple of 16, img_size is 100. Set img_size: 112"),
        ("inception_resnet_v1", 74, "takes faces of 75 px and more, img_size is 74. Set img_size: 160"),
        ("alexnet", 32, "takes no faces of 32 px"),
        ("alexnet", 32, "Set img_size: 64, which fits"),
        ("vit_b_32", 112, "Set img_size: 128"),
        ("maxvit_t", 112, "Set img_size: 224"),
        ("timm/mobilenetv4_conv_smal", 112, "did you mean timm/mobilenetv4_conv_small"),
        ("timm/resnet18.a1_in2k", 112, "did you mean timm/resnet18.a1_in1k"),
        ("timm/hf-hub:somebody/network", 112, "is unknown"),
        ("timm/hiera_tiny_224", 112, "Set img_size: 128"),
    ],
)
def test_a_backbone_that_is_not_there_or_does_not_fit(name, size, expected):
    assert expected in error(find_backbone, name, size)


@pytest.mark.parametrize("name", ["ir_18", "resnet18", "timm/vit_tiny_patch16_224"])
def test_a_checkpoint_needs_no_catalogue(tmp_path, name):
    backbone = find_backbone(name, 112)
    torch.save(backbone.as_dict(), tmp_path / "b.pth")
    read = torch.load(tmp_path / "b.pth", weights_only=True)
    assert backbone_from_dict(read) == backbone_from_dict(json.loads(json.dumps(read))) == backbone
    assert backbone_from_dict(read).build().state_dict().keys() == backbone.build().state_dict().keys()
