"""Which anchor has to find which face."""

from collections.abc import Iterator

import torch
from torch import Tensor

from faceline_detect.training.targets import Target

POSITIVE = 0.35
"""An anchor that overlaps a face by this IoU has to find it."""
FORCED = 0.2
"""A face takes its best anchor from this IoU on, though it be under POSITIVE."""
BACKGROUND, NEITHER = -1, -2
_COVERED = 0.5
"""Part of an anchor inside an ignored box from which on it is no background."""
_AT_A_TIME = {"cpu": 200_000, "cuda": 8_000_000}
"""Overlaps held at once; with more of them a CPU works in memory instead of its cache, at half the speed."""


def match(target: Target, anchors: Tensor) -> Tensor:
    """What each anchor has to find in a picture.

    An anchor is given the face that it overlaps most, from an IoU of POSITIVE on. Each face besides takes its best
    anchor, from FORCED on, also from another face; of several that take one anchor the one that overlaps it more has
    it. A face of no size, or too small for any anchor, takes none. An anchor that no face has, and that an ignored box
    would have in this way, or that lies in one by half of itself, is neither a face nor background.

    Args:
        target: G faces of the picture.
        anchors: (A, 4) centre x, centre y, width, height px.

    Returns:
        (A,) int64: the position of the face in `target`, BACKGROUND or NEITHER.
    """
    device = anchors.device
    boxes, ignored = target.boxes.to(device), target.ignore.to(device)
    squares = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1)
    matched = torch.full((len(anchors),), BACKGROUND, device=device)
    if ignored.any():
        matched[(_taker(boxes[ignored], squares) >= 0) | _covered(boxes[ignored], squares)] = NEITHER
    faces = (~ignored).nonzero()[:, 0]
    if len(faces):
        taker = _taker(boxes[faces], squares)
        matched = torch.where(taker >= 0, faces[taker.clamp(min=0)], matched)
    return matched


def _taker(boxes: Tensor, squares: Tensor) -> Tensor:
    """(A,) which of the boxes (G, 4), at least one, has each square (A, 4); -1 where none."""
    best, face = torch.full((len(squares),), -1.0, device=squares.device), squares.new_zeros(len(squares)).long()
    own, own_best = [], []
    for start, some in _blocks(boxes, squares):
        overlaps = _iou(some, squares)
        highest, which = overlaps.max(0)
        face = torch.where(highest > best, which + start, face)
        best = torch.maximum(best, highest)
        for kept, values in zip((own_best, own), overlaps.max(1), strict=True):
            kept.append(values)
    taker = torch.where(best >= POSITIVE, face, -1)
    return _forced(taker, torch.cat(own), torch.cat(own_best))


def _forced(taker: Tensor, places: Tensor, overlaps: Tensor) -> Tensor:
    """`taker` with each face's best square, `places` (G,), given to it where they overlap enough."""
    overlaps = torch.where(overlaps >= FORCED, overlaps, -1.0)
    most = overlaps.new_full(taker.shape, -1.0).scatter_reduce(0, places, overlaps, "amax")
    wins = (overlaps >= 0) & (overlaps == most[places])
    count = len(places)
    first = torch.where(wins, torch.arange(count, device=places.device), count)  # of equal ones
    winner = places.new_full(taker.shape, count).scatter_reduce(0, places, first, "amin")
    return torch.where(winner < count, winner, taker)


def _covered(boxes: Tensor, squares: Tensor) -> Tensor:
    """(A,) whether a square lies in one of the boxes by half of its area or more."""
    covered = torch.zeros(len(squares), dtype=torch.bool, device=squares.device)
    for _, some in _blocks(boxes, squares):
        covered |= (_common(some, squares) >= _COVERED * _area(squares)).any(0)
    return covered


def _blocks(boxes: Tensor, squares: Tensor) -> Iterator[tuple[int, Tensor]]:
    step = max(1, _AT_A_TIME.get(squares.device.type, _AT_A_TIME["cpu"]) // len(squares))
    for start in range(0, len(boxes), step):
        yield start, boxes[start : start + step]


def _iou(boxes: Tensor, squares: Tensor) -> Tensor:
    """(G, A); 0 for a box of no size, or less."""
    common = _common(boxes, squares)
    return common / (_area(boxes)[:, None] + _area(squares) - common)


def _common(boxes: Tensor, squares: Tensor) -> Tensor:
    """(G, A) px^2 that are in both."""
    wide = torch.minimum(boxes[:, None, 2], squares[:, 2]) - torch.maximum(boxes[:, None, 0], squares[:, 0])
    high = torch.minimum(boxes[:, None, 3], squares[:, 3]) - torch.maximum(boxes[:, None, 1], squares[:, 1])
    return wide.clamp_(min=0).mul_(high.clamp_(min=0))


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
