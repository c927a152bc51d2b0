"""People never trained on: are two faces one person?"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.verification.intervals import vr_differences, vr_intervals
from faceline_core.verification.pairs import Pairs
from faceline_core.verification.rates import Curve, auc, eer, rates_at, roc, vr_at_far


class Verification:
    """Pairs of faces, scored in one way, and the curve over them.

    Args:
        pairs: their scores; the people in them are 0 .. people - 1.
        faces: how many were compared.
        people: of how many people.
    """

    def __init__(self, pairs: Pairs, faces: int, people: int):
        self.pairs, self.faces, self.people = pairs, faces, people
        self.scores = pairs.scores
        self.same: NDArray[np.bool_] = np.arange(len(self.scores)) < len(pairs.genuine)

    @cached_property
    def curve(self) -> Curve:
        return roc(self.scores, self.same)

    def figures(
        self, fars: Sequence[float], chosen: Mapping[str, float | None], bootstrap: int, seed: int
    ) -> dict[str, Any]:
        """The figures of a set, which has genuine and impostor pairs.

        Args:
            fars: false accept rates.
            chosen: thresholds that were chosen on other people, by `far_name`; an empty dict where there are none.
            bootstrap: resamples of people for the intervals; 0 leaves them out.
            seed: of the resamples.
        """
        return {
            "faces": self.faces,
            "people": self.people,
            "genuine_pairs": len(self.pairs.genuine),
            "impostor_pairs": len(self.pairs.impostor),
            "auc": auc(self.curve),
            "eer": eer(self.curve),
            "vr": self._rates(fars, chosen, bootstrap, seed),
        }

    def group_figures(self, fars: Sequence[float], bootstrap: int, seed: int) -> dict[str, Any]:
        """AUC and VR of some of the pairs, at thresholds that hold the rates among these; null where there is no
        genuine or no impostor pair."""
        if not len(self.pairs.genuine) or not len(self.pairs.impostor):
            nothing = {"resolvable": False, "vr": None, "vr_low": None, "vr_high": None, "threshold": None}
            return {"auc": None, "vr": {far_name(far): nothing for far in fars}}
        return {"auc": auc(self.curve), "vr": self._rates(fars, {}, bootstrap, seed)}

    def thresholds(self, fars: Sequence[float]) -> dict[str, float | None]:
        """The threshold that holds each false accept rate on these pairs, None where they cannot resolve it."""
        return {far_name(far): vr_at_far(self.scores, self.same, far).threshold for far in fars}

    def _rates(
        self, fars: Sequence[float], chosen: Mapping[str, float | None], bootstrap: int, seed: int
    ) -> dict[str, Any]:
        intervals = vr_intervals(self.pairs, self.people, fars, bootstrap, seed)
        return {
            far_name(far): self._at(far, interval, chosen.get(far_name(far)))
            for far, interval in zip(fars, intervals, strict=True)
        }

    def _at(self, far: float, interval: tuple[float, float] | None, chosen: float | None) -> dict[str, Any]:
        point = vr_at_far(self.scores, self.same, far)
        low, high = interval if interval else (None, None)
        figures = {
            "resolvable": point.resolvable,
            "vr": point.vr,
            "vr_low": low,
            "vr_high": high,
            "threshold": point.threshold,
        }
        if chosen is not None:
            far_there, vr_there = rates_at(self.scores, self.same, chosen)
            figures |= {"chosen_threshold": chosen, "far_at_chosen": far_there, "vr_at_chosen": vr_there}
        return figures


def difference_figures(
    before: Pairs, after: Pairs, fars: Sequence[float], bootstrap: int, seed: int
) -> dict[str, dict[str, Any]]:
    """What another score of the same pairs gains in VR at each rate, by `far_name`."""
    if not len(before.genuine) or not len(before.impostor):
        return {far_name(far): {"resolvable": False, "difference": None, "low": None, "high": None} for far in fars}
    found = vr_differences(before.scores, after.scores, before.people, fars, bootstrap, seed)
    return {
        far_name(each.far): {
            "resolvable": each.resolvable,
            "difference": None if each.difference is None else each.difference.value,
            "low": None if each.difference is None else each.difference.low,
            "high": None if each.difference is None else each.difference.high,
        }
        for each in found
    }


def far_to_show(fars: Sequence[float]) -> float:
    """The one nearest to 1e-2, by its order of magnitude."""
    return min(fars, key=lambda far: abs(math.log10(far) + 2))


def far_name(far: float) -> str:
    """0.001 -> `far_1e-3`."""
    mantissa, exponent = f"{far:e}".split("e")
    return f"far_{float(mantissa):g}e{int(exponent)}"
