"""A running mean of the weights, which is often a little better than the last of them (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from torch import Tensor, nn


class RunningMean(lightning.Callback):
    """Keeps an exponential running mean of what is trained, and shows it in validation.

    After step t the mean moves by 1 - d towards the weights, with d = min(decay, (1 + t) / (10 + t)), so that a short
    run is not held at its first weights. BatchNorm statistics are the network's own, which are running means anyway.

    Args:
        network: whose trained parameters are followed.
        decay: in (0, 1).
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network, self.decay = network, decay
        self.means: dict[str, Tensor] = {}
        self._steps = 0
        self._last_step = -1
        self._weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        trained = dict(self._trained())
        if self.means:
            self.means = {name: mean.to(trained[name].device) for name, mean in self.means.items()}
        else:
            self.means = {name: parameter.detach().clone() for name, parameter in trained.items()}
        self._last_step = trainer.global_step

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.global_step == self._last_step:
            return  # gradients are being accumulated
        self._last_step = trainer.global_step
        self._steps += 1
        decay = min(self.decay, (1 + self._steps) / (10 + self._steps))
        parameters = dict(self._trained())
        torch._foreach_lerp_(list(self.means.values()), [parameters[name].detach() for name in self.means], 1 - decay)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        if self.means:
            self._swap()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        if self._weights:
            self._swap_back()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The network has the mean in the block, as in validation."""
        if self._weights or not self.means:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap_back()

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means, "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.means, self._steps = state_dict["means"], state_dict["steps"]

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((name, parameter) for name, parameter in self.network.named_parameters() if parameter.requires_grad)

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._trained():
            self._weights[name] = parameter.detach().clone()
            parameter.copy_(self.means[name])

    @torch.no_grad()
    def _swap_back(self) -> None:
        for name, parameter in self._trained():
            parameter.copy_(self._weights[name])
        self._weights = {}
