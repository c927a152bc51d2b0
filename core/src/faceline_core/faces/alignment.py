"""Five landmarks to an upright face of a fixed size."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError

TEMPLATE: NDArray[np.float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5, 2) x, y in px of an aligned face of 112 x 112: left eye, right eye, nose, left and right corner of the mouth,
"left" as seen in the picture. Source: ArcFace, arXiv 1801.07698."""

TEMPLATE_SIZE = 112
_SHRINK_FROM = 2.0  # px of the photo to one of the crop; from there on bilinear sampling would skip pixels


class AlignmentError(FacelineError):
    """The landmarks determine no upright face."""


def template(size: int) -> NDArray[np.float64]:
    """(5, 2) x, y in px: where the landmarks lie in an aligned face of size x size."""
    return TEMPLATE * (size / TEMPLATE_SIZE)


def similarity(source: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
    """The rotation, scale and shift that bring some points closest to others, in the least-squares sense.

    In the plane the best similarity without reflection has a closed form: with both sets centred, the rotation times
    scale [[a, -b], [b, a]] is linear in a and b.

    Args:
        source: (N, 2) x, y.
        target: (N, 2) x, y.

    Returns:
        (2, 3) float64 matrix M; a point p goes to M[:, :2] @ p + M[:, 2].

    Raises:
        AlignmentError: where a coordinate is not finite, where all points of `source` are (nearly) equal, or where they
            are a mirror image of `target`, so that only a reflection would fit.

    Source: Umeyama 1991, 'Least-squares estimation of transformation parameters between two point patterns'.
    """
    points, aims = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if not np.isfinite(points).all():
        raise AlignmentError("landmarks are not finite numbers")
    middle, aim_middle = points.mean(axis=0), aims.mean(axis=0)
    points, aims = points - middle, aims - aim_middle
    spread = float((points**2).sum())
    if spread < 1e-6 * len(points):  # px^2
        raise AlignmentError("landmarks lie on one point")
    (xu, yv), (xv, yu) = (points * aims).sum(axis=0), (points * aims[:, ::-1]).sum(axis=0)
    a, b = (xu + yv) / spread, (xv - yu) / spread
    if np.hypot(xu - yv, xv + yu) / spread > np.hypot(a, b):  # the best reflection fits better
        raise AlignmentError("landmarks are mirrored")
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, aim_middle - turn @ middle])


def align(image: NDArray[np.uint8], landmarks: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """Cuts an upright face out of a photo, or the same region out of its mask.

    Args:
        image: (H, W, 3) uint8, or (H, W) uint8 for a mask.
        landmarks: (5, 2) x, y in px of `image`.
        size: side of the result in px.

    Returns:
        (size, size, 3) or (size, size) uint8, sampled bilinearly; a face more than twice as large as the result is
        first averaged down by area, so that no pixel is skipped. What lies outside the photo is 0: black, or occluded.

    Raises:
        AlignmentError: as `similarity`.
    """
    matrix = similarity(landmarks, template(size))
    factor = int(1 / float(np.hypot(matrix[0, 0], matrix[1, 0])))
    if factor >= _SHRINK_FROM:
        image, matrix = _shrunk(image, matrix, size, factor)
    if image.size == 0:
        return np.zeros((size, size, *image.shape[2:]), np.uint8)
    return cv2.warpAffine(  # type: ignore[return-value]
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )


def _shrunk(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the photo that the crop needs, `factor` times smaller, and the matrix that fits it."""
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    corners = (back @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]]))[:2]
    limit = np.array(image.shape[1::-1])
    left, top = np.clip(np.floor(corners.min(axis=1)).astype(int) - 2 * factor, 0, limit)
    right, bottom = np.clip(np.ceil(corners.max(axis=1)).astype(int) + 2 * factor, 0, limit)
    part = image[top:bottom, left:right]
    if part.size == 0:
        return part, matrix
    width, height = max(1, (right - left) // factor), max(1, (bottom - top) // factor)
    small = cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    step = np.array([(right - left) / width, (bottom - top) / height])
    # a pixel p of `small` is centred on (p + 0.5) * step - 0.5 + (left, top) of the photo
    enlarge = np.diag([*step, 1.0])
    enlarge[:2, 2] = 0.5 * step - 0.5 + (left, top)
    return small, matrix @ enlarge  # type: ignore[return-value]
