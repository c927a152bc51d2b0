"""The backbones that `model_name` names: how each is built, what it takes, and where its publisher keeps weights."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torchvision
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models.mobilefacenet import MobileFaceNet


@dataclass(frozen=True)
class Normalisation:
    """What a network wants to see: (x / 255 - mean) / std, channel by channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Order of the channels that the network sees, and of mean and std."""


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Backbone:
    """A network from faces (N, 3, H, W), normalised, to features (N, dim)."""

    build: Callable[[], nn.Module]
    dim: int
    normalisation: Normalisation = IMAGENET
    img_size: int | None = None
    """The only side in px that fits, or None where any does."""
    weights_url: str | None = None
    """Where the publisher keeps trained weights; the file name carries the start of its SHA-256."""


def _torchvision(name: str, dim: int, classifier: str) -> Backbone:
    """A torchvision classification network without its classifier: its features are the pooled ones before it."""

    def build() -> nn.Module:
        network: nn.Module = torchvision.models.get_model(name, weights=None)
        setattr(network, classifier, nn.Identity())
        return network

    weights: Any = torchvision.models.get_model_weights(name)
    return Backbone(build, dim, weights_url=weights.DEFAULT.url)


def backbones() -> dict[str, Backbone]:
    """Every backbone by its `model_name`."""
    return {
        "mobilenet_v3_small": _torchvision("mobilenet_v3_small", 576, "classifier"),
        "efficientnet_b0": _torchvision("efficientnet_b0", 1280, "classifier"),
        "resnet18": _torchvision("resnet18", 512, "fc"),
        "mobilefacenet": Backbone(MobileFaceNet, MobileFaceNet.dim, img_size=112),
    }


def find_backbone(name: str, img_size: int) -> Backbone:
    """The backbone of that name.

    Raises:
        FacelineError: where there is none (the nearest name is given), or where it takes no faces of that size.
    """
    known = backbones()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise FacelineError(f"model_name: {name} is unknown; {hint}known are {', '.join(known)}")
    backbone = known[name]
    if backbone.img_size not in (None, img_size):
        raise FacelineError(
            f"model_name: {name} takes faces of {backbone.img_size} px, img_size is {img_size}. "
            f"Set img_size: {backbone.img_size} and run preprocess again"
        )
    return backbone
