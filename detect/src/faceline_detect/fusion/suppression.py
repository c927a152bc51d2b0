"""Soft non-maximum suppression (arXiv 1704.04503)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from faceline_core.faces import Face
from faceline_detect.fusion.overlaps import overlaps


def soft_nms(
    faces: Sequence[Face],
    decay: Literal["linear", "gaussian"] = "linear",
    iou_threshold: float = 0.5,
    sigma: float = 0.5,
    confidence_threshold: float = 0.001,
) -> list[Face]:
    """Lowers the scores of faces that overlap one of a higher score; boxes and landmarks stay as they are.

    Again and again the face of the highest score is taken, and the scores of those left are multiplied by a factor of
    their overlap with it.

    Args:
        faces: of one picture, of one detector or of several.
        decay: `linear`: 1 - IoU where IoU is above `iou_threshold`, else 1 (section 3, s_i of N_t).
            `gaussian`: exp(-IoU^2 / sigma) (equation 3), whatever the overlap.
        iou_threshold: linear; in [0, 1].
        sigma: gaussian; above 0.
        confidence_threshold: faces whose score is lower in the end are left out.

    Returns:
        Highest score first.

    Raises:
        ValueError: where there is no such decay, or sigma is not above 0.
    """
    if decay not in ("linear", "gaussian"):
        raise ValueError(f"decay: expected linear or gaussian, found {decay!r}")
    if not sigma > 0:
        raise ValueError(f"sigma: must be above 0, found {sigma:g}")
    boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
    scores = np.array([face.score for face in faces], np.float64)
    left = np.lexsort((*boxes.T[::-1], -scores))
    kept = []
    while len(left):
        at = int(scores[left].argmax())
        top, left = left[at], np.delete(left, at)
        kept.append(replace(faces[top], score=float(scores[top])))
        shared = overlaps(boxes[top], boxes[left])
        factor = (
            np.where(shared > iou_threshold, 1 - shared, 1.0) if decay == "linear" else np.exp(-(shared**2) / sigma)
        )
        scores[left] *= factor
        left = left[scores[left] >= confidence_threshold]
    return [face for face in kept if face.score >= confidence_threshold]
