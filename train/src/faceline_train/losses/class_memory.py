"""A feature map of each person, and the loss of telling faces from the people nearest to them (arXiv 1904.10424)."""

import math

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from faceline_core.errors import FacelineError
from faceline_core.models.qaconv import QAConv
from faceline_core.stage.memory import available_bytes

_COPYING = 200
"""What it costs `matcher.pairs` to copy both maps of a pair, in positions of a map that could be matched meanwhile.
Measured on a CPU at 512 x 7 x 7 and 256 x 14 x 14."""
_MOST_OF_FREE = 0.8
"""The part of what is free that the maps may take: a step needs room beside them."""


class ClassMemory(nn.Module):
    """One feature map a class, as a running average, and the softmax loss over the classes nearest to a face's own.

    Shapes: B faces, C classes, D numbers of an embedding; maps (B, channels, height, width) are of unit length over
    channels, as the matcher takes them. A step calls `loss` and then `update`, so that no face is matched with itself.

    Args:
        classes: C.
        channels, height, width: of the maps.
        k_nearest: how many other classes a face is told from.
        momentum: what a kept map retains when a new one comes, in [0, 1).
        pooled: keep means over 2 x 2 positions, a quarter of the memory, which stand for all four when matched.
        dtype: what the maps are kept in; the averages are float32.
        device: where the maps are kept, and what must have the room. Build the memory where it will be used.

    `maps` (C, channels, height, width; half as high and wide where pooled) and `seen` (C,) bool, False before the first
    face of a class, are in the state dict: a run that goes on has the memory that it had.

    Raises:
        FacelineError: where the maps would take more than 0.8 of what is free on the device, or cannot be pooled.
    """

    maps: Tensor
    seen: Tensor

    def __init__(
        self,
        classes: int,
        channels: int,
        height: int,
        width: int,
        *,
        k_nearest: int = 32,
        momentum: float = 0.9,
        pooled: bool = False,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        super().__init__()
        self.k_nearest, self.momentum, self.pooled = k_nearest, momentum, pooled
        device = torch.device(device)
        can_pool = height % 2 == width % 2 == 0
        if pooled and not can_pool:
            raise FacelineError(
                f"local.memory_pooled: true: maps of {height} x {width} cannot be pooled by 2 x 2. Set it to false, or "
                "feature_map: 14"
            )
        shape = (classes, channels, height // 2, width // 2) if pooled else (classes, channels, height, width)
        needed, available = math.prod(shape) * dtype.itemsize, free_bytes(device)
        if needed > _MOST_OF_FREE * available:
            smaller = "local.memory_pooled: true, which takes a quarter, or " if can_pool and not pooled else ""
            raise FacelineError(
                f"local.class_memory: true: maps of {' x '.join(map(str, shape[1:]))} of {classes} people are "
                f"{needed / 1e6:.1f} MB, and {available / 1e6:.1f} MB are free on {device}, of which they may take "
                f"{_MOST_OF_FREE:.0%}. "
                f"Set {smaller}local.class_memory: false"
            )
        self.register_buffer("maps", torch.zeros(shape, dtype=dtype, device=device))
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.bool, device=device))

    def loss(
        self, matcher: QAConv, maps: Tensor, labels: Tensor, columns: Tensor, visibility: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of a face's matching scores with its own class and the `k_nearest` others nearest to that.

        Nearest is by cosine of the head's columns. Classes that were never seen are no candidates. Gradients go to
        `maps` and to the matcher. A matcher in training mode normalises with the statistics of the pairs that are
        compared here, and its running ones follow them, as at every call. Processes that train together all call this.

        Args:
            matcher: of the maps' size.
            maps: (B, channels, height, width).
            labels: (B,) the class of each face.
            columns: (D, C) of the head, of any length.
            visibility: (B, 1, height, width) of the faces; kept maps count as wholly visible.

        Returns:
            The mean () float32 over the faces whose own class was seen before, and how many faces were left out because
            it was not, () int64. Where all were, that loss is 0 with a gradient of 0.
        """
        known = self.seen[labels]  # goes on if it is none: processes wait for each other in the matcher
        labels = labels[known]
        logits = self._logits(
            matcher, maps[known], None if visibility is None else visibility[known], *self._candidates(labels, columns)
        )
        losses = F.cross_entropy(logits, torch.zeros_like(labels), reduction="sum")
        return losses / max(1, len(labels)), (~known).sum()

    @torch.no_grad()
    def update(self, maps: Tensor, labels: Tensor) -> None:
        """Moves the maps of the batch's classes towards the mean of their faces; the first sight of one sets it.

        Processes that train together all call this at once, with batches of any size; each ends with the memory that
        one process would have after the faces of all. A batch that is not finite leaves the memory as it is: a NaN
        would stay for good.

        Args:
            maps: (B, channels, height, width).
            labels: (B,) the class of each face.
        """
        if self.pooled:
            maps = F.avg_pool2d(maps.float(), 2)
        flat, labels = _of_all_processes(maps.float().flatten(1)), _of_all_processes(labels)
        if not flat.isfinite().all():
            return
        classes = labels.unique()
        of_class = (classes[:, None] == labels).float()
        with torch.autocast(flat.device.type, enabled=False):
            means = of_class / of_class.sum(1, keepdim=True) @ flat  # adding up by index would differ from run to run
        means = means.view(-1, *self.maps.shape[1:])
        moved = torch.lerp(means, self.maps[classes].float(), self.momentum)
        self.maps[classes] = torch.where(self.seen[classes].view(-1, 1, 1, 1), moved, means).to(self.maps.dtype)
        self.seen[classes] = True

    def _logits(
        self, matcher: QAConv, maps: Tensor, visibility: Tensor | None, candidates: Tensor, valid: Tensor
    ) -> Tensor:
        """Scores (B, 1 + k) float32 of faces and the kept maps of classes, as `_candidates` gives them; -inf where they
        do not count. Either way of scoring gives the same, statistics included."""
        needed, place = candidates[valid].unique(return_inverse=True)
        face = valid.nonzero(as_tuple=True)[0]
        kept, positions = self._kept(needed, maps.dtype), maps.shape[2] * maps.shape[3]
        if len(maps) * len(needed) * positions <= len(face) * (positions + _COPYING):
            others = torch.ones(len(maps), len(needed), dtype=torch.bool, device=maps.device)
            others[face, place] = False
            scores = matcher(maps, kept, visibility, left_out=others)[face, place]
        else:
            scores = matcher.pairs(maps[face], kept[place], None if visibility is None else visibility[face])
        logits = torch.full(valid.shape, -torch.inf, device=scores.device)
        logits[valid] = scores.float()
        return logits

    @torch.no_grad()
    def _candidates(self, labels: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Per face (B, 1 + k) classes, its own first and then the nearest, and whether they count (B, 1 + k) bool."""
        own, face = labels.unique(return_inverse=True)
        with torch.autocast(columns.device.type, enabled=False):
            columns = columns.float()
            lengths = torch.linalg.vector_norm(columns, dim=0).clamp_min(1e-12)
            closeness = columns[:, own].T @ columns / lengths  # (classes of the batch, C): cosine times own length
        closeness = closeness.masked_fill(~self.seen, -torch.inf).scatter(1, own[:, None], -torch.inf)
        closeness, nearest = closeness.topk(min(self.k_nearest, len(self.seen) - 1), dim=1)
        candidates = torch.cat([own[:, None], nearest], dim=1)
        valid = torch.cat([torch.ones_like(own[:, None], dtype=torch.bool), closeness != -torch.inf], dim=1)
        return candidates[face], valid[face]

    def _kept(self, classes: Tensor, dtype: torch.dtype) -> Tensor:
        """Maps (U, channels, height, width) of classes (U,), of unit length over channels."""
        kept = F.normalize(self.maps[classes].float(), dim=1).to(dtype)
        return F.interpolate(kept, scale_factor=2, mode="nearest") if self.pooled else kept


def free_bytes(device: torch.device) -> int:
    """Memory of a device that is free."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_bytes()


def _of_all_processes(rows: Tensor) -> Tensor:
    """The rows (B, ...) of all processes that train together, each of which may hold another number, in rank order."""
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return rows
    counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, torch.full_like(counts[0], len(rows)))
    most = int(torch.cat(counts).max())
    padded = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
    found = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(found, padded)
    return torch.cat([part[: int(count)] for part, count in zip(found, counts, strict=True)])
