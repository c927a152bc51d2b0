"""The anchors: squares on a grid over the picture, against which the network's outputs are coded."""

import torch
from torch import Tensor

STRIDES = (8, 16, 32)
"""Px between the cells of each level."""
SIZES = ((16, 32), (64, 128), (256, 512))
"""Sides of each level's anchors, px."""
PER_CELL = 2
"""Anchors of a cell."""


def level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """Rows and columns of each level for a picture of that size in px."""
    return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]


def anchors(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Anchors of a picture, in the order of the network's outputs: by level, row, column, size.

    Args:
        height: of the picture, px.
        width: likewise.
        device: where they are wanted.

    Returns:
        (A, 4) float32 centre x, centre y, width, height in px. They reach beyond the picture where its cells do.

    Source: arXiv 1905.00641, section 3.3, with the sizes of its MobileNet-0.25.
    """
    shapes = level_shapes(height, width)
    grid = torch.empty(PER_CELL * sum(rows * columns for rows, columns in shapes), 4)
    start = 0
    for (rows, columns), stride, sizes in zip(shapes, STRIDES, SIZES, strict=True):
        level = grid[start : start + PER_CELL * rows * columns].view(rows, columns, PER_CELL, 4)
        start += PER_CELL * rows * columns
        level[:1, ..., 0] = ((torch.arange(columns) + 0.5) * stride)[:, None]
        level[:1, ..., 2:] = torch.tensor(sizes, dtype=torch.float32)[:, None]
        level[1:] = level[:1]  # whole rows: columns of four numbers are slow to write one by one
        level[..., 1] = ((torch.arange(rows) + 0.5) * stride)[:, None, None]
    return grid.to(device)
