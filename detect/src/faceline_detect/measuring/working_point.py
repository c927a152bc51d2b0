"""What a detector finds, misses and makes up at a threshold, and the threshold that suits it best."""

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
) -> list[Outcome]:
    """Shares out boxes and faces: in order of falling score each box takes the face that it overlaps most of those that
    count and are still free, by an intersection over union of at least 0.5. One that gets none leaves the count where
    it overlaps a face that does not count by as much.

    Args:
        found: for each picture what a detector found.
        pictures: with all their faces.
        counted: for each picture (N,) bool, the faces to find.
    """
    rows = stacked([box_rows(faces) for faces in found], 5, "boxes")
    faces = stacked([picture.boxes for picture in pictures], 4, "faces")
    to_find = np.concatenate([*counted, np.empty(0, bool)])
    pairs = overlapping(rows, faces)
    begin, end = (np.searchsorted(pairs.found, np.arange(len(rows.values)), side) for side in ("left", "right"))
    taken = np.full(len(rows.values), NO_FACE)
    free = to_find.copy()
    order = np.argsort(-rows.values[:, 4], kind="stable")
    for box in order[begin[order] < end[order]]:
        near = pairs.truth[begin[box] : end[box]]
        there = near[free[near]]
        if len(there):
            taken[box] = there[0]
            free[there[0]] = False
        elif not to_find[near].all():
            taken[box] = LEFT_OUT
    first = (np.cumsum(faces.counts) - faces.counts)[rows.picture]  # of each box, the first face of its picture
    taken[taken >= 0] -= first[taken >= 0]
    of_pictures = (np.split(each, np.cumsum(many))[:-1] for each, many in ((taken, rows.counts), (free, faces.counts)))
    return [Outcome(*each) for each in zip(*of_pictures, strict=True)]


def at_threshold(made: Sequence[Outcome], found: Sequence[Sequence[Face]], confidence: float) -> list[Outcome]:
    """Outcomes at a threshold. What a box takes depends on no box of a lower score, so a threshold
    takes pairs away and changes none."""
    there = []
    for outcome, faces in zip(made, found, strict=True):
        below = np.array([face.score < confidence for face in faces], bool)
        unfound = outcome.unfound.copy()
        unfound[outcome.face[below & (outcome.face >= 0)]] = True
        there.append(Outcome(np.where(below, BELOW, outcome.face), unfound))
    return there


def best_f1(made: Sequence[Outcome], found: Sequence[Sequence[Face]]) -> tuple[float | None, float | None]:
    """The highest F1 that a threshold gives.

    Args:
        made: outcomes at a threshold that leaves nothing out.
        found: for each picture what the detector found.

    Returns:
        F1, and the score that gives it as the threshold, of several the highest. The score is None where no threshold
        finds a face; F1 then is 0, or None where there is neither a face to find nor a wrong box.
    """
    scores = np.array([face.score for faces in found for face in faces], np.float64)
    falling = np.argsort(-scores)
    kind = np.concatenate([*(outcome.face for outcome in made), np.empty(0, np.int64)])[falling]
    last = np.flatnonzero(np.diff(scores[falling], append=-1.0))  # of equal scores: a threshold keeps all or none
    right, wrong = np.cumsum(kind >= 0)[last], np.cumsum(kind == NO_FACE)[last]
    faces = sum(outcome.right + outcome.missed for outcome in made)
    if not right.any():
        return (0.0 if faces or wrong.any() else None), None
    f1 = 2 * right / (right + wrong + faces)
    best = int(f1.argmax())
    return float(f1[best]), float(scores[falling][last][best])


def box_rows(faces: Sequence[Face]) -> NDArray[np.float64]:
    """(D, 5) left, top, right, bottom, score."""
    return np.array([[*face.box.tolist(), face.score] for face in faces], np.float64).reshape(-1, 5)
