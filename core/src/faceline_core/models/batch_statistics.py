"""A BatchNorm1d(1) as `scale * values + shift`, by statistics of those values of a tensor that count."""

import torch
from torch import Tensor, nn

from faceline_core.tensors.adding_up import add_up


def by_running(bn: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift (1,) by the running statistics, as in eval."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    return _scale_and_shift(bn, bn.running_mean, bn.running_var)


def by_batch(bn: nn.BatchNorm1d, values: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift (1,) by the statistics of a batch, as in training; the running statistics follow.

    Fewer than two values have no statistics: the running ones then stand in, and stay as they are. Where several
    processes train together each takes the statistics of its own values, and the running ones follow those of all.

    Args:
        bn: the layer.
        values: of any shape.
        counted: of the same shape, 1.0 where a value counts, else 0.0.
    """
    assert bn.running_mean is not None
    assert bn.running_var is not None
    # two passes: a sum of squares less the square of the sum would lose the digits of a small deviation
    count = counted.sum()
    mean = (counted * values).sum() / count.clamp_min(1)
    squares = (counted * (values - mean).square()).sum()
    known = count > 1
    found = _scale_and_shift(
        bn,
        torch.where(known, mean, bn.running_mean),
        torch.where(known, squares / count.clamp_min(1), bn.running_var),
    )
    _follow(bn, count, mean.detach(), squares.detach())
    return found


def _scale_and_shift(bn: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    scale = bn.weight * (variance + bn.eps).rsqrt()
    return scale, bn.bias - scale * mean


@torch.no_grad()
def _follow(bn: nn.BatchNorm1d, count: Tensor, mean: Tensor, squares: Tensor) -> None:
    """Moves the running statistics by this process's count, mean, and sum of squared deviations from it, all ().

    Without waiting for the device, and not towards statistics that are no numbers.
    """
    assert bn.running_mean is not None
    assert bn.running_var is not None
    assert bn.num_batches_tracked is not None
    assert bn.momentum is not None
    total = torch.stack([count, count * mean])
    add_up(total)
    count_of_all, mean_of_all = total[0], total[1] / total[0].clamp_min(1)
    squares = squares + count * (mean - mean_of_all).square()
    add_up(squares)
    variance_of_all = squares / (count_of_all - 1).clamp_min(1)
    known = (count_of_all > 1) & variance_of_all.isfinite()
    for running, now in ((bn.running_mean, mean_of_all), (bn.running_var, variance_of_all)):
        running.copy_(torch.where(known, torch.lerp(running, now.to(running.dtype), bn.momentum), running))
    bn.num_batches_tracked += known
