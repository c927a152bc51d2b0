"""The anchors: squares on a grid over the picture, against which the network's outputs are coded."""

import numpy as np
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
    grid = np.empty((PER_CELL * sum(rows * columns for rows, columns in shapes), 4), np.float32)
    start = 0
    for (rows, columns), stride, sizes in zip(shapes, STRIDES, SIZES, strict=True):
        level = grid[start : start + PER_CELL * rows * columns].reshape(rows, columns, PER_CELL, 4)
        start += PER_CELL * rows * columns
        level[0, :, :, 0] = ((np.arange(columns) + 0.5) * stride)[:, None]
        level[0, :, :, 2:] = np.array(sizes)[:, None]
        level[1:] = level[0]  # whole rows: numbers that lie apart are slow to write one by one
        level[..., 1] = ((np.arange(rows) + 0.5) * stride)[:, None, None]
    return torch.from_numpy(grid).to(device)
