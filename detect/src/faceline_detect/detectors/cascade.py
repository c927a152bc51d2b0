"""The three nets of MTCNN (arXiv 1604.02878) with facenet-pytorch's weights, and what goes on between them.

They find what `facenet_pytorch.MTCNN(keep_all=True).detect` finds in a picture alone: the same sizes, thresholds and
rounding. Done otherwise is what took its time: pictures are made smaller by tables of sums, the first net goes over
them in parts that a processor's cache holds, and candidates are cut out together.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import nms

from faceline_detect.detectors.area_means import crop_means, spans, strip_means, sum_tables

SMALLEST_FACE = 20  # px
_THRESHOLDS = (0.6, 0.7, 0.7)
_FACTOR = 0.709  # between two sizes of a picture
_CELL, _STRIDE = 12, 2  # px: what the first net sees at once, and its step
_PART = 160_000  # px that it looks at together
_TOGETHER = {24: 64, 48: 16}  # candidates, by their side
_GREY, _CONTRAST = np.float32(127.5), np.float32(1 / 128)


class Cascade:
    """Finds faces in pictures of one size."""

    def __init__(self, device: torch.device):
        self.device = device
        self.first, self.second, self.third = (
            net().eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
            for net in (PNet, RNet, ONet)
        )

    @torch.inference_mode()
    def search(self, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Faces of each picture: (F, 15) box, score, and x and y of five landmarks in px, highest score first.

        Args:
            pictures: (H, W, 3) uint8 RGB, all of one size.
        """
        tables = sum_tables(pictures)
        candidates = self._propose(tables)
        candidates = [_refined(*seen) for seen in self._look(self.second, 24, tables, candidates)]
        faces = [_finished(*seen) for seen in self._look(self.third, 48, tables, candidates)] if candidates else []
        return faces or [np.zeros((0, 15), np.float32) for _ in pictures]

    def _propose(self, tables: NDArray[np.int32]) -> list[Tensor]:
        """(C, 5) squares and scores of each picture, by the first net."""
        height, width = (side - 1 for side in tables.shape[1:3])
        found: list[list[Tensor]] = [[torch.zeros(0, 9)] for _ in tables]
        for scale in _scales(min(height, width)):
            size = int(height * scale + 1), int(width * scale + 1)
            for number, boxes in enumerate(self._propose_at(tables, size, scale)):
                found[number].append(boxes[nms(boxes[:, :4], boxes[:, 4], 0.5)])
        return [_proposed(torch.cat(boxes)) for boxes in found]

    def _propose_at(self, tables: NDArray[np.int32], size: tuple[int, int], scale: float) -> Iterator[Tensor]:
        """(C, 9) boxes, scores and corrections of each picture, made smaller to a size, in the order of rows."""
        columns, (top, bottom) = spans(tables.shape[2] - 1, size[1]), spans(tables.shape[1] - 1, size[0])
        slopes = [net.weight.repeat(size[1]) for net in (self.first.prelu1, self.first.prelu2, self.first.prelu3)]
        cells = -(-(size[0] - 2) // _STRIDE) - 4
        height = max(_PART // size[1] // _STRIDE - 5, 1)
        count = max(_PART // (size[0] * size[1]), 1)
        for first in range(0, len(tables), count):
            some = tables[first : first + count]
            found: list[list[Tensor]] = [[] for _ in some]
            for start in range(0, cells, height):
                # the last part has what is left, for the pooling's last row may be of one
                rows = slice(_STRIDE * start, None if start + height >= cells else _STRIDE * (start + height) + 10)
                pixels = self._as_seen(strip_means(some, (top[rows], bottom[rows]), columns))
                for number, boxes in enumerate(self._boxes(pixels, slopes, start, scale)):
                    found[number].append(boxes)
            yield from map(torch.cat, found)

    def _boxes(self, pixels: Tensor, slopes: Sequence[Tensor], start: int, scale: float) -> Iterator[Tensor]:
        net = self.first
        x = _pooled(_bent(net.conv1(pixels), slopes[0]))
        x = _bent(net.conv3(_bent(net.conv2(x), slopes[1])), slopes[2]).permute(0, 2, 3, 1)
        logits = x @ net.conv4_1.weight.view(2, 32).t() + net.conv4_1.bias
        places = (logits[..., 1] - logits[..., 0] > 0.4).nonzero()  # 0.4 is a score of 0.599
        scores = logits[tuple(places.t())].softmax(1)[:, 1]
        places, scores = places[scores >= _THRESHOLDS[0]], scores[scores >= _THRESHOLDS[0]]
        corrections = x[tuple(places.t())] @ net.conv4_2.weight.view(4, 32).t() + net.conv4_2.bias
        corner = _STRIDE * (places[:, [2, 1]] + torch.tensor([0, start], device=places.device)).float()
        box = torch.cat([((corner + 1) / scale).floor(), ((corner + _CELL) / scale).floor()], 1)
        rows = torch.cat([box, scores[:, None], corrections], 1).cpu()
        yield from rows.split(places[:, 0].bincount(minlength=len(pixels)).tolist())

    def _look(
        self, net: nn.Module, side: int, tables: NDArray[np.int32], candidates: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, ...]]:
        """Of each picture those candidates that have a pixel in it, and what a net says of them; nothing where no
        picture has any."""
        kept, pixels = [], []
        for table, boxes in zip(tables, candidates, strict=True):
            crops = boxes[:, :4].long().numpy()
            crops[:, :2] = np.maximum(crops[:, :2] - 1, 0)
            crops[:, 2:] = np.minimum(crops[:, 2:], (table.shape[1] - 1, table.shape[0] - 1))
            inside = (crops[:, 2:] > crops[:, :2]).all(axis=1)
            kept.append(boxes[torch.from_numpy(inside)])
            pixels.append(crop_means(table, crops[inside], side))
        inputs = self._as_seen(np.concatenate(pixels))
        if not len(inputs):
            return
        said = zip(*(net(some) for some in inputs.split(_TOGETHER[side])), strict=True)
        counts = list(map(len, kept))
        yield from zip(kept, *(torch.cat(parts).cpu().split(counts) for parts in said), strict=True)

    def _as_seen(self, pixels: NDArray[np.float32]) -> Tensor:
        """(N, h, w, 3) in [0, 255], written over, to (N, 3, h, w) in [-1, 1], channels last."""
        pixels -= _GREY
        pixels *= _CONTRAST
        return torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)


def _scales(side: int) -> Iterator[float]:
    scale, small = _CELL / SMALLEST_FACE, side * (_CELL / SMALLEST_FACE)
    while small >= _CELL:
        yield scale
        scale, small = scale * _FACTOR, small * _FACTOR


def _proposed(found: Tensor) -> Tensor:
    found = found[nms(found[:, :4], found[:, 4], 0.7)]
    sides = (found[:, 2:4] - found[:, :2]).repeat(1, 2)
    return _squared(found[:, :4] + found[:, 5:] * sides, found[:, 4])


def _refined(candidates: Tensor, corrections: Tensor, scores: Tensor) -> Tensor:
    """(C, 5) squares and scores that pass the second net."""
    passed = scores[:, 1] > _THRESHOLDS[1]
    boxes, corrections, score = candidates[passed, :4], corrections[passed], scores[passed, 1]
    picked = nms(boxes, score, 0.7)
    return _squared(_corrected(boxes[picked], corrections[picked]), score[picked])


def _finished(candidates: Tensor, corrections: Tensor, marks: Tensor, scores: Tensor) -> NDArray[np.float32]:
    """(F, 15) faces that pass the third net."""
    passed = scores[:, 1] > _THRESHOLDS[2]
    boxes, score = candidates[passed, :4], scores[passed, 1:]
    places = marks[passed].view(-1, 2, 5).transpose(1, 2) * _sides(boxes)[:, None] + boxes[:, None, :2] - 1
    found = torch.cat([_corrected(boxes, corrections[passed]), score, places.flatten(1)], 1).numpy()
    return found[_apart(found)]


def _bent(x: Tensor, slopes: Tensor) -> Tensor:
    """PReLU of (N, C, h, w), channels last, rows taken as vectors: an eighth of the time of torch's own for few C.

    Args:
        slopes: of the channels, again and again, for a row or more.
    """
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n * height, width * channels)
    return torch.prelu(rows, slopes[: width * channels]).view(n, height, width, channels).permute(0, 3, 1, 2)


