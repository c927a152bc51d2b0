"""Precision over recall, as a table and as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_detect.average_precision import Curve
from faceline_detect.measuring.measure import Measured

_STEPS = 200
_COLOURS = ("tab:grey", "tab:blue", "tab:orange", "tab:green")


def pr_rows(curves: Mapping[str, Curve]) -> list[dict[str, float]]:
    """The envelope that average precision is the area of, a row for each 0.005 of recall: `recall`, and for each curve
    `precision_<its name>`, the highest precision at that recall or more; 0 where the recall is not reached."""
    recall = np.arange(_STEPS + 1) / _STEPS
    columns = {f"precision_{name}": _envelope(curve, recall) for name, curve in curves.items()}
    return [
        {"recall": float(at)} | {name: round(float(values[row]), 6) for name, values in columns.items()}
        for row, at in enumerate(recall)
    ]


def _envelope(curve: Curve, recall: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = np.append(np.maximum.accumulate(curve.precision[::-1])[::-1], 0)
    just_above_zero = 1e-12  # so much rounding is let pass; and where nothing is found yet, precision says nothing
    envelope: NDArray[np.float64] = highest[
        np.searchsorted(curve.recall, np.maximum(recall - just_above_zero, just_above_zero))
    ]
    return envelope


def draw_pr_curves(path: Path, measured: Mapping[str, Measured]) -> None:
    """Precision over recall of each detector, by its name, for easy, medium and hard faces beside each other."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    levels = list(next(iter(measured.values())).curves)
    figure, panels = plt.subplots(1, len(levels), figsize=(4.6 * len(levels), 4.4), sharey=True, layout="constrained")
    for level, axes in zip(levels, np.atleast_1d(panels), strict=True):
        for number, (name, each) in enumerate(measured.items()):
            curve, area = each.curves[level], each.figures[f"ap_{level}"]
            if area is not None:
                style: dict[str, Any] = {"color": _COLOURS[number % len(_COLOURS)], "linewidth": 1.5}
                axes.plot(curve.recall, curve.precision, label=f"{name}: {_area(each, level)}", **style)
        faces = next(iter(measured.values())).figures[f"faces_{level}"]
        axes.set(xlim=(0, 1.005), ylim=(0, 1.03), xlabel="recall", title=f"{level}: {faces:,} faces")
        axes.grid(color="0.9")
        if axes.lines:
            axes.legend(loc="lower left", fontsize="small", title="average precision", title_fontsize="small")
    np.atleast_1d(panels)[0].set_ylabel("precision")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _area(measured: Measured, level: str) -> str:
    area, low, high = (measured.figures[f"ap_{level}{end}"] for end in ("", "_low", "_high"))
    return f"{area:.3f}" if low is None else f"{area:.3f} [{low:.3f}, {high:.3f}]"
