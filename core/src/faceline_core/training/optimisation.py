"""Optimiser and schedule from their sections of params.yaml."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from faceline_core.parameters.schema import Optimizer, Scheduler


def build_optimizer(parameters: Iterable[nn.Parameter], lr: float, settings: Optimizer) -> torch.optim.Optimizer:
    """The optimiser over those parameters that are trained."""
    kind: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    return kind([p for p in parameters if p.requires_grad], lr=lr, weight_decay=settings.weight_decay)


def build_schedule(optimizer: torch.optim.Optimizer, lr: float, settings: Scheduler, steps: int) -> dict[str, Any]:
    """The schedule as Lightning's `configure_optimizers` takes it.

    Args:
        optimizer: whose learning rate it moves.
        lr: the rate at the top.
        settings: plateau (follows val_loss, once an epoch) or cosine (step by step, after a linear warm-up).
        steps: optimiser steps in all.
    """
    if settings.name == "plateau":
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=settings.factor, patience=settings.patience, min_lr=settings.min_lr
        )
        return {"scheduler": plateau, "monitor": "val_loss", "interval": "epoch"}
    warmup = math.ceil(settings.warmup * steps)
    floor = settings.min_lr / lr

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1, steps - warmup)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return {"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor), "interval": "step"}
