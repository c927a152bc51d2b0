"""Fusion as params.yaml describes it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from faceline_core.faces import Face
from faceline_core.parameters.detection import Fusion
from faceline_detect.fusion.suppression import soft_nms
from faceline_detect.fusion.weighted_boxes import fuse, shares_of


def combine(found: Mapping[str, Sequence[Face]], settings: Fusion) -> list[Face]:
    """The faces of several detectors in one picture, as one list, highest score first.

    Args:
        found: by the detector's name: all that `settings.weights` names; others are passed over.
        settings: `method: soft_nms` lowers scores by the detectors' weights as `conf_type: max` does, and then those of
            faces that overlap (linear decay above `iou_threshold`); what falls under `confidence_threshold` goes.
    """
    faces = [found[name] for name in settings.weights]
    weights = list(settings.weights.values())
    if settings.method == "boxes":
        return fuse(faces, weights, settings.iou_threshold, settings.conf_type, settings.confidence_threshold)
    pooled = [
        replace(face, score=face.score * share)
        for of_one, share in zip(faces, shares_of(weights, len(faces)), strict=True)
        for face in of_one
        if face.score >= settings.confidence_threshold
    ]
    return soft_nms(pooled, "linear", settings.iou_threshold, confidence_threshold=settings.confidence_threshold)
