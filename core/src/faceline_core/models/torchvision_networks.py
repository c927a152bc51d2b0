"""torchvision's classification networks, each without its classifier."""

import re
from collections import OrderedDict
from functools import cache
from itertools import takewhile
from typing import Any

import torchvision
from torch import Tensor, nn

from faceline_core.errors import FacelineError, nearest
from faceline_core.models.facts import HALF, Facts, Normalisation
from faceline_core.models.probing import feature_dim

_CLASSIFIERS = ("fc", "classifier", "head", "heads")
_OWN_INPUT_SCALING = ("googlenet", "inception_v3")
"""With the publisher's weights torchvision has these turn ImageNet's mean and std into 0.5 and 0.5 first."""
_OLD_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


class _Pooled(nn.Module):
    """Feature maps (N, C, h, w) to their means (N, C); vectors stay as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if x.ndim == 4 else x.flatten(1)


def names() -> list[str]:
    return list(torchvision.models.list_models(module=torchvision.models))


def usual_size(network: str) -> int:
    return int(_weights(network).transforms().crop_size[0])


@cache
def facts(network: str, img_size: int) -> Facts:
    """What is known of a torchvision network at a size.

    Raises:
        FacelineError: where there is no such network, or it takes no faces of that size.
    """
    weights = _weights(network)
    transforms = weights.transforms()
    declared = Normalisation(tuple(transforms.mean), tuple(transforms.std))
    dim = feature_dim(network, lambda size: build(network, size), img_size, usual_size(network))
    return Facts(dim, HALF if network in _OWN_INPUT_SCALING else declared, weights.url)


def build(network: str, img_size: int) -> nn.Module:
    """The network with what its classifier does before the first Linear or Conv2d: norms and pooling, no dropout."""
    module: nn.Module = torchvision.models.get_model(network, weights=None, **_arguments(network, img_size))
    attribute = next(name for name in _CLASSIFIERS if hasattr(module, name))
    setattr(module, attribute, _before_the_classes(getattr(module, attribute)))
    return module


def adapted(network: str, img_size: int, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published weights under the names and in the shapes that the network has today, at this size of faces."""
    if network.startswith("densenet"):
        return {_OLD_DENSENET_NAME.sub(r"\1\2", name): tensor for name, tensor in state.items()}
    if network.startswith("vit_") and "encoder.pos_embedding" in state:
        from torchvision.models.vision_transformer import interpolate_embeddings

        patch = int(network.rsplit("_", 1)[1])
        return dict(interpolate_embeddings(img_size, patch, OrderedDict(state)))
    return state


def _weights(network: str) -> Any:
    if network not in names():
        raise FacelineError(f"model_name: torchvision has no {network}; {nearest(network, names())}")
    return torchvision.models.get_model_weights(network).DEFAULT


def _arguments(network: str, img_size: int) -> dict[str, Any]:
    if network.startswith("vit_"):
        return {"image_size": img_size}
    if network.startswith("maxvit_"):
        return {"input_size": (img_size, img_size)}
    if network in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": False}  # its own start takes half a minute
    return {}


def _before_the_classes(classifier: nn.Module) -> nn.Sequential:
    layers = classifier.named_children() if isinstance(classifier, nn.Sequential) else iter(())
    kept = takewhile(lambda named: not isinstance(named[1], nn.Linear | nn.Conv2d), layers)
    return nn.Sequential(
        OrderedDict(
            [*((name, layer) for name, layer in kept if not isinstance(layer, nn.Dropout)), ("pooled", _Pooled())]
        )
    )
