"""A trained RetinaFace as others call it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_detect.detectors.folders import MODELS, read_description
from faceline_detect.retinaface.checkpoint import load_retinaface
from faceline_detect.retinaface.searching import RetinaFaceSearch, Search

_CONFIDENCE = 0.5  # of a file by itself, which says how it was measured: from a far lower score, perhaps enlarged


class RetinaFaceDetector:
    """Finds faces, with landmarks where it has learnt them.

    Args:
        place: the stage's folder, or a checkpoint by itself.
        device: cpu, cuda, ...
        confidence: faces under this score are not reported; None takes the search's.
        search: how pictures are searched; None takes what the folder says. With a file they are searched as they are,
            from a score of 0.5.
    """

    def __init__(self, place: Path, device: str, confidence: float | None, search: Search | None = None):
        if place.is_dir() or not place.suffix:
            description = read_description(place, "retinaface")
            network, content = load_retinaface(place / MODELS["retinaface"])
            search = search or Search(**description["search"])
        else:
            network, content = load_retinaface(place)
            measured = Search(**content.get("search", {}))
            search = search or Search(confidence=_CONFIDENCE, nms=measured.nms)
        if confidence is not None:
            search = replace(search, confidence=confidence)
        self.confidence = search.confidence
        self.landmarks = bool(content.get("landmarks", True))  # False where no face that it was trained on had any
        self._search = RetinaFaceSearch(network, search, device)

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Face]]:
        """As `faceline_detect.detectors.Detector`."""
        found = self._search.detect(images)
        return found if self.landmarks else [[replace(face, landmarks=None) for face in faces] for faces in found]
