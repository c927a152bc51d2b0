"""The plots as PNG pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
_BINS = 100
_NARROWEST = 1e-6
"""Of an axis of scores, where all are alike."""
_COLOURS = ("tab:blue", "tab:green", "tab:red")


def draw_roc(path: Path, sets: dict[str, Verification], fars: Sequence[float], known: str) -> None:
    """VR over FAR on a logarithmic axis, a line for each set of pairs by one score; the axis ends where one impostor
    pair is accepted. That of the set `known` is dashed, unless it is alone. What the lines are stands below the axes:
    within them a curve can be anywhere."""
    figure, axes = plt.subplots(figsize=(6.4, 4.7 + 0.2 * len(sets)), layout="constrained")
    for number, (name, verification) in reversed(list(enumerate(sets.items()))):  # the first over the others
        curve, shown = verification.curve, _from_lowest_far(verification.curve)
        label = f"{name}: {verification.people} people, {len(verification.pairs.impostor):,} impostor pairs"
        style: dict[str, Any] = {"color": "tab:orange", "linestyle": "--"}
        if number == 0 or name != known:
            style = {"color": _COLOURS[number], "linewidth": 2 if number == 0 else 1.5}
        axes.step(curve.far[shown], curve.vr[shown], where="post", label=label, **style)
    for far in fars:
        axes.axvline(far, color="0.85", linewidth=0.8, zorder=0)
    lowest = min(1 / len(verification.pairs.impostor) for verification in sets.values())
    axes.set(xscale="log", xlim=(lowest, 1), ylim=(0, 1.03), xlabel="false accept rate", ylabel="verification rate")
    axes.set_title("ROC: are two faces one person?")
    axes.grid(axis="y", color="0.9")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", fontsize="small", frameon=False)
    save(path, figure)


def _from_lowest_far(curve: Curve) -> slice:
    """From the best operating point of the lowest FAR above 0: those below it have the same FAR and a lower VR."""
    above = int(np.argmax(curve.far > 0))
    return slice(above + int(np.sum(curve.far == curve.far[above])) - 1, None)


def draw_scores(
    path: Path,
    name: str,
    score: str,
    verification: Verification,
    threshold: float | None,
    far: float,
) -> None:
    """How genuine and impostor scores are spread, with the chosen threshold.

    Args:
        path: the file.
        name: of the set.
        score: what the scores are.
        verification: the pairs.
        threshold: the one chosen for the rate; None draws none.
        far: that rate.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    genuine, impostor = verification.pairs.genuine, verification.pairs.impostor
    ends = float(verification.scores.min()), float(verification.scores.max())
    edges = np.linspace(*ends, _BINS + 1)
    for scores, label in ((impostor, "impostor"), (genuine, "genuine")):
        weights = np.full(len(scores), 1 / len(scores))
        axes.hist(scores, edges, weights=weights, alpha=0.6, label=f"{label}, {len(scores):,} pairs")
    shown = ends if threshold is None else (min(ends[0], threshold), max(ends[1], threshold))
    margin = 0.02 * max(shown[1] - shown[0], _NARROWEST)
    lowest, highest = shown[0] - margin, shown[1] + margin
    place = 1.0 if threshold is None else (threshold - lowest) / (highest - lowest)
    if threshold is not None:
        at_the_end = place > 0.75  # the words take a quarter of the width
        axes.axvline(threshold, color="black", linewidth=1, linestyle="--")
        axes.annotate(
            f"threshold {threshold:.3f}\nFAR {far:g} on unseen_val",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if at_the_end else 4, -4),
            ha="right" if at_the_end else "left",
            textcoords="offset points",
            va="top",
            fontsize=8,
        )
    axes.set(xlim=(lowest, highest), xlabel=score, ylabel="share of pairs")
    axes.set_title(f"{score[0].upper()}{score[1:]}: {name}")
    axes.margins(y=0.3)  # room for the words above the bars
    axes.legend(loc="upper left" if place > 0.37 else "upper right")  # beside the words
    save(path, figure)


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
    save(path, figure)


def save(path: Path, figure: "plt.Figure") -> None:
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
