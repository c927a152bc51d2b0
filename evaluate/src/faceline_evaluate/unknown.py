"""Figures of people never trained on: by each score, by occlusion, of visibility, and of finding one among many."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.masks import has_masks
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters.schema import Evaluate
from faceline_core.verification.combining import ScoreStatistics
from faceline_evaluate.comparing import COMBINED, EMBEDDING, Compared
from faceline_evaluate.identification import identification_figures
from faceline_evaluate.occlusion import occlusion_figures, visible_shares
from faceline_evaluate.verification import difference_figures
from faceline_evaluate.visibility import visibility_figures

Chosen = dict[str, dict[str, float | None]]
"""By score, by `far_name`: the thresholds that hold each rate on the people who are there for choosing."""


def named(score: str) -> str:
    """The record of metrics.json that holds the figures by a score: unseen, unseen_local, unseen_combined."""
    return "unseen" if score == EMBEDDING else f"unseen_{score}"


def unknown_figures(compared: Compared, chosen: Chosen, settings: Evaluate, seed: int) -> dict[str, Any]:
    """A record for each score, as `Verification.figures` gives it, and what the combined one gains."""
    figures = {
        named(score): verification.figures(settings.fars, chosen[score], settings.bootstrap, seed)
        for score, verification in compared.by.items()
    }
    if COMBINED in compared.by:
        before, after = (compared.by[score].pairs for score in (EMBEDDING, COMBINED))
        gain = difference_figures(before, after, settings.fars, settings.bootstrap, seed)
        figures["unseen_combined_minus_embedding"] = gain
    return figures


def part_figures(
    compared: Compared,
    shares: NDArray[np.float64] | None,
    recogniser: Recogniser,
    statistics: ScoreStatistics | None,
    settings: Evaluate,
    seed: int,
) -> dict[str, Any]:
    """How occlusion tells, and what a matcher and an occlusion head do about it, as far as there are any.

    Args:
        compared: the faces.
        shares: as `known_shares` gives them.
        recogniser: the recogniser.
        statistics: make two scores one; None where they are not.
        settings: the section evaluate.
        seed: of the resamples.
    """
    figures: dict[str, Any] = {}
    if statistics is not None:
        figures["score_weights"] = {"embedding": statistics.embedding_weight, "local": statistics.local_weight}
    if shares is not None:
        figures["unseen_occlusion"] = occlusion_figures(compared, shares, settings.fars, settings.bootstrap, seed)
    if recogniser.occlusion_head is not None and shares is not None:
        figures["unseen_visibility"] = visibility_figures(compared.faces, predicted_visibility(compared))
    if recogniser.matcher is not None:
        figures["unseen_identification"] = identification_figures(
            compared, recogniser.matcher, statistics, settings.rerank_top
        )
    return figures


def known_shares(compared: Compared) -> NDArray[np.float64] | None:
    """How much of each face is visible, as `visible_shares`; None where no mask is known."""
    if not has_masks(compared.faces):
        return None
    shares = visible_shares(compared.faces)
    return None if np.isnan(shares).all() else shares


def predicted_visibility(compared: Compared) -> NDArray[np.float32]:
    """(N, h, w) in [0, 1], as the occlusion head predicts it."""
    visibility = compared.seen.seen.visibility
    assert visibility is not None, "a recogniser with an occlusion head sees visibility"
    return visibility[:, 0].cpu().numpy()
