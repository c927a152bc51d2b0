"""Sums over the processes that train together."""

from torch import Tensor, distributed


def add_up(value: Tensor) -> None:
    """In place, the sum over the processes that train together."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        distributed.all_reduce(value)
