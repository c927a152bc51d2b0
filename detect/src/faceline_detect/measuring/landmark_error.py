"""How far found landmarks are off.

Source: the normalised mean error of face alignment, with the distance of the eyes as its measure (Sagonas et al. 2013,
'300 Faces in-the-Wild Challenge').
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.measuring.working_point import Outcome


def landmark_errors(faces: Sequence[Face], picture: Annotation, outcome: Outcome) -> NDArray[np.float64]:
    """(K,) for each face of a picture that was found with landmarks, and whose own are all known: the mean distance of
    the five points, over the distance of the true eyes. Faces whose eyes lie on one point have no such measure."""
    known = picture.with_landmarks
    pairs = [
        (face.landmarks, picture.landmarks[place])
        for face, place in zip(faces, outcome.face.tolist(), strict=True)
        if place >= 0 and face.landmarks is not None and known[place]
    ]
    if not pairs:
        return np.empty(0)
    found, true = np.array([pair[0] for pair in pairs], np.float64), np.array([pair[1] for pair in pairs])
    eyes = np.linalg.norm(true[:, 0] - true[:, 1], axis=1)
    distances = np.linalg.norm(found - true, axis=2).mean(axis=1)
    return distances[eyes > 0] / eyes[eyes > 0]
