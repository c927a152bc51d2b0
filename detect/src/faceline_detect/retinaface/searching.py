"""Pictures of any size to their faces, with a RetinaFace."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceline_core.faces import Face
from faceline_core.tensors.folding import fold_frozen
from faceline_detect.retinaface.coding import decode_boxes, decode_landmarks
from faceline_detect.retinaface.grid import PER_CELL, anchors, level_shapes
from faceline_detect.retinaface.network import Outputs, RetinaFace, normalised
from faceline_detect.searching.batches import BATCH_PHOTOS, most_pixels, padded_batches
from faceline_detect.searching.candidates import best
from faceline_detect.searching.sizes import resized, searched_size

_MIRRORED = [1, 0, 2, 4, 3]
"""Landmarks, as they stand in the mirrored picture."""


@dataclass(frozen=True)
class Search:
    """How a picture is searched; `detect.search` and `detect.test` of params.yaml have the same names."""

    confidence: float = 0.02
    nms: float = 0.4
    short_side: int | None = None
    long_side: int | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    precision: Literal[32, "bf16"] = 32


class _OneTensor(nn.Module):
    """A network's outputs as one tensor, which is what folding compares."""

    def __init__(self, network: RetinaFace):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat(self.network(images), -1)


@dataclass(frozen=True)
class _View:
    """A picture at one of the sizes that it is searched at."""

    position: int
    size: tuple[int, int]
    mirrored: bool


