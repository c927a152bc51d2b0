"""What metadata.json says of an exported recogniser."""

from typing import Any

import torch
import torchvision

from faceline_core import __version__
from faceline_core.models.recogniser import Recogniser

_IMAGES = "(N, H, W, 3) uint8 or float RGB in [0, 255], faces aligned to the 112 x 112 template, scaled"
_PROBABILITIES, _EMBEDDINGS, _NORMS = "probabilities (N, classes)", "unit embeddings (N, D)", "norms (N, 1)"


def describe(
    recogniser: Recogniser, checkpoint: dict[str, Any], metrics: dict[str, Any], differences: dict[str, float]
) -> dict[str, Any]:
    """The metadata, without what belongs to one file.

    Args:
        recogniser: what was exported.
        checkpoint: the content of its file.
        metrics: what metrics.json holds of it.
        differences: the largest of each method of the file.
    """
    methods = {
        method: {"inputs": inputs, "outputs": outputs, "largest_difference": differences[method]}
        for method, (inputs, outputs) in _signatures(recogniser).items()
        if method in differences
    }
    metadata = {
        "input": _IMAGES,
        "output": [_PROBABILITIES, _EMBEDDINGS, _NORMS],
        "methods": methods,
        "classes": checkpoint["classes"],
        "img_size": checkpoint["img_size"],
        "color_order": "RGB",
        "mean": list(checkpoint["normalisation"]["mean"]),
        "std": list(checkpoint["normalisation"]["std"]),
        "model_name": checkpoint["model_name"],
        "embedding_size": recogniser.dim,
        "thresholds": _thresholds(metrics, "unseen"),
        "training_data_sha256": checkpoint["data_sha256"],
        "largest_difference": max(differences.values()),
        "versions": {"faceline": __version__, "torch": torch.__version__, "torchvision": torchvision.__version__},
        "parameters": checkpoint["parameters"],
    }
    if recogniser.tap is not None:
        metadata["feature_map"] = [recogniser.tap.channels, recogniser.tap.side, recogniser.tap.side]
        metadata["occlusion_head"] = recogniser.occlusion_head is not None
    if recogniser.matcher is not None:
        metadata["visibility"] = recogniser.matcher.visibility
        metadata["score_statistics"] = checkpoint.get("score_statistics")
        metadata["thresholds_local"] = _thresholds(metrics, "unseen_local")
        metadata["thresholds_combined"] = _thresholds(metrics, "unseen_combined")
    return metadata


def _signatures(recogniser: Recogniser) -> dict[str, tuple[list[str], list[str]]]:
    """What each method takes and returns, in order."""
    signatures = {"forward": ([_IMAGES], [_PROBABILITIES, _EMBEDDINGS, _NORMS])}
    if recogniser.tap is None:
        return signatures
    side = recogniser.tap.side
    maps, visibility = f"{recogniser.tap.channels}, {side}, {side})", f"1, {side}, {side})"
    return signatures | {
        "embed": (
            [_IMAGES],
            [
                _EMBEDDINGS,
                _NORMS,
                f"feature maps (N, {maps}, unit length over channels",
                f"visibility (N, {visibility} in [0, 1], 1 visible",
            ],
        ),
        "match": (
            [
                f"probe maps (P, {maps}",
                f"gallery maps (G, {maps}",
                f"probe visibility (P, {visibility}",
                f"gallery visibility (G, {visibility}",
            ],
            ["local scores (P, G)"],
        ),
        "combine": (["embedding scores: cosines", "local scores, of the same shape"], ["combined scores"]),
    }


def _thresholds(metrics: dict[str, Any], scores: str) -> list[dict[str, float]]:
    """The score from which two faces are one person: chosen on unseen_val, measured on unseen; none without."""
    return [
        {
            "far": float(name.removeprefix("far_")),
            "threshold": rate["chosen_threshold"],
            "measured_far": rate["far_at_chosen"],
            "measured_vr": rate["vr_at_chosen"],
        }
        for name, rate in metrics.get(scores, {"vr": {}})["vr"].items()
        if "chosen_threshold" in rate
    ]
