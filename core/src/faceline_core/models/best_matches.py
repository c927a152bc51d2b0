"""Each position's best match between feature maps, without all similarities in memory at once.

Shapes: B groups, in each of which every one of P probes meets every one of G galleries; C channels; L positions of a
map, q of a probe's and r of a gallery's. Similarities of a block are (B, G, r, q, P): whichever of r and q a maximum is
taken over, the probes beside each other are compared as vectors. With the positions innermost, maxima took as long as
the matrix product itself.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_PROBES = 64
"""Probes beside each other: as many as a vector instruction of PyTorch's reductions takes in bfloat16."""
_CACHED_BYTES = 16 << 20
"""Of similarities on a CPU: maxima are taken before they leave its cache."""


class _Block(NamedTuple):
    groups: slice
    galleries: slice
    probes: slice


class _BestMatches(torch.autograd.Function):
    """Keeps where the maxima were, and builds the gradient of a block's similarities anew from that."""

    @staticmethod
    def forward(ctx: Any, probes: Tensor, galleries: Tensor, max_bytes: int) -> tuple[Tensor, Tensor]:
        groups, count, _, positions = probes.shape
        shape = (groups, galleries.shape[1], positions, count)
        found = [probes.new_empty(shape, dtype=_summed_in(probes)) for _ in range(2)]
        learning = any(ctx.needs_input_grad)
        index_type = torch.uint8 if positions <= 256 else torch.int32
        where = [torch.empty(shape if learning else 0, dtype=index_type, device=probes.device) for _ in range(2)]
        for block, similarity in _similarities(probes, galleries, max_bytes):
            groups_of, galleries_of, probes_of = block
            for axis, best, at in zip((2, 3), found, where, strict=True):
                if learning:
                    values, indices = similarity.max(axis)
                    at[groups_of, galleries_of, :, probes_of] = indices
                else:
                    values = similarity.amax(axis)
                best[groups_of, galleries_of, :, probes_of] = values
        ctx.save_for_backward(probes, galleries, *where)
        ctx.max_bytes = max_bytes
        return found[0], found[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_probes: Tensor, of_galleries: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        probes, galleries, r_at, q_at = ctx.saved_tensors
        probes_learn, galleries_learn, _ = ctx.needs_input_grad
        by_position = galleries.mT.contiguous() if probes_learn else None  # (B, G, r, C)
        to_probes, to_galleries = (
            torch.zeros_like(maps.mT, dtype=of_probes.dtype, memory_format=torch.contiguous_format) if learn else None
            for maps, learn in ((probes, probes_learn), (galleries, galleries_learn))
        )
        for block in _blocks(probes, galleries, ctx.max_bytes):
            groups_of, galleries_of, probes_of = block
            a, at_r, b, at_q = (
                tensor[groups_of, galleries_of, :, probes_of] for tensor in (of_probes, r_at, of_galleries, q_at)
            )
            groups, count, positions, width = a.shape
            gradient = a.new_zeros((groups, count, positions, positions, width), dtype=probes.dtype)
            gradient.scatter_(2, at_r.long().unsqueeze(2), a.to(probes.dtype).unsqueeze(2))
            # each index is there once: scatter_add_ would do as much, but has no deterministic form on CUDA
            index = at_q.long().unsqueeze(3)
            gradient.scatter_(3, index, gradient.gather(3, index) + b.to(probes.dtype).unsqueeze(3))
            gradient = gradient.view(groups, count * positions, positions * width)
            if to_galleries is not None:
                rows = _rows(probes[groups_of, probes_of])
                to_galleries[groups_of, galleries_of] += torch.bmm(gradient, rows).view(groups, count, positions, -1)
            if to_probes is not None and by_position is not None:
                of_rows = torch.bmm(gradient.mT, by_position[groups_of, galleries_of].flatten(1, 2))
                to_probes[groups_of, probes_of] += of_rows.view(groups, positions, width, -1).transpose(1, 2)
        found = (None if to is None else to.mT.to(probes.dtype) for to in (to_probes, to_galleries))
        return *found, None  # type: ignore[return-value]


def best_matches(probes: Tensor, galleries: Tensor, max_bytes: int) -> tuple[Tensor, Tensor]:
    """The greatest scalar product of each position with any of the other map, differentiable once.

    Args:
        probes: (B, P, C, L).
        galleries: (B, G, C, L), of the same dtype.
        max_bytes: bounds what is kept of the similarities at a time; one pair of maps always goes through.

    Returns:
        Of each probe's positions q (B, G, q, P), and of each gallery's positions r (B, G, r, P); float32, or float64
        where the maps are.
    """
    return _BestMatches.apply(probes, galleries, max_bytes)  # type: ignore[no-any-return]


def weighted_matches(
    probes: Tensor, galleries: Tensor, probe_weights: Tensor, gallery_weights: Tensor, max_bytes: int
) -> Tensor:
    """The weighted sum over all positions of what `best_matches` finds, without keeping that; not differentiable.

    Args:
        probes: (B, P, C, L).
        galleries: (B, G, C, L), of the same dtype.
        probe_weights: (B, P, L).
        gallery_weights: (B, G, L).
        max_bytes: as in `best_matches`.

    Returns:
        (B, G, P), in the dtype of the weights.
    """
    with torch.no_grad():
        sums = probe_weights.new_empty(len(probes), galleries.shape[1], probes.shape[1])
        of_probes = probe_weights.mT.unsqueeze(1)  # (B, 1, q, P)
        of_galleries = gallery_weights.unsqueeze(3)  # (B, G, r, 1)
        for block, similarity in _similarities(probes, galleries, max_bytes):
            groups_of, galleries_of, probes_of = block
            a = similarity.amax(2) * of_probes[groups_of, :, :, probes_of]
            b = similarity.amax(3) * of_galleries[groups_of, galleries_of]
            sums[groups_of, galleries_of, probes_of] = a.sum(2) + b.sum(2)
        return sums


def _similarities(probes: Tensor, galleries: Tensor, max_bytes: int) -> Iterator[tuple[_Block, Tensor]]:
    """Block after block of pairs with their similarities (B, G, r, q, P)."""
    if probes.shape[1] == 1:  # reordering the maps would take longer than multiplying them
        for block in _blocks(probes, galleries, max_bytes):
            product = galleries[block.groups, block.galleries].mT @ probes[block.groups]
            yield block, product.unsqueeze(4)
        return
    by_position = galleries.mT.contiguous()  # (B, G, r, C)
    rows, rows_of = probes, None
    for block in _blocks(probes, galleries, max_bytes):
        if rows_of != (block.groups, block.probes):
            rows, rows_of = _rows(probes[block.groups, block.probes]), (block.groups, block.probes)
        others = by_position[block.groups, block.galleries]
        product = torch.bmm(others.flatten(1, 2), rows.mT)
        yield block, product.view(*others.shape[:3], others.shape[2], -1)


def _rows(probes: Tensor) -> Tensor:
    """Maps (B, P, C, L) to (B, q and P, C), the probes beside each other."""
    return probes.permute(0, 3, 1, 2).flatten(1, 2)


def _blocks(probes: Tensor, galleries: Tensor, max_bytes: int) -> Iterator[_Block]:
    groups, count, _, positions = probes.shape
    if probes.device.type == "cpu":
        max_bytes = min(max_bytes, _CACHED_BYTES)
    # with the maxima, their indices as int64, and what becomes of them
    pairs = max(1, max_bytes // (positions * positions * probes.element_size() + 32 * positions))
    width = max(_PROBES, math.isqrt(pairs), pairs // max(1, galleries.shape[1])) // _PROBES * _PROBES
    width = min(count, pairs, width)
    height = min(galleries.shape[1], pairs // max(1, width))
    depth = min(groups, pairs // max(1, width * height))
    for group in _slices(groups, depth):
        for probe in _slices(count, width):
            for gallery in _slices(galleries.shape[1], height):
                yield _Block(group, gallery, probe)


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, max(1, size)))


def _summed_in(maps: Tensor) -> torch.dtype:
    return torch.promote_types(maps.dtype, torch.float32)
