"""What is measured on a face before it is trusted."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def sharpness(face: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian (the 4-neighbour kernel) of the grey face; blurred or enlarged faces score low.

    Args:
        face: (H, W, 3) uint8 RGB, aligned. The figure depends on its size: compare at one `img_size` only.

    Source: Pech-Pacheco et al. 2000, 'Diatom autofocusing in brightfield microscopy', LAPV.
    """
    return float(cv2.Laplacian(_grey(face), cv2.CV_64F).var())


def exposure(face: NDArray[np.uint8]) -> float:
    """Mean grey level, 0 to 255, of an aligned face (H, W, 3) uint8 RGB."""
    return float(_grey(face).mean())


def asymmetry(landmarks: NDArray[Any]) -> float:
    """How far a head is turned: the difference of the nose's distances to both eyes over their sum.

    Args:
        landmarks: (5, 2) x, y; the first three are left eye, right eye, nose.

    Returns:
        0 for a frontal face, towards 1 for a profile.
    """
    left, right = np.linalg.norm(np.asarray(landmarks[:2], np.float64) - landmarks[2], axis=1)
    return float(abs(left - right) / (left + right)) if left + right > 0 else 1.0


def _grey(face: NDArray[np.uint8]) -> NDArray[Any]:
    return cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
