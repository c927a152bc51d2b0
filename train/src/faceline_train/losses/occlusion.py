"""The loss of the occlusion head."""

import torch
from torch import Tensor


def occlusion_loss(visibility: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Mean squared error of predicted visibility against the mask, averaged over the area of each position.

    Args:
        visibility: (N, 1, h, w) predicted, in [0, 1].
        masks: (N, S, S) uint8, 255 where a face is visible, 0 where it is hidden.
        known: (N,) bool; False leaves a face out, and its mask is not looked at.

    Returns:
        The mean () float32 over the known faces; 0, with a gradient of 0, where none is known.
    """
    errors = (visibility.float().squeeze(1) - area_averaged(masks, *visibility.shape[-2:])).square()
    counted = known.to(errors.dtype)
    return (errors.flatten(1).mean(1) * counted).sum() / counted.sum().clamp_min(1)


def area_averaged(masks: Tensor, height: int, width: int) -> Tensor:
    """Masks (N, H, W) uint8 to the mean (N, height, width) float32, in [0, 1], of the area that each position covers.

    Pixels on a border between positions count in each by the part that lies in it, unlike in adaptive pooling, which
    counts them whole.
    """
    with torch.autocast(masks.device.type, enabled=False):
        rows, columns = (
            _shares(size, cells, masks.device) for size, cells in zip(masks.shape[1:], (height, width), strict=True)
        )
        return rows @ (masks.float() / 255) @ columns.T


def _shares(size: int, cells: int, device: torch.device) -> Tensor:
    """(cells, size): what each of a line's pixels has of the mean of each cell. In whole numbers, pixels are `cells`
    long and cells `size`."""
    edges = torch.arange(cells + 1, device=device) * size
    pixels = torch.arange(size + 1, device=device) * cells
    overlap = torch.minimum(edges[1:, None], pixels[1:]) - torch.maximum(edges[:-1, None], pixels[:-1])
    return overlap.clamp_min(0) / size
