"""The export stage: a checkpoint to a file that runs without Faceline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from faceline_core.data.processed import open_processed
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.models.recogniser import Recogniser
from faceline_core.stage.files import replaced_folder, sha256_of, write_json
from faceline_core.stage.progress import say
from faceline_core.verification.combining import ScoreStatistics, statistics_from
from faceline_export.metadata import describe
from faceline_export.proof import largest_differences
from faceline_export.torchscript import write_torchscript

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
    test = open_processed(processed, "test", recogniser.img_size)
    spread = np.unique(np.linspace(0, len(test) - 1, _FACES).astype(int))
    faces = torch.from_numpy(np.stack([test.face(int(index)) for index in spread]))
    statistics = _statistics(recogniser, checkpoint)
    with replaced_folder(artifacts / "model") as folder:
        model_file = folder / "model.torchscript.pt"
        write_torchscript(recogniser, model_file, statistics)
        differences = largest_differences(recogniser, model_file, faces, statistics)
        metadata = describe(recogniser, checkpoint, metrics, differences) | {
            "checkpoint_sha256": checkpoint_sha256,
            "model_sha256": sha256_of(model_file),
            "faces_compared": len(faces),
        }
        write_json(folder / "metadata.json", metadata)
    said = ", ".join(f"{method} {difference:.1e}" for method, difference in differences.items())
    say("export", f"{model_file.name}: differs from the checkpoint on {len(faces)} test faces by at most: {said}")
    say("export", f"-> {artifacts / 'model'}")


def _statistics(recogniser: Recogniser, checkpoint: dict[str, Any]) -> ScoreStatistics | None:
    """How the scores are made one; None without a matcher, and where training had nobody to see how they spread."""
    plain = checkpoint.get("score_statistics")
    return None if recogniser.matcher is None or plain is None else statistics_from(plain)


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
