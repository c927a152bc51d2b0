"""What occlusion costs: pairs of which none, one or both faces are occluded, measured apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.masks import mask_of
from faceline_core.data.protocol import FaceSet
from faceline_evaluate.comparing import COMBINED, EMBEDDING, Compared
from faceline_evaluate.verification import Verification, difference_figures

GROUPS = ("none", "one", "both")
"""Of the two faces of a pair: how many are occluded."""
_CLEAR_FROM = 0.9


def visible_shares(faces: FaceSet) -> NDArray[np.float64]:
    """(N,) how much of each face its mask shows, 0 to 1; NaN where nothing is known of it."""
    masks = (mask_of(faces, index) for index in range(len(faces)))
    return np.array([np.nan if mask is None else float(np.mean(mask > 127)) for mask in masks])


def is_occluded(shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether less than 0.9 of a face is visible; False where nothing is known."""
    return shares < _CLEAR_FROM


def occlusion_figures(
    compared: Compared, shares: NDArray[np.float64], fars: Sequence[float], bootstrap: int, seed: int
) -> dict[str, Any]:
    """Figures of each group of pairs, by each score, at thresholds of its own.

    Args:
        compared: the faces.
        shares: (N,) as `visible_shares` gives them. Pairs with a face of which nothing is known are in no group.
        fars: false accept rates.
        bootstrap: resamples of people; 0 leaves the intervals out.
        seed: of the resamples.
    """
    known, occluded = ~np.isnan(shares), is_occluded(shares)
    figures: dict[str, Any] = {
        "clear_faces": int(np.sum(known & ~occluded)),
        "occluded_faces": int(np.sum(occluded)),
        "unknown_faces": int(np.sum(~known)),
    }
    faces = compared.by[EMBEDDING].pairs.faces
    of_known, count = known[faces].all(axis=1), occluded[faces].sum(axis=1)
    for number, group in enumerate(GROUPS):
        kept = of_known & (count == number)
        by = {
            score: Verification(whole.pairs.among(kept), whole.faces, whole.people)
            for score, whole in compared.by.items()
        }
        pairs = by[EMBEDDING].pairs
        figures[group] = {"genuine_pairs": len(pairs.genuine), "impostor_pairs": len(pairs.impostor)}
        figures[group] |= {score: part.group_figures(fars, bootstrap, seed) for score, part in by.items()}
        if COMBINED in by:
            gain = difference_figures(pairs, by[COMBINED].pairs, fars, bootstrap, seed)
            figures[group]["combined_minus_embedding"] = gain
    return figures
