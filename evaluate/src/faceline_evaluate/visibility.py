"""How well an occlusion head tells what of a face is visible."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.data.masks import mask_of
from faceline_core.data.protocol import FaceSet

_VISIBLE_ABOVE = 0.5


def visibility_figures(faces: FaceSet, predicted: NDArray[np.float32]) -> dict[str, Any] | None:
    """Predicted visibility against the masks, over the positions of all faces whose mask is known.

    Args:
        faces: N faces.
        predicted: (N, h, w) in [0, 1], 1 is visible.

    Returns:
        The mean absolute error against the mask, averaged over the area of each position; and the intersection over
        union of what is hidden, and of what is visible, each at 0.5. Beside them the share that is hidden, which is the
        error of a head that calls everything visible. None where no mask is known.
    """
    places, masks = known_masks(faces, predicted.shape[1:])
    if not len(places):
        return None
    told = predicted[places]
    visible, truly = told > _VISIBLE_ABOVE, masks > _VISIBLE_ABOVE
    return {
        "faces": len(places),
        "hidden_share": float(1 - masks.mean()),
        "mean_absolute_error": float(np.abs(told - masks).mean()),
        "iou_hidden": _iou(~visible, ~truly),
        "iou_visible": _iou(visible, truly),
    }


def known_masks(
    faces: FaceSet, shape: tuple[int, ...], places: Sequence[int] | None = None
) -> tuple[list[int], NDArray[np.float32]]:
    """The places of the K faces whose mask is known, of all or those at `places`, and these masks (K, h, w): the
    visible part of each position."""
    height, width = shape
    known, shrunk = [], []
    for index in range(len(faces)) if places is None else places:
        mask = mask_of(faces, index)
        if mask is not None:
            known.append(index)
            shrunk.append(cv2.resize(mask.astype(np.float32) / 255, (width, height), interpolation=cv2.INTER_AREA))
    return known, np.array(shrunk, np.float32).reshape(-1, height, width)


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float | None:
    """None where neither has a position."""
    union = int(np.sum(one | other))
    return int(np.sum(one & other)) / union if union else None
