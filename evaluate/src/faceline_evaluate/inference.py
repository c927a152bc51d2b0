"""A recogniser run over a split of faces."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.data.faces import batches
from faceline_core.data.split import Split
from faceline_core.models.recogniser import Recogniser

_BATCH = 64


@dataclass(frozen=True)
class Recognised:
    """What a recogniser says of N faces."""

    probabilities: NDArray[np.float32]
    """(N, C), of each known person."""
    embeddings: NDArray[np.float32]
    """(N, D), unit length."""


def recognise(recogniser: Recogniser, split: Split, device: torch.device) -> Recognised:
    """Runs a recogniser in eval mode, on `device`, over the faces of a split, in its order."""
    probabilities, embeddings = [], []
    with torch.inference_mode():
        for images in batches(split.paths, recogniser.img_size, _BATCH):
            probability, unit, _ = recogniser.recognise(images.to(device))
            probabilities.append(probability.cpu().numpy())
            embeddings.append(unit.cpu().numpy())
    return Recognised(np.concatenate(probabilities), np.concatenate(embeddings))
