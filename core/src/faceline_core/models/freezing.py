"""Freezing the first part of a network, in the order in which its layers run."""

import math

import torch
from torch import Tensor, nn


def layers_in_forward_order(network: nn.Module, img_size: int) -> list[nn.Module]:
    """The leaf modules that hold parameters, in the order in which a face passes through them.

    One grey face of `img_size` px runs through the network in eval mode; nothing of the network changes.
    """
    order: dict[nn.Module, None] = {}

    def passed(module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        order.setdefault(module)

    leaves = [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]
    hooks = [leaf.register_forward_pre_hook(passed) for leaf in leaves]
    mode = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, img_size, img_size))
    finally:
        network.train(mode)
        for hook in hooks:
            hook.remove()
    return list(order)


def freeze(network: nn.Module, ratio: float, img_size: int) -> list[nn.Module]:
    """Freezes the first floor(ratio * n) layers of a network; a ratio of 1 freezes all of it.

    Returns:
        The modules that have to stay in eval mode: the frozen layers, or the whole network for a ratio of 1 (dropout
        and stochastic depth are then off as well).
    """
    if ratio == 0:
        return []
    layers = layers_in_forward_order(network, img_size)
    frozen = layers[: math.floor(ratio * len(layers) + 1e-9)]
    for layer in frozen:
        layer.requires_grad_(False)
    if len(frozen) == len(layers):
        network.requires_grad_(False)
        return [network]
    return frozen
