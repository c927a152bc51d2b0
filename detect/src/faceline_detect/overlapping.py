"""Which found boxes lie on which labelled ones: pairs of enough overlap, over a whole set of pictures at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

OVERLAP = 0.5
"""Intersection over union from which a box is taken for a face."""
_BLOCK = 1 << 16
"""Pairs that are looked at together: some 10 MB, which a processor keeps at hand."""


class Pairs(NamedTuple):
    """Found and labelled boxes that overlap by OVERLAP or more, by the found box, then falling overlap, then the
    labelled box: the first of each found box is the one that it overlaps most."""

    found: NDArray[np.int64]
    """(P,) places among the found boxes."""
    truth: NDArray[np.int64]
    """(P,) places among the labelled boxes."""
    overlap: NDArray[np.float64]

    def best(self, boxes: int) -> NDArray[np.int64]:
        """(boxes,) the labelled box that each found box overlaps most, the first of several; -1 where none."""
        nearest = np.full(boxes, -1)
        first = np.append(True, self.found[1:] != self.found[:-1])[: len(self.found)]
        nearest[self.found[first]] = self.truth[first]
        return nearest


class Rows(NamedTuple):
    """The rows of many arrays, one a picture, under each other."""

    values: NDArray[np.float64]
    """(R, columns)."""
    picture: NDArray[np.int64]
    """(R,) which array each row is from, rising."""
    counts: NDArray[np.int64]
    """(pictures,) how many are from each."""


def stacked(arrays: Sequence[ArrayLike], columns: int, what: str) -> Rows:
    """Puts the arrays of all pictures under each other.

    Args:
        arrays: (N, columns) each; an empty one may have any shape.
        columns: how many.
        what: they are, for messages.

    Raises:
        ValueError: where one has another shape, or a value that is NaN or infinite; it names the picture by its place.
    """
    kept = [np.asarray(array, np.float64) for array in arrays]
    for place, array in enumerate(kept):
        if array.size == 0:
            kept[place] = np.empty((0, columns))
        elif array.ndim != 2 or array.shape[1] != columns:
            raise ValueError(f"{what} of image {place} must be (N, {columns}), found shape {array.shape}")
    counts = np.array([len(array) for array in kept], np.int64)
    values = np.concatenate([*kept, np.empty((0, columns))])
    picture = np.repeat(np.arange(len(kept)), counts)
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        row = wrong[0]
        within = row - int(np.searchsorted(picture, picture[row]))
        raise ValueError(f"{what} of image {picture[row]}: row {within} holds {values[row].tolist()}, expected numbers")
    return Rows(values, picture, counts)


def overlapping(found: Rows, truths: Rows) -> Pairs:
    """All pairs of one picture's boxes whose intersection over union is at least OVERLAP.

    Sides are counted in whole pixels, as WIDER FACE does: a box from 0 to 9 is 10 px wide.

    Args:
        found: (D, 4 or more) left, top, right, bottom, ...
        truths: (G, 4 or more) likewise, of the same pictures.

    A face lies under a box by half its area only where its middle is between the box's left and right edge. So only
    such pairs are looked at, which a binary search finds; they are a few for each box, also in a crowd.
    """
    order, begin, end = _between_edges(found, truths)
    candidates = np.concatenate([[0], np.cumsum(end - begin)])
    kept: list[Pairs] = []
    start = 0
    while start < len(begin):
        stop = max(start + 1, int(np.searchsorted(candidates, candidates[start] + _BLOCK, "right")) - 1)
        many = (end - begin)[start:stop]
        box = np.repeat(np.arange(start, stop), many)
        offset = np.arange(len(box)) - np.repeat(candidates[start:stop] - candidates[start], many)
        face = order[begin[box] + offset]
        overlap = _intersection_over_union(found.values[box], truths.values[face])
        enough = overlap >= OVERLAP
        kept.append(Pairs(box[enough], face[enough], overlap[enough]))
        start = stop
    if not kept:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    box, face, overlap = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    sort = np.lexsort((face, -overlap, box))
    return Pairs(box[sort], face[sort], overlap[sort])


def _between_edges(found: Rows, truths: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The labelled boxes sorted by picture and middle (G,), and for each found box from where to where in that order
    the middles lie between its edges, 1 px more either way: begin (D,), end (D,)."""
    if not len(found.values) or not len(truths.values):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
    middle = (truths.values[:, 0] + truths.values[:, 2] + 1) / 2
    lowest, highest = middle.min(), middle.max()
    more = 1 + (highest - lowest + 1) * len(truths.counts) * 1e-14  # the keys below are rounded
    stretch = highest - lowest + 4 * more
    order = np.lexsort((middle, truths.picture))
    keys = (truths.picture * stretch + (middle - lowest))[order]
    at = found.picture * stretch
    left, right = found.values[:, 0] - more, found.values[:, 2] + 1 + more
    begin = np.searchsorted(keys, at + (np.clip(left, lowest - more, highest + more) - lowest), "left")
    end = np.searchsorted(keys, at + (np.clip(right, lowest - more, highest + more) - lowest), "right")
    return order, begin, np.maximum(begin, end)


def _intersection_over_union(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) of (P, 4) and (P, 4), in the order of operations of WIDER FACE's: areas added, then the intersection off."""
    wide = np.minimum(one[:, 2], other[:, 2]) - np.maximum(one[:, 0], other[:, 0]) + 1
    high = np.minimum(one[:, 3], other[:, 3]) - np.maximum(one[:, 1], other[:, 1]) + 1
    both = np.maximum(wide, 0) * np.maximum(high, 0)
    areas = [(box[:, 2] - box[:, 0] + 1) * (box[:, 3] - box[:, 1] + 1) for box in (one, other)]
    union = areas[0] + areas[1] - both
    overlap: NDArray[np.float64] = np.divide(both, union, out=np.zeros_like(both), where=both > 0)
    return overlap
