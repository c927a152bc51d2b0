"""The export stage: a checkpoint to a file that runs without Faceline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from faceline_core import __version__
from faceline_core.data.faces import read_faces
from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.stage.files import replaced_folder, sha256_of, write_json
from faceline_core.stage.progress import say
from faceline_export.torchscript import largest_difference, write_torchscript

_FACES = 64


def export(processed: Path = Path("data/processed"), artifacts: Path = Path("artifacts")) -> None:
    """Writes `model/model.torchscript.pt` and `model/metadata.json` below `artifacts`.

    Raises:
        FacelineError: where the checkpoint, the metrics or the test faces are missing, where the metrics are of another
            checkpoint, and where the exported model differs from its checkpoint by more than 1e-4.
    """
    checkpoint_file = artifacts / "checkpoints/best_model.pth"
    recogniser, checkpoint = load_recogniser(checkpoint_file)
    checkpoint_sha256 = sha256_of(checkpoint_file)
    metrics = _read_metrics(artifacts / "metrics.json", checkpoint_sha256)
    test = read_split(processed, "test")
    spread = np.unique(np.linspace(0, len(test.paths) - 1, _FACES).astype(int))
    faces = torch.from_numpy(read_faces([test.paths[index] for index in spread], recogniser.img_size))
    with replaced_folder(artifacts / "model") as folder:
        model_file = folder / "model.torchscript.pt"
        write_torchscript(recogniser, model_file)
        difference = largest_difference(recogniser, model_file, faces)
        metadata = {
            "input": "(N, H, W, 3) uint8 or float RGB in [0, 255], faces aligned to the 112 x 112 template, scaled",
            "output": ["probabilities (N, classes)", "unit embeddings (N, D)", "norms (N, 1)"],
            "classes": checkpoint["classes"],
            "img_size": checkpoint["img_size"],
            "color_order": "RGB",
            "mean": list(checkpoint["normalisation"]["mean"]),
            "std": list(checkpoint["normalisation"]["std"]),
            "model_name": checkpoint["model_name"],
            "embedding_size": recogniser.dim,
            "thresholds": _thresholds(metrics),
            "training_data_sha256": checkpoint["data_sha256"],
            "checkpoint_sha256": checkpoint_sha256,
            "model_sha256": sha256_of(model_file),
            "largest_difference": difference,
            "faces_compared": len(faces),
            "versions": {"faceline": __version__, "torch": torch.__version__, "torchvision": torchvision.__version__},
            "parameters": checkpoint["parameters"],
        }
        write_json(folder / "metadata.json", metadata)
    say(
        "export",
        f"{model_file.name}: differs from the checkpoint by at most {difference:.1e} on {len(faces)} test faces",
    )
    say("export", f"-> {artifacts / 'model'}")


def _read_metrics(path: Path, checkpoint_sha256: str) -> dict[str, Any]:
    if not path.is_file():
        raise FacelineError(f"{path} is not there. Measure the recogniser first: dvc repro evaluate")
    try:
        metrics = dict(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise FacelineError(f"{path} is not JSON (line {error.lineno}). Measure again: dvc repro evaluate") from None
    if metrics.get("checkpoint", {}).get("sha256") != checkpoint_sha256:
        raise FacelineError(f"{path} was measured on another checkpoint. Measure this one: dvc repro evaluate")
    return metrics


def _thresholds(metrics: dict[str, Any]) -> list[dict[str, float]]:
    """Cosine similarity from which two faces are one person: chosen on unseen_val, measured on unseen; none without."""
    return [
        {
            "far": float(name.removeprefix("far_")),
            "threshold": rate["chosen_threshold"],
            "measured_far": rate["far_at_chosen"],
            "measured_vr": rate["vr_at_chosen"],
        }
        for name, rate in metrics.get("unseen", {"vr": {}})["vr"].items()
        if "chosen_threshold" in rate
    ]
