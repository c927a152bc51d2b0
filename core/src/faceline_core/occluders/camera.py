"""A camera from five landmarks: where points of an average face lie in the picture."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Five points of an average face: x right, y down, z towards the camera; 1 is the distance between the eyes, and the
# origin lies between them.
FACE_POINTS: Array = np.array(
    [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.62, 0.42], [-0.40, 1.10, 0.06], [0.40, 1.10, 0.06]]
)
HALF_WIDTH, DEPTH = 1.14, 1.10  # of the ellipse that a face is, cut at the height of the eyes
CHIN = 1.80


@dataclass(frozen=True)
class Camera:
    """An affine camera.

    Attributes:
        matrix: (2, 3) from face coordinates to pixels; its columns are the axes of the face as seen.
        origin: (2,) pixels, the point between the eyes.
        forward: (3,) the direction towards the viewer, in face coordinates, unit length.
    """

    matrix: Array
    origin: Array
    forward: Array

    @cached_property
    def unit(self) -> float:
        """Pixels that one eye distance measures, seen head-on."""
        return float(np.linalg.norm(self.matrix, 2))

    def project(self, points: Array) -> Array:
        """(..., 3) face coordinates -> (..., 2) pixels (x, y)."""
        return points @ self.matrix.T + self.origin


def camera_from(landmarks: Array) -> Camera:
    """Fits a scaled orthographic camera to five landmarks.

    Args:
        landmarks: (5, 2) pixels: left eye, right eye, nose, left and right mouth corner, left as seen in the picture.

    Raises:
        ValueError: where they are not five finite points, or lie on one spot or one line.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise ValueError(f"expected five finite landmarks of shape (5, 2), found {points.shape}")
    spread = np.linalg.svd(points - points.mean(0), compute_uv=False)
    if spread[0] < 1e-3 or spread[1] < 0.02 * spread[0]:
        raise ValueError("the five landmarks lie on one spot or one line")
    design = np.column_stack([FACE_POINTS, np.ones(5)])
    # the nose's length varies between people: a prior keeps its column small where it has little to say
    prior = np.diag([0.0, 0.0, 0.03, 0.0])
    solution = np.linalg.solve(design.T @ design + prior, design.T @ points)
    matrix, origin = solution[:3].T, solution[3]
    across = np.cross(matrix[0], matrix[1])
    norm = float(np.linalg.norm(across))
    forward = across / norm if norm > 1e-12 else np.array([0.0, 0.0, 1.0])
    return Camera(matrix, origin, forward)


def on_face(x: Array, y: Array, lift: float = 0.0) -> Array:
    """Points on the front of an average face, `lift` in front of it: (...,) angles and heights -> (..., 3).

    Args:
        x: angle around the face, radians, 0 in the middle, positive to the right.
        y: height in eye distances, positive downwards.
        lift: distance from the skin, in eye distances.
    """
    narrow = np.interp(y, (-1.2, -0.5, 0.3, 1.0, 1.5, CHIN, 2.6), (0.85, 1.0, 1.0, 0.90, 0.72, 0.5, 0.5))
    wide = HALF_WIDTH * narrow + lift
    deep = np.interp(y, (0.0, 0.6, 1.1, CHIN), (0.0, 0.05, 0.08, 0.0)) + lift
    return np.stack([wide * np.sin(x), y, DEPTH * (np.cos(x) - 1) + deep], axis=-1)
