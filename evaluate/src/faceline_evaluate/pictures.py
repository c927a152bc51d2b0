"""The plots as PNG pictures."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from faceline_core.verification.rates import Curve
from faceline_evaluate.verification import Verification

mpl.use("agg")

_NAMED_PEOPLE = 45
"""More people than this do not get their names on the axes."""
_DPI = 130


def draw_roc(path: Path, sets: dict[str, Verification], fars: Sequence[float]) -> None:
    """VR over FAR on a logarithmic axis, a line a set of people; the axis ends where one impostor pair is accepted."""
    figure, axes = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
    for number, (name, verification) in enumerate(reversed(sets.items())):  # the first is drawn last, over the others
        curve, shown = verification.curve, _from_lowest_far(verification.curve)
        label = f"{name}: {verification.people} people, {len(verification.pairs.impostor):,} impostor pairs"
        style = (
            {"color": "tab:blue", "linewidth": 2}
            if number == len(sets) - 1
            else {"color": "tab:orange", "linestyle": "--"}
        )
        axes.step(curve.far[shown], curve.vr[shown], where="post", label=label, **style)
    for far in fars:
        axes.axvline(far, color="0.85", linewidth=0.8, zorder=0)
    lowest = min(1 / len(verification.pairs.impostor) for verification in sets.values())
    axes.set(xscale="log", xlim=(lowest, 1), ylim=(0, 1.03), xlabel="false accept rate", ylabel="verification rate")
    axes.set_title("ROC: are two faces one person?")
    axes.grid(axis="y", color="0.9")
    axes.legend(loc="lower right")
    _save(path, figure)


def _from_lowest_far(curve: Curve) -> slice:
    """From the best operating point of the lowest FAR above 0: those below it have the same FAR and a lower VR."""
    above = int(np.argmax(curve.far > 0))
    return slice(above + int(np.sum(curve.far == curve.far[above])) - 1, None)


def draw_scores(path: Path, name: str, verification: Verification, threshold: float | None, far: float) -> None:
    """How genuine and impostor scores are spread, with the chosen threshold."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    edges = np.linspace(-1, 1, 101)
    for scores, label in ((verification.pairs.impostor, "impostor"), (verification.pairs.genuine, "genuine")):
        weights = np.full(len(scores), 1 / len(scores))
        axes.hist(scores, edges, weights=weights, alpha=0.6, label=f"{label}, {len(scores):,} pairs")
    lowest = max(-1.0, float(min(verification.pairs.impostor.min(), verification.pairs.genuine.min())) - 0.05)
    if threshold is not None:
        right_half = threshold > (lowest + 1) / 2
        axes.axvline(threshold, color="black", linewidth=1, linestyle="--")
        axes.annotate(
            f"threshold {threshold:.3f}\nFAR {far:g} on unseen_val",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if right_half else 4, -4),
            ha="right" if right_half else "left",
            textcoords="offset points",
            va="top",
            fontsize=8,
        )
    axes.set(xlim=(lowest, 1.02), xlabel="cosine similarity", ylabel="share of pairs")
    axes.set_title(f"Scores of {name}")
    axes.margins(y=0.3)  # room for the words above the bars
    axes.legend(loc="upper left")
    _save(path, figure)


def draw_confusion(
    path: Path, split: str, labels: Sequence[int], predicted: NDArray[np.integer], people: Sequence[str]
) -> None:
    """Who is taken for whom, as shares of each person's faces."""
    counts = np.zeros((len(people), len(people)))
    np.add.at(counts, (np.asarray(labels), predicted), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    named = len(people) <= _NAMED_PEOPLE
    side = min(12.0, 3 + 0.2 * len(people))
    figure, axes = plt.subplots(figsize=(side + 1, side), layout="constrained")
    picture = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if named:
        axes.set_xticks(range(len(people)), people, rotation=90, fontsize=7)
        axes.set_yticks(range(len(people)), people, fontsize=7)
    title = f"Confusion, {len(labels)} {split} faces of {len(people)} people"
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    figure.colorbar(picture, ax=axes, label="share of the person's faces", shrink=0.8)
    _save(path, figure)


def _save(path: Path, figure: "plt.Figure") -> None:
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
