"""Boxes and landmarks as numbers relative to an anchor, as the network gives them, and back to pixels."""

import math

import torch
from torch import Tensor

CENTRE, SIZE = 0.1, 0.2
"""What offsets of centres, in sizes of the anchor, and logarithms of sizes are divided by."""
_LARGEST = math.log(1000 / 16)
"""Of a size's logarithm: a network that was not trained yet must not reach infinity."""


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., 4) left, top, right, bottom px, of some size, against anchors (..., 4) of the centre form."""
    centres, sizes = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    offsets = (centres - anchors[..., :2]) / (CENTRE * anchors[..., 2:])
    return torch.cat([offsets, (sizes / anchors[..., 2:]).log() / SIZE], -1)


def decode_boxes(coded: Tensor, anchors: Tensor) -> Tensor:
    """The inverse of `encode_boxes`: (..., 4) left, top, right, bottom px."""
    centres = anchors[..., :2] + coded[..., :2] * CENTRE * anchors[..., 2:]
    halves = anchors[..., 2:] * (coded[..., 2:] * SIZE).clamp(max=_LARGEST).exp() / 2
    return torch.cat([centres - halves, centres + halves], -1)


def encode_landmarks(landmarks: Tensor, anchors: Tensor) -> Tensor:
    """Landmarks (..., 5, 2) x, y px against anchors (..., 4): (..., 10); NaN stays NaN."""
    offsets = (landmarks - anchors[..., None, :2]) / (CENTRE * anchors[..., None, 2:])
    return offsets.flatten(-2)


def decode_landmarks(coded: Tensor, anchors: Tensor) -> Tensor:
    """The inverse of `encode_landmarks`: (..., 5, 2) x, y px."""
    return anchors[..., None, :2] + coded.unflatten(-1, (-1, 2)) * CENTRE * anchors[..., None, 2:]
