"""Face detectors behind one interface: `load(name).detect(photos)`."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.faces import Face

NAMES = ("mtcnn", "retinaface", "yolo", "fused")
FOLDER = Path("artifacts/detect")
"""Where the detect stage leaves them, each in a folder of its own."""


class Detector(Protocol):
    """Finds faces in photos.

    Attributes:
        landmarks: whether it gives the landmarks of faces, all of them or some.
        confidence: faces under this score are not reported.
    """

    landmarks: bool
    confidence: float

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Face]]:
        """Faces of each photo.

        Args:
            images: (H, W, 3) uint8 RGB, upright, each of its own size.

        Returns:
            For each photo its faces with landmarks, in px of that photo, highest score first.
        """
        ...


def load(name: str, checkpoint: Path | None = None, device: str = "cpu", confidence: float | None = None) -> Detector:
    """A detector, ready to use. Importing it takes seconds: call it where it is needed, not at the top of a module.

    Args:
        name: one of NAMES.
        checkpoint: the folder that the detect stage left, or a trained network's file; None takes `FOLDER / name`.
            MTCNN brings its own weights, and passes a folder over.
        device: cpu, cuda, cuda:1, ...
        confidence: faces under this score are not reported; None takes what the stage was told as
            `detect.test.working_confidence`, and of MTCNN all that its own thresholds let through.

    Raises:
        FacelineError: where there is no such detector or device, its folder or file does not do, or MTCNN gets a file.
    """
    if name not in NAMES:
        raise FacelineError(f"detector: no detector is called {name!r}, expected one of {', '.join(NAMES)}")
    check_device(device)
    if name == "mtcnn":
        if checkpoint is not None and not checkpoint.is_dir():
            raise FacelineError(f"detector: mtcnn brings its own weights and takes no checkpoint, found {checkpoint}")
        from faceline_detect.detectors.mtcnn import Mtcnn

        return Mtcnn(device, confidence or 0.0)
    place = FOLDER / name if checkpoint is None else checkpoint
    if name == "retinaface":
        from faceline_detect.detectors.retinaface import RetinaFaceDetector

        return RetinaFaceDetector(place, device, confidence)
    if name == "yolo":
        from faceline_detect.detectors.yolo import YoloDetector

        return YoloDetector(place, device, confidence)
    from faceline_detect.detectors.fused import FusedDetector

    return FusedDetector(place, device, confidence)


def check_device(device: str) -> None:
    """Raises FacelineError where this machine has no such device."""
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise FacelineError(f"device: {device!r} is no device. Give cpu, cuda, cuda:1, ...") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise FacelineError(f"device: {device}, but PyTorch sees no CUDA device. Give cpu")
