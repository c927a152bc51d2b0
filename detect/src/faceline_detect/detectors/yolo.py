"""A trained YOLO as others call it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_detect.detectors.folders import MODELS, read_description
from faceline_detect.yolo.searching import YoloSearch

_CONFIDENCE, _NMS = 0.25, 0.4  # of a file by itself, which says nothing of them


class YoloDetector:
    """Finds faces, with landmarks where it has learnt them.

    Args:
        place: the stage's folder, or a .pt file by itself.
        device: cpu, cuda, ...
        confidence: faces under this score are not reported; None takes the folder's.
    """

    def __init__(self, place: Path, device: str, confidence: float | None):
        if place.is_dir() or not place.suffix:
            search = read_description(place, "yolo")["search"]
            place = place / MODELS["yolo"]
        else:
            search = {"confidence": _CONFIDENCE, "nms": _NMS}
        self.confidence = search["confidence"] if confidence is None else confidence
        self._search = YoloSearch(place, self.confidence, search["nms"], device)
        self.landmarks = self._search.landmarks

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Face]]:
        """As `faceline_detect.detectors.Detector`."""
        return self._search.detect(images)
