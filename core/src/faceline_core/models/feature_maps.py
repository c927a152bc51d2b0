"""Feature maps of a backbone on the way to its embedding: where they are, and how they are got at."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.errors import FacelineError


@dataclass(frozen=True)
class Tap:
    """A module of a backbone whose output is the feature map (N, channels, side, side)."""

    module: str
    channels: int
    side: int


def find_tap(network: nn.Module, img_size: int, feature_map: int, model_name: str) -> Tap:
    """Where a backbone has the feature map that `feature_map` of params.yaml names.

    7 is the last map before the embedding, 14 the last one of the next finer resolution: in the IR networks at 112 px
    512 x 7 x 7 and 256 x 14 x 14. Of the modules that give such a map the outermost, and of those the last, is taken:
    a stage rather than the layer at its end. One grey face runs through the network in eval mode; nothing changes.

    Args:
        network: the backbone.
        img_size: side of the faces in px.
        feature_map: 7 or 14.
        model_name: for the message.

    Raises:
        FacelineError: where the network has no such map, as a vision transformer has none.
    """
    seen = _maps_in_order(network, img_size)
    sides = sorted({side for _, _, side, _ in seen})
    last = seen[-1][2] if seen and seen[-1][3] > 0.5 else 0
    side = last if feature_map == 7 else next((finer for finer in sides if finer > last), 0)
    candidates = [entry for entry in seen if entry[2] == side] if last and side else []
    if not candidates:
        raise FacelineError(
            f"feature_map: {feature_map}: {model_name} has no such feature map at {img_size} px. Take a convolutional "
            "network for model_name, as ir_50, or set loss_weights.local and loss_weights.occlusion to 0"
        )
    depth = min(name.count(".") for name, *_ in candidates)
    name, channels, *_ = [entry for entry in candidates if entry[0].count(".") == depth][-1]
    return Tap(name, channels, side)


def with_map(network: nn.Module, tap: Tap, images: Tensor) -> tuple[Tensor, Tensor]:
    """What the network makes of images, and its feature map (N, channels, side, side) on the way there."""
    module = network.get_submodule(tap.module)
    if _keep not in module._forward_hooks.values():
        module.register_forward_hook(_keep)
    features = network(images)
    return features, module.__dict__.pop("_kept_map")


def unit_over_channels(maps: Tensor) -> Tensor:
    """Maps (N, C, h, w) with a vector of unit length at each position, float32."""
    return F.normalize(maps.float(), dim=1)


def _keep(module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
    """Lies on the module itself, so that a copy of the network keeps its own."""
    module.__dict__["_kept_map"] = output


def _maps_in_order(network: nn.Module, img_size: int) -> list[tuple[str, int, int, float]]:
    """Name, channels, side of each module's square map as they are finished, and the part of all layers run by then."""
    names = {module: name for name, module in network.named_modules() if name}
    leaves = sum(1 for module in names if next(module.children(), None) is None)
    found: list[tuple[str, int, int, int]] = []
    run = 0

    def finished(module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal run
        run += next(module.children(), None) is None
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3] > 1:
            found.append((names[module], output.shape[1], output.shape[2], run))

    hooks = [module.register_forward_hook(finished) for module in names]
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad():
            like = next(network.parameters())
            network.eval()(torch.zeros(1, 3, img_size, img_size, dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return [(name, channels, side, count / max(run, leaves)) for name, channels, side, count in found]
