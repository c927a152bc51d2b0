"""How well two boxes agree, from which the boxes' loss is made."""

import math

import torch
from torch import Tensor

_TINY = 1e-7


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """(N,) intersection over union of boxes (N, 4) left, top, right, bottom with others, one by one.

    Others have some size; of boxes that have none it is 0.
    """
    common = _common(boxes, others)
    return common / (_area(boxes) + _area(others) - common)


def giou(boxes: Tensor, others: Tensor) -> Tensor:
    """(N,) in (-1, 1]: less the part of the box around both that neither fills (arXiv 1902.09630, algorithm 1)."""
    common = _common(boxes, others)
    union = _area(boxes) + _area(others) - common
    around = _sides(_hull(boxes, others)).prod(-1)
    return common / union - (around - union) / around


def ciou(boxes: Tensor, others: Tensor) -> Tensor:
    """(N,) less how far apart the centres are, and how unlike the shapes (arXiv 1911.08287, eqs. 7 to 11)."""
    overlap = iou(boxes, others)
    apart = ((boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:]) / 2).square().sum(-1)
    diagonal = _sides(_hull(boxes, others)).square().sum(-1)
    shape = 4 / math.pi**2 * (_angle(others) - _angle(boxes)).square()
    with torch.no_grad():
        weight = shape / (1 - overlap + shape).clamp(min=_TINY)
    return overlap - apart / diagonal - weight * shape


def _common(boxes: Tensor, others: Tensor) -> Tensor:
    sides = torch.minimum(boxes[..., 2:], others[..., 2:]) - torch.maximum(boxes[..., :2], others[..., :2])
    return sides.clamp(min=0).prod(-1)


def _hull(boxes: Tensor, others: Tensor) -> Tensor:
    least, most = torch.minimum(boxes[..., :2], others[..., :2]), torch.maximum(boxes[..., 2:], others[..., 2:])
    return torch.cat([least, most], -1)


def _sides(boxes: Tensor) -> Tensor:
    return boxes[..., 2:] - boxes[..., :2]


def _area(boxes: Tensor) -> Tensor:
    return _sides(boxes).prod(-1)


def _angle(boxes: Tensor) -> Tensor:
    """Of the diagonal: atan(width / height)."""
    width, height = _sides(boxes).unbind(-1)
    return torch.atan2(width, height)


IOUS = {"iou": iou, "giou": giou, "ciou": ciou}