class RetinaFaceSearch:
    """Finds faces in pictures of any sizes.

    Pictures of nearly one size share a batch. What is padded stays zero at every layer, as it is beyond the edge of a
    picture alone, so that a face's score and box do not depend on the pictures beside it.

    Args:
        network: is copied; the copy's BatchNorms are folded into its convolutions.
        search: sizes, thresholds, and the precision of all but the heads.
        device: cpu, cuda, cuda:1, ...
    """

    def __init__(self, network: RetinaFace, search: Search, device: str = "cpu"):
        self.search, self.device = search, torch.device(device)
        self.network = deepcopy(network).to(self.device).float().eval().requires_grad_(False)
        fold_frozen(_OneTensor(self.network), 64)
        self._dtype = torch.bfloat16 if search.precision == "bf16" else torch.float32
        for part in (self.network.body, self.network.fpn, self.network.ssh1, self.network.ssh2, self.network.ssh3):
            part.to(self._dtype)
        self._sizes: Sequence[tuple[int, int]] = []
        self._padded = (0, 0)
        for module in self.network.modules():
            if _looks_around(module):
                module.register_forward_pre_hook(self._clear_padding)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Faces of each picture in its pixels, highest score first.

        Args:
            images: (H, W, 3) uint8 RGB, each of its own size.
        """
        views = [view for position, image in enumerate(images) for view in self._views(position, image)]
        found: list[list[Tensor]] = [[] for _ in images]
        most, sizes = most_pixels(self.device.type), [view.size for view in views]
        for batch, canvas in padded_batches(sizes, most, BATCH_PHOTOS):
            together = [views[index] for index in batch]
            for view, candidates in zip(together, self._look(together, images, canvas), strict=True):
                found[view.position].append(_in_picture(candidates, view, images[view.position]))
        return [self._faces(torch.cat(candidates)) if candidates else [] for candidates in found]

    def _views(self, position: int, image: NDArray[np.uint8]) -> list[_View]:
        height, width = image.shape[:2]
        if min(height, width) == 0:
            return []
        sizes = {self._size(height, width, scale): None for scale in self.search.scales}
        return [_View(position, size, flip) for size in sizes for flip in (False, True)[: 1 + self.search.flip]]

    def _size(self, height: int, width: int, scale: float) -> tuple[int, int]:
        """Height and width to search a picture at."""
        base = 1.0
        if self.search.short_side is not None:
            base = self.search.short_side / min(height, width)
        if self.search.long_side is not None:
            base = min(base, self.search.long_side / max(height, width))
        return searched_size(height, width, scale * base)

    @torch.inference_mode()
    def see(self, pixels: Tensor, sizes: Sequence[tuple[int, int]]) -> Outputs:
        """What the network says of pictures that share a batch.

        Args:
            pixels: (N, 3, H, W) uint8 RGB, each picture in its upper left corner; H and W are multiples of 32.
            sizes: height and width of each picture.

        Returns:
            Its outputs, in the order of `anchors(H, W)`. Those beyond a picture mean nothing.
        """
        self._sizes, self._padded = sizes, (pixels.shape[2], pixels.shape[3])
        outputs: Outputs = self.network(normalised(pixels.to(self.device), self._dtype))
        return outputs

    def _look(self, views: list[_View], images: Sequence[NDArray[np.uint8]], canvas: tuple[int, int]) -> list[Tensor]:
        """(C, 15) box, score and landmarks of each view's candidates, in its own px."""
        pixels = np.zeros((len(views), *canvas, 3), np.uint8)
        for picture, view in zip(pixels, views, strict=True):
            height, width = view.size
            seen = resized(images[view.position], view.size)
            picture[:height, :width] = seen[:, ::-1] if view.mirrored else seen
        outputs = self.see(torch.from_numpy(pixels).permute(0, 3, 1, 2), [view.size for view in views])
        scores = outputs.scores()
        return [
            self._candidates(Outputs(*(one[index] for one in outputs)), scores[index], view.size, canvas).cpu()
            for index, view in enumerate(views)
        ]

    def _candidates(self, outputs: Outputs, scores: Tensor, size: tuple[int, int], canvas: tuple[int, int]) -> Tensor:
        inside = _inside(size, canvas, self.device)
        scores = scores[inside]
        chosen = best(scores, self.search.confidence)
        places = inside[chosen]
        grid = anchors(*size, device=self.device)[chosen]
        boxes = decode_boxes(outputs.boxes[places], grid)
        landmarks = decode_landmarks(outputs.landmarks[places], grid)
        return torch.cat([boxes, scores[chosen, None], landmarks.flatten(1)], 1)

    def _faces(self, candidates: Tensor) -> list[Face]:
        from torchvision.ops import nms

        kept = candidates[nms(candidates[:, :4], candidates[:, 4], self.search.nms)].numpy()
        return [Face(row[:4], row[5:].reshape(5, 2), float(row[4])) for row in kept]

    def _clear_padding(self, _module: nn.Module, inputs: tuple[Tensor]) -> None:
        """Zeroes what lies beyond each picture, in place, before a layer that looks at neighbours."""
        (x,) = inputs
        stride = self._padded[0] // x.shape[2]
        for picture, (height, width) in zip(x, self._sizes, strict=True):
            picture[:, -(-height // stride) :] = 0
            picture[:, :, -(-width // stride) :] = 0


def _looks_around(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(module, nn.MaxPool2d) or (weight is not None and weight.ndim == 4 and weight.shape[-1] > 1)


def _inside(size: tuple[int, int], canvas: tuple[int, int], device: torch.device) -> Tensor:
    """Positions of a picture's own anchors among those of what it was padded to."""
    places, start = [], 0
    for (rows, columns), (all_rows, all_columns) in zip(level_shapes(*size), level_shapes(*canvas), strict=True):
        level = torch.arange(start, start + PER_CELL * all_rows * all_columns, device=device)
        places.append(level.view(all_rows, all_columns, PER_CELL)[:rows, :columns].flatten())
        start += len(level)
    return torch.cat(places)


def _in_picture(candidates: Tensor, view: _View, image: NDArray[np.uint8]) -> Tensor:
    """Candidates of a view in pixels of the picture: boxes are edges; landmarks are pixels, whose middles lie half a px
    further on, as in training."""
    height, width = view.size
    boxes, scores, landmarks = candidates[:, :4], candidates[:, 4:5], candidates[:, 5:].unflatten(1, (5, 2))
    if view.mirrored:
        left, top, right, bottom = boxes.unbind(1)
        boxes = torch.stack([width - right, top, width - left, bottom], 1)
        landmarks = (landmarks * torch.tensor([-1.0, 1.0]) + torch.tensor([width - 1.0, 0.0]))[:, _MIRRORED]
    scale = torch.tensor([image.shape[1] / width, image.shape[0] / height])
    landmarks = (landmarks + 0.5) * scale - 0.5
    return torch.cat([boxes * scale.repeat(2), scores, landmarks.flatten(1)], 1)
