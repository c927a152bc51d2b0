"""What the scores of a recogniser weigh in their sum: as its checkpoint says, or as asked for."""

import math
from pathlib import Path
from typing import Any

from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser
from faceline_core.stage.progress import say
from faceline_core.verification.combining import ScoreStatistics, statistics_from


def check_weights(embedding: float | None, local: float | None) -> None:
    """Raises FacelineError where a weight is no finite number from 0 on, or both are 0."""
    for option, weight in (("--embedding-weight", embedding), ("--local-weight", local)):
        if weight is not None and not (math.isfinite(weight) and weight >= 0):
            raise FacelineError(f"{option} {weight:g}: a finite number was expected, 0 or more. Give another")
    if embedding == local == 0:
        raise FacelineError("--embedding-weight 0 --local-weight 0: nothing would count. Raise one of them")


def find_statistics(
    recogniser: Recogniser, content: dict[str, Any], file: Path, embedding: float | None, local: float | None
) -> ScoreStatistics | None:
    """What makes the two scores of a recogniser one; None where it has no matcher, or nothing is known of its scores.

    Args:
        recogniser: the recogniser.
        content: of its checkpoint.
        file: the checkpoint, for messages.
        embedding: the weight of the one; None takes the checkpoint's.
        local: that of the other.

    Raises:
        FacelineError: where weights are given, and there are no two scores to weigh.
    """
    asked = embedding is not None or local is not None
    plain = content.get("score_statistics")
    if recogniser.matcher is None and asked:
        raise FacelineError(
            f"{file} has no matcher, so there is one score alone and nothing to weigh. Leave --embedding-weight and "
            "--local-weight out, or train with loss_weights.local above 0"
        )
    if recogniser.matcher is None or plain is None:
        if asked:
            raise FacelineError(f"{file} {_UNKNOWN}. Train again, or leave --embedding-weight and --local-weight out")
        if recogniser.matcher is not None:
            say("evaluate", f"note: {file} {_UNKNOWN}: they are reported apart, and nothing is ranked anew")
        return None
    return statistics_from(plain).weighted(embedding, local)


_UNKNOWN = "does not say how its scores are spread, without which they cannot be added up"
