"""Looks at a network without its weights: on torch's meta device tensors have shapes, and no memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.random import fork_rng
from torch.utils.flop_counter import FlopCounterMode

from faceline_core.errors import FacelineError

_MISFITS = (RuntimeError, AssertionError, ValueError, TypeError, IndexError, ZeroDivisionError)
"""What networks were seen to raise on faces of a size that they do not take, or on the meta device."""
_SIZES = (32, 48, 64, 75, 80, 96, 112, 128, 144, 160, 192, 224, 240, 256, 288, 320, 384, 448, 512)


@dataclass(frozen=True)
class Measures:
    """A network at one size of faces, without a head."""

    dim: int
    parameters: int
    macs: int
    """Multiply-accumulate operations for one face, of convolutions, matrix products and attention."""


def feature_dim(network: str, build: Callable[[int], nn.Module], img_size: int, usual: int) -> int:
    """Length of the feature vector that a network gives.

    Args:
        network: its name, for the message.
        build: makes it for a size of faces.
        img_size: side of the faces in px.
        usual: a side that is known to fit.

    Raises:
        FacelineError: where it takes no faces of that size (the next size that fits is given), or gives no vector.
    """
    return _examined(network, build, img_size, usual, counting=False).dim


def measures(network: str, build: Callable[[int], nn.Module], img_size: int, usual: int) -> Measures:
    """As `feature_dim`, with the number of parameters and of operations."""
    return _examined(network, build, img_size, usual, counting=True)


def _examined(network: str, build: Callable[[int], nn.Module], img_size: int, usual: int, counting: bool) -> Measures:
    try:
        return _run(outline(build, img_size), "meta", img_size, counting)
    except _MISFITS as error:
        reason: Exception = error
    fitting = usual
    if _fits(build, usual):
        fitting = next((size for size in _SIZES if size > img_size and _fits(build, size)), usual)
    else:  # a few networks do not run on the meta device at all
        try:
            with fork_rng(devices=[]):
                return _run(build(img_size), "cpu", img_size, counting)
        except _MISFITS as error:
            reason = error
    raise FacelineError(
        f"model_name: {network} takes no faces of {img_size} px ({' '.join(str(reason).split())[:100]}). "
        f"Set img_size: {fitting}, which fits, and run preprocess again"
    )


def _run(module: nn.Module, device: str, img_size: int, counting: bool) -> Measures:
    counter = FlopCounterMode(display=False) if counting else nullcontext()
    with torch.no_grad(), counter:
        features = module.eval()(torch.zeros(1, 3, img_size, img_size, device=device))
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise ValueError("it gives no vector of features")
    macs = counter.get_total_flops() // 2 if isinstance(counter, FlopCounterMode) else 0
    return Measures(features.shape[1], sum(p.numel() for p in module.parameters()), macs)


def _fits(build: Callable[[int], nn.Module], img_size: int) -> bool:
    try:
        _run(outline(build, img_size), "meta", img_size, counting=False)
    except _MISFITS:
        return False
    return True


def outline(build: Callable[[int], nn.Module], img_size: int) -> nn.Module:
    """The network on the meta device: every shape, no values."""
    with _without_memory():
        network = build(img_size)
    return network.to("meta")


@contextmanager
def _without_memory() -> Iterator[None]:
    """Parameters of networks that are built inside are on the meta device; no random number is used up.

    `with torch.device("meta")` would also put the small calculations there by which some networks find their widths.
    """
    with fork_rng(devices=[]), _EmptyTensorsOnMeta():
        yield


class _EmptyTensorsOnMeta(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        arguments = dict(kwargs or {})
        if func is torch.empty:
            arguments["device"] = "meta"
        return func(*args, **arguments)
