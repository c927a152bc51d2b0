"""Faces beside their masks and what the occlusion head says of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from faceline_core.data.masks import mask_of
from faceline_core.data.protocol import FaceSet
from faceline_evaluate.occlusion import is_occluded
from faceline_evaluate.pictures import save
from faceline_evaluate.visibility import known_masks

_FACES, _OCCLUDED, _ACROSS = 16, 12, 4


def chosen_faces(shares: NDArray[np.float64]) -> list[int]:
    """The places of up to 16 faces whose mask is known, spread over the set: 12 occluded ones and then 4 clear ones,
    or more of one kind where the other has not so many.

    Args:
        shares: (N,) how much of each face is visible; NaN where that is not known.
    """
    occluded = np.flatnonzero(is_occluded(shares))
    clear = np.flatnonzero(~is_occluded(shares) & ~np.isnan(shares))
    from_occluded = min(len(occluded), max(_OCCLUDED, _FACES - len(clear)))
    return [*_spread(occluded, from_occluded), *_spread(clear, _FACES - from_occluded)]


def draw_visibility(path: Path, faces: FaceSet, predicted: NDArray[np.float32], places: Sequence[int]) -> None:
    """A face, its mask and the predicted map side by side, for each of the faces at `places`.

    Args:
        path: the file.
        faces: N faces; the masks of those at `places` are known.
        predicted: (N, h, w) in [0, 1], 1 is visible.
        places: up to 16.
    """
    _, masks = known_masks(faces, predicted.shape[1:], places)
    down = -(-len(places) // _ACROSS)
    figure = plt.figure(figsize=(3.6 * _ACROSS, 1.5 * down + 0.7), layout="constrained")
    groups = figure.subfigures(down, _ACROSS, squeeze=False, wspace=0.04).flat
    for number, (group, place) in enumerate(zip(groups, places, strict=False)):
        told, truly = predicted[place], masks[number]
        panels = group.subplots(1, 3)
        shown = (
            (faces.face(place), "face"),
            (mask_of(faces, place), "mask"),
            (told, f"predicted, off by {np.abs(told - truly).mean():.2f}"),
        )
        for axes, (picture, title) in zip(panels, shown, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255 if picture.dtype == np.uint8 else 1)
            axes.set_title(title, fontsize=7, pad=2)
            axes.set(xticks=[], yticks=[])
        group.suptitle(f"{faces.classes[faces.labels[place]]}, {1 - truly.mean():.0%} hidden", fontsize=8)
    figure.suptitle("What is visible (white): as known, and as the occlusion head predicts it", fontsize=11)
    save(path, figure)


def _spread(places: NDArray[np.intp], count: int) -> list[int]:
    """As many of them, at even distances."""
    if not len(places) or count <= 0:
        return []
    return [int(places[at]) for at in np.unique(np.linspace(0, len(places) - 1, count).round().astype(int))]
