"""Which face of a photo is meant."""

from collections.abc import Sequence
from typing import Literal

from faceline_core.faces.face import Face

Rule = Literal["central_largest", "largest", "most_confident", "all"]


def pick(faces: Sequence[Face], rule: Rule, width: int, height: int) -> list[Face]:
    """Chooses among the faces of one photo; nothing is judged here, so a doubtful face can be chosen.

    Args:
        faces: what a detector found, in any order.
        rule: `central_largest`, the greatest box area minus twice the squared distance of its centre from the photo's
            (both in px^2): of two faces of one size the central one, of two equally central ones the larger.
            `largest`, the greatest box area. `most_confident`, the highest score. `all`, every face, left to right.
        width: the photo's, in px.
        height: the photo's, in px.

    Returns:
        One face; several where the rule is `all`; none where there are no faces. Ties go to the face further left, then
        further up, whatever the order of `faces`.
    """
    ordered = sorted(faces, key=lambda face: (*map(float, face.box), -face.score))
    if rule == "all" or not ordered:
        return ordered
    if rule == "most_confident":
        return [max(ordered, key=lambda face: face.score)]
    if rule == "largest":
        return [max(ordered, key=_area)]
    return [max(ordered, key=lambda face: _area(face) - 2 * _squared_offset(face, width, height))]


def _area(face: Face) -> float:
    return face.width * face.height


def _squared_offset(face: Face, width: int, height: int) -> float:
    left, top, right, bottom = map(float, face.box)
    return ((left + right - width) ** 2 + (top + bottom - height) ** 2) / 4
