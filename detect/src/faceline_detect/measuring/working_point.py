"""What a detector finds, misses and makes up at one threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.overlapping import overlapping, stacked

NO_FACE, LEFT_OUT, BELOW = -1, -2, -3
"""Of a box: on no face; on one that does not count; of a score under the threshold."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a detector made of one picture.

    Attributes:
        face: (D,) for each found box, as they were given, the place of the face that it found, or NO_FACE, LEFT_OUT,
            BELOW.
        unfound: (N,) bool, the faces that count and were not found.
    """

    face: NDArray[np.int64]
    unfound: NDArray[np.bool_]

    @property
    def right(self) -> int:
        return int(np.sum(self.face >= 0))

    @property
    def wrong(self) -> int:
        """Boxes on no face, or on one that another has found."""
        return int(np.sum(self.face == NO_FACE))

    @property
    def missed(self) -> int:
        return int(self.unfound.sum())


def outcomes(
    found: Sequence[Sequence[Face]],
    pictures: Sequence[Annotation],
    counted: Sequence[NDArray[np.bool_]],
    confidence: float,
) -> list[Outcome]:
    """Shares out boxes and faces: in order of falling score each box takes the face that it overlaps most of those that
    count and are still free, by an intersection over union of at least 0.5. One that gets none leaves the count where
    it overlaps a face that does not count by as much.

    Args:
        found: for each picture what a detector found.
        pictures: with all their faces.
        counted: for each picture (N,) bool, the faces to find.
        confidence: the score from which a box counts.
    """
    boxes = [box_rows([face for face in faces if face.score >= confidence]) for faces in found]
    rows, faces = stacked(boxes, 5, "boxes"), stacked([picture.boxes for picture in pictures], 4, "faces")
    to_find = np.concatenate([*counted, np.empty(0, bool)])
    pairs = overlapping(rows, faces)
    begin, end = (np.searchsorted(pairs.found, np.arange(len(rows.values)), side) for side in ("left", "right"))
    taken = np.full(len(rows.values), NO_FACE)
    free = to_find.copy()
    for box in np.argsort(-rows.values[:, 4], kind="stable"):
        near = pairs.truth[begin[box] : end[box]]
        there = near[free[near]]
        if len(there):
            taken[box] = there[0]
            free[there[0]] = False
        elif not to_find[near].all():
            taken[box] = LEFT_OUT
    return _by_picture(found, taken, free, faces.counts, confidence)


def box_rows(faces: Sequence[Face]) -> NDArray[np.float64]:
    """(D, 5) left, top, right, bottom, score."""
    return np.array([[*face.box.tolist(), face.score] for face in faces], np.float64).reshape(-1, 5)


def _by_picture(
    found: Sequence[Sequence[Face]],
    taken: NDArray[np.int64],
    free: NDArray[np.bool_],
    faces: NDArray[np.int64],
    confidence: float,
) -> list[Outcome]:
    """Of boxes (D,) and faces (G,) of all pictures; `faces` says how many each picture has."""
    outcomes, box, face = [], 0, 0
    for of_picture, many in zip(found, faces.tolist(), strict=True):
        above = np.array([each.score >= confidence for each in of_picture], bool)
        places = np.full(len(above), BELOW)
        places[above] = taken[box : box + above.sum()]
        places[places >= 0] -= face
        outcomes.append(Outcome(places, free[face : face + many]))
        box, face = box + int(above.sum()), face + many
    return outcomes
