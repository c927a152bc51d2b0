"""Several detectors as one."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_core.parameters.detection import Fusion
from faceline_detect.detectors.folders import read_description
from faceline_detect.fusion import combine


class FusedDetector:
    """Finds the faces that any of its members finds.

    Args:
        place: the stage's folder.
        device: cpu, cuda, ...
        confidence: faces whose fused score is lower are not reported; None takes the folder's.
    """

    def __init__(self, place: Path, device: str, confidence: float | None):
        from faceline_detect.detectors import load

        description = read_description(place, "fused")
        self.fusion = Fusion.model_validate(description["fusion"])
        self.confidence = description["search"]["confidence"] if confidence is None else confidence
        self.members = {
            name: load(name, place / name, device, self.fusion.confidence_threshold) for name in self.fusion.weights
        }
        self.landmarks = any(member.landmarks for member in self.members.values())

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Face]]:
        """As `faceline_detect.detectors.Detector`; a face has landmarks where a member that gives them found it."""
        of_members = [member.detect(images) for member in self.members.values()]
        fused = [
            combine(dict(zip(self.members, faces, strict=True)), self.fusion) for faces in zip(*of_members, strict=True)
        ]
        return [[face for face in faces if face.score >= self.confidence] for faces in fused]
