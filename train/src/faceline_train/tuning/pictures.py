"""The two pictures of a study: how it went, and which parameters mattered."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState

from faceline_core.parameters.training import Optuna
from faceline_core.stage.files import written_beside

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 30  # largest over smallest value from which on the axis is logarithmic
_BLUE, _GREY, _RED = "#2a6fb0", "#8c8c8c", "#c44536"


def draw_history(path: Path, trials: Sequence[FrozenTrial], places: Mapping[int, int], settings: Optuna) -> None:
    """Each trial's value over its place, and the best until then; pruned and failed ones are marked."""
    figure, axes = _figure(8, 4.5)
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED and trial.value is not None]  # None is NaN
    failed = [places[trial.number] for trial in trials if "reason" in trial.user_attrs]
    if finished:
        at, reached = [places[trial.number] for trial in finished], [float(trial.value) for trial in finished]
        best = list(accumulate(reached, max if settings.direction == "maximize" else min))
        last = max(places[trial.number] for trial in trials)
        axes.step([*at, last], [*best, best[-1]], where="post", color=_BLUE, linewidth=1.5, label="best so far")
        axes.scatter(at, reached, color=_BLUE, s=28, zorder=3, label=f"finished ({len(finished)})")
    if pruned:
        axes.scatter(
            [places[trial.number] for trial in pruned],
            [float(trial.value) for trial in pruned],
            facecolors="white",
            edgecolors=_GREY,
            s=28,
            zorder=3,
            label=f"pruned ({len(pruned)}), at its last epoch",
        )
    values = [float(trial.value) for trial in (*finished, *pruned)]
    if values and 0 < min(values) * _WIDE < max(values):
        axes.set_yscale("log")  # a loss that all but diverged would flatten the others
    if failed:
        floor = [axes.get_ylim()[0]] * len(failed)
        axes.scatter(failed, floor, color=_RED, marker="x", s=28, zorder=3, label=f"failed ({len(failed)})")
    axes.set_title(f"Study {settings.study_name}: {len(trials)} trials", loc="left")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{settings.metric} ({'higher' if settings.direction == 'maximize' else 'lower'} is better)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize=9)
    _save(figure, path)


def draw_importance(path: Path, study: "optuna.Study", finished: Sequence[FrozenTrial]) -> str | None:
    """How much of the difference between good and other trials each parameter explains; or why that is unknown.

    Source: PED-ANOVA, Watanabe, Bansal and Hutter 2023, as Optuna computes it.
    """
    from optuna.importance import get_param_importances

    if len(finished) < 2:
        return f"it takes two finished trials, there {'is' if len(finished) == 1 else 'are'} {len(finished)}"
    if len({trial.value for trial in finished}) == 1:
        return "all finished trials have the same value"
    importances = get_param_importances(study)
    names = list(importances)[::-1]
    figure, axes = _figure(8, 1.6 + 0.45 * len(names))
    bars = axes.barh(names, [importances[name] for name in names], color=_BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.set_xlim(0, 1.1)
    axes.set_xlabel("share of importance (PED-ANOVA)")
    axes.set_title(f"Which parameters mattered, by {len(finished)} finished trials", loc="left")
    _save(figure, path)
    return None


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # without pyplot: no window, nothing global

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: "Figure", path: Path) -> None:
    with written_beside(path) as beside:
        figure.savefig(beside, dpi=120, format="png")