def _pooled(x: Tensor) -> Tensor:
    """The highest of each 2 x 2 of (N, C, h, w), at the lower and right edge of fewer: a fifth of torch's time."""
    for axis in (2, 3):
        lines = x.movedim(axis, 0)
        highest, others = lines[::2].clone(), lines[1::2]
        torch.maximum(highest[: len(others)], others, out=highest[: len(others)])
        x = highest.movedim(0, axis)
    return x


def _squared(boxes: Tensor, scores: Tensor) -> Tensor:
    """(N, 5) squares of a box's longer side about its centre, and scores."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.amax(1, keepdim=True)
    corner = boxes[:, :2] + sides * 0.5 - side * 0.5
    return torch.cat([corner, corner + side, scores[:, None]], 1)


def _sides(boxes: Tensor) -> Tensor:
    """(N, 2) width and height, the last pixel counted."""
    return boxes[:, 2:4] - boxes[:, :2] + 1


def _corrected(boxes: Tensor, corrections: Tensor) -> Tensor:
    return boxes + corrections * _sides(boxes).repeat(1, 2)


def _apart(found: NDArray[np.float32]) -> list[int]:
    """Rows that stay, highest score first: of two boxes that share over 0.7 of the smaller one the lower goes."""
    left, kept = np.argsort(found[:, 4])[::-1], []
    sides = found[:, 2:4] - found[:, :2] + 1
    areas = sides.prod(axis=1)
    while len(left):
        top, left = left[0], left[1:]
        kept.append(int(top))
        shared = np.minimum(found[top, 2:4], found[left, 2:4]) - np.maximum(found[top, :2], found[left, :2]) + 1
        left = left[np.maximum(shared, 0).prod(axis=1) / np.minimum(areas[top], areas[left]) <= 0.7]
    return kept
