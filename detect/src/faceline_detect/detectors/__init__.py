"""Face detectors behind one interface: `load(name).detect(photos)`."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.faces import Face

NAMES = ("mtcnn",)


class Detector(Protocol):
    """Finds faces in photos."""

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Face]]:
        """Faces of each photo.

        Args:
            images: (H, W, 3) uint8 RGB, upright, each of its own size.

        Returns:
            For each photo its faces with landmarks, in px of that photo, highest score first; none for a photo with a
            side under 20 px.
        """
        ...


def load(name: str, checkpoint: Path | None = None, device: str = "cpu") -> Detector:
    """A detector, ready to use. Importing it takes seconds: call it where it is needed, not at the top of a module.

    Args:
        name: one of NAMES.
        checkpoint: a trained network; MTCNN brings its own and takes none.
        device: cpu, cuda, cuda:1, ...

    Raises:
        FacelineError: where there is no such detector, or it takes no checkpoint.
    """
    if name not in NAMES:
        raise FacelineError(f"detector: no detector is called {name!r}, expected one of {', '.join(NAMES)}")
    if checkpoint is not None:
        raise FacelineError(f"detector: mtcnn brings its own weights and takes no checkpoint, found {checkpoint}")
    from faceline_detect.detectors.mtcnn import Mtcnn

    return Mtcnn(device)
