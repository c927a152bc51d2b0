"""What becomes of RetinaFace's learning rate."""

import math
from collections.abc import Callable

from faceline_core.parameters.detection import RetinaFaceSettings

_FLOOR = 0.001
"""The end of the cosine, as a fraction of the top."""
_FALL = 0.1


def rate_factor(settings: RetinaFaceSettings, steps: int) -> Callable[[int], float]:
    """What `lr` is multiplied with at each step: up along a line, then half a cosine or stairs down.

    Args:
        settings: `schedule`, `warmup`, `milestones`, `epochs`.
        steps: in all.
    """
    warmup = math.ceil(settings.warmup * steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if settings.schedule == "steps":
            epoch = step * settings.epochs / max(1, steps)
            return float(_FALL ** sum(epoch >= milestone for milestone in settings.milestones))
        done = (step - warmup) / max(1, steps - warmup)
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return factor
