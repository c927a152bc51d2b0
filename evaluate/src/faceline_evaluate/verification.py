"""People never trained on: are two faces one person?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.split import Split
from faceline_core.errors import FacelineError
from faceline_core.verification.intervals import vr_intervals
from faceline_core.verification.pairs import Pairs, all_pairs
from faceline_core.verification.rates import Curve, auc, eer, rates_at, roc, vr_at_far


class Verification:
    """All pairs of a split, scored, and the curve over them.

    Args:
        split: the faces.
        embeddings: (N, D) float32 unit embeddings, in the split's order.
        max_faces: of a larger split whole people are drawn, by the seed, as many as fit (two at least).
        seed: of that draw.

    Raises:
        FacelineError: where the split has no genuine or no impostor pair.
    """

    def __init__(self, split: Split, embeddings: NDArray[np.float32], max_faces: int, seed: int):
        kept = _drawn_people(split.labels, max_faces, seed)
        people = [split.labels[index] for index in kept]
        all_sources = split.sources
        sources = [all_sources[index] for index in kept]
        self.faces, self.people = len(kept), len(set(people))
        self.pairs: Pairs = all_pairs(embeddings[kept], _numbered(people), sources)
        if not len(self.pairs.genuine) or not len(self.pairs.impostor):
            raise FacelineError(
                f"{split.folder} has {self.faces} faces of {self.people} people: verification needs two people, one of "
                "them with two photos. Add people or raise preprocess.unseen_identities, and run preprocess again"
            )
        self.scores = np.concatenate([self.pairs.genuine, self.pairs.impostor])
        self.same = np.arange(len(self.scores)) < len(self.pairs.genuine)
        self.curve: Curve = roc(self.scores, self.same)

    def figures(
        self, fars: Sequence[float], chosen: dict[str, float | None], bootstrap: int, seed: int
    ) -> dict[str, Any]:
        """The figures of the split.

        Args:
            fars: false accept rates.
            chosen: thresholds that were chosen on other people, by `far_name`; an empty dict where there are none.
            bootstrap: resamples of people for the intervals; 0 leaves them out.
            seed: of the resamples.
        """
        intervals = vr_intervals(self.pairs, self.people, fars, bootstrap, seed)
        return {
            "faces": self.faces,
            "people": self.people,
            "genuine_pairs": len(self.pairs.genuine),
            "impostor_pairs": len(self.pairs.impostor),
            "auc": auc(self.curve),
            "eer": eer(self.curve),
            "vr": {
                far_name(far): self._at(far, interval, chosen.get(far_name(far)))
                for far, interval in zip(fars, intervals, strict=True)
            },
        }

    def thresholds(self, fars: Sequence[float]) -> dict[str, float | None]:
        """The threshold that holds each false accept rate on this split, None where its pairs cannot resolve it."""
        return {far_name(far): vr_at_far(self.scores, self.same, far).threshold for far in fars}

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


def far_name(far: float) -> str:
    """0.001 -> `far_1e-3`."""
    mantissa, exponent = f"{far:e}".split("e")
    return f"far_{float(mantissa):g}e{int(exponent)}"


def _drawn_people(labels: Sequence[int], max_faces: int, seed: int) -> NDArray[np.intp]:
    """Indices of the faces to compare: all, or those of people drawn until the next would be too many."""
    who = np.asarray(labels)
    if len(who) <= max_faces:
        return np.arange(len(who))
    people, faces = np.unique(who, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(people))
    fit = max(2, int(np.searchsorted(np.cumsum(faces[order]), max_faces, side="right")))
    return np.flatnonzero(np.isin(who, people[order[:fit]]))


def _numbered(people: Sequence[int]) -> list[int]:
    """The same people, numbered from 0 without gaps."""
    number = {person: index for index, person in enumerate(sorted(set(people)))}
    return [number[person] for person in people]
