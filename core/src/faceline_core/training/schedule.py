"""What becomes of the learning rate."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR, ReduceLROnPlateau

from faceline_core.parameters.training import Scheduler


class Schedule:
    """Moves the learning rate: `after_step` once an optimiser step, `after_epoch` with the epoch's val_loss.

    Lightning would move a plateau schedule only after it has written the epoch's checkpoint, and a resumed run would
    miss that move; so the module calls this itself.

    Args:
        optimizer: whose learning rates it moves, each group's from the one that it has.
        lr: the rate that `min_lr` is measured against.
        settings: plateau (follows val_loss, once an epoch), multistep (falls after given epochs) or cosine (step by
            step, after a linear warm-up).
        steps: optimiser steps in all.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, lr: float, settings: Scheduler, steps: int):
        self._cosine: LambdaLR | None = None
        self._multistep: MultiStepLR | None = None
        self._plateau: ReduceLROnPlateau | None = None
        if settings.name == "plateau":
            floors = [settings.min_lr * group["lr"] / lr for group in optimizer.param_groups]
            self._plateau = ReduceLROnPlateau(
                optimizer, factor=settings.factor, patience=settings.patience, min_lr=floors
            )
        elif settings.name == "multistep":
            self._multistep = MultiStepLR(optimizer, settings.milestones, settings.gamma)
        else:
            self._cosine = LambdaLR(optimizer, cosine_factor(lr, settings, settings.total_steps or steps))

    def after_step(self) -> None:
        if self._cosine:
            self._cosine.step()

    def after_epoch(self, val_loss: float) -> None:
        if self._plateau:
            self._plateau.step(val_loss)
        if self._multistep:
            self._multistep.step()

    def state_dict(self) -> dict[str, Any]:
        state = dict(self._chosen().state_dict())
        if "milestones" in state:  # a Counter, which weights_only does not read
            state["milestones"] = dict(state["milestones"])
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._chosen().load_state_dict({name: value for name, value in state.items() if name != "milestones"})

    def _chosen(self) -> LambdaLR | MultiStepLR | ReduceLROnPlateau:
        chosen = self._plateau or self._multistep or self._cosine
        assert chosen is not None
        return chosen


def cosine_factor(lr: float, settings: Scheduler, steps: int) -> Callable[[int], float]:
    """What lr is multiplied with at each step: up along a line to max_lr_factor, then half a cosine down to min_lr."""
    warmup = math.ceil(settings.warmup_steps * steps)
    top, floor = settings.max_lr_factor, settings.min_lr / lr

    def factor(step: int) -> float:
        if step < warmup:
            return top * (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1, steps - warmup)
        return floor + (top - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return factor
