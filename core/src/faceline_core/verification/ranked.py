"""Pairs by falling score, whose verification rate can be had again and again with the people weighed anew."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_AT_FIRST, _MARGIN = 1024, 2.0
"""Impostor pairs that are looked at first: so many, and this times what the highest FAR accepts."""

Drawn = NDArray[np.int64]


class Ranked:
    """Scores of pairs, sorted once.

    Args:
        genuine: (G,) scores of pairs of one person.
        genuine_people: (G,) that person.
        impostor: (I,) scores of pairs of two people.
        impostor_people: (I, 2) the two.
        highest_far: that will be asked for: of the impostor pairs only the best are looked at, as many as it takes.
    """

    def __init__(
        self,
        genuine: NDArray[np.floating],
        genuine_people: NDArray[np.int32],
        impostor: NDArray[np.floating],
        impostor_people: NDArray[np.int32],
        highest_far: float,
    ):
        order = np.argsort(genuine, kind="stable")[::-1]
        self._genuine, self._genuine_people = genuine[order], genuine_people[order]
        order = np.argsort(impostor, kind="stable")[::-1]
        self._impostor = impostor[order]
        self._first, self._second = (np.ascontiguousarray(impostor_people[order, side]) for side in (0, 1))
        self._looked_at = _AT_FIRST + int(_MARGIN * highest_far * len(impostor))

    def rates(self, drawn: Drawn, impostors: float, fars: Sequence[float]) -> list[float]:
        """VR at each false accept rate.

        Args:
            drawn: (people,) how often each person is there. A genuine pair counts as often as its person, an impostor
                pair as often as the one person times as often as the other.
            impostors: how many impostor pairs that makes in all.
            fars: false accept rates, none above the highest.

        Returns:
            The part of genuine pairs above the first impostor pair that is one too many; NaN where there is no genuine
            or no impostor pair.
        """
        verified = np.concatenate([[0], np.cumsum(drawn[self._genuine_people])])
        if impostors == 0 or verified[-1] == 0:
            return [np.nan] * len(fars)
        allowed = np.asarray(fars) * impostors + 1e-9
        accepted = self._accepted(drawn, float(allowed.max()))
        refused = self._impostor[np.searchsorted(accepted, allowed, side="right")]
        above = len(self._genuine) - np.searchsorted(self._genuine[::-1], refused, side="right")
        return (verified[above] / verified[-1]).tolist()  # type: ignore[no-any-return]

    def _accepted(self, drawn: Drawn, enough: float) -> Drawn:
        """How many impostor pairs score at least as high as the n-th, for as many n as it takes to have more than
        enough."""
        count = self._looked_at
        while True:
            accepted = np.cumsum(drawn[self._first[:count]] * drawn[self._second[:count]])
            if accepted[-1] > enough or count >= len(self._impostor):
                return accepted
            count *= 2
