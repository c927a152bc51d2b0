"""Faces marked in a photo, to look at."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face

_BOX, _POINT = (64, 220, 96), (255, 96, 64)  # RGB


def draw_faces(photo: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """A copy of a photo (H, W, 3) uint8 RGB with each face's box, landmarks and score."""
    picture = photo.copy()
    thick = max(1, round(max(photo.shape[:2]) / 400))
    for face in faces:
        left, top, right, bottom = (round(float(edge)) for edge in face.box)
        cv2.rectangle(picture, (left, top), (right, bottom), _BOX, thick)
        for x, y in [] if face.landmarks is None else face.landmarks:
            cv2.circle(picture, (round(float(x)), round(float(y))), 2 * thick, _POINT, -1)
        place = (max(left, 0), max(top - 4 * thick, 12 * thick))
        cv2.putText(picture, f"{face.score:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * thick, _BOX, thick)
    return picture
