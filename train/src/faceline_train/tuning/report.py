"""What a study found: a line a trial, the table of the best, trials.csv, and the command that adopts the winner."""

import csv
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from faceline_core.parameters.training import Optuna
from faceline_core.stage.files import written_beside
from faceline_core.stage.progress import say
from faceline_train.tuning.pictures import draw_history, draw_importance
from faceline_train.tuning.spaces import Value, command, shown
from faceline_train.tuning.store import counts

if TYPE_CHECKING:
    import optuna

_SHOWN = 10  # trials of the table


def positions(study: "optuna.Study") -> dict[int, int]:
    """What each trial is called: its place from 1, those that were cut short and queued again left out."""
    places: dict[int, int] = {}
    place = 1
    for trial in study.get_trials(deepcopy=False):
        places[trial.number] = place
        place += trial.state != TrialState.FAIL or counts(trial)
    return places


def best_row(history: list[dict[str, float]], metric: str, direction: str) -> dict[str, float] | None:
    """The row of the best epoch, the earliest of equals; None where the metric is NaN in all."""
    sign = 1 if direction == "maximize" else -1
    rows = (row for row in history if math.isfinite(row[metric]))
    return max(rows, key=lambda row: (sign * row[metric], -row["epoch"]), default=None)


def drawn_line(values: Mapping[str, Value]) -> str:
    """`lr 0.0021 freeze_ratio 0.5`."""
    return " ".join(f"{name} {shown(value)}" for name, value in values.items())


def outcome_line(study: "optuna.Study", trial: FrozenTrial, settings: Optuna) -> str:
    """What a trial drew and what became of it."""
    drawn = drawn_line(trial.user_attrs["values"])
    if "reason" in trial.user_attrs:
        return f"{drawn}  failed: {trial.user_attrs['reason']}"
    epoch, value = _best_so_far(trial, settings)
    line = f"{drawn}  {settings.metric} {value:.4g} (epoch {epoch})  {trial.user_attrs['seconds']:.1f} s"
    if trial.state == TrialState.PRUNED:
        return f"{line}  pruned at epoch {trial.last_step}"
    return f"{line}  best so far" if study.best_trial.number == trial.number else line


def write_table(study: "optuna.Study", settings: Optuna, path: Path) -> None:
    """trials.csv: a row a trial, in the order in which they began."""
    places = positions(study)
    names = list(settings.search_spaces)
    columns = ["trial", "state", settings.metric, "best_epoch", "epochs_trained", "seconds", *names, "reason"]
    with written_beside(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for trial in study.get_trials(deepcopy=False):
            if counts(trial):
                writer.writerow({"trial": places[trial.number], **_row(trial, settings)})


def write_report(study: "optuna.Study", settings: Optuna, folder: Path, source: object) -> None:
    """Writes trials.csv and the pictures, prints the best trials, and last the command that adopts the best."""
    write_table(study, settings, folder / "trials.csv")
    trials = [trial for trial in study.get_trials(deepcopy=False) if counts(trial)]
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = sum(trial.state == TrialState.PRUNED for trial in trials)
    failed = len(trials) - len(finished) - pruned
    say("tune", f"{len(trials)} trials: {len(finished)} finished, {pruned} pruned, {failed} failed")
    places = positions(study)
    draw_history(folder / "history.png", trials, places, settings)
    written = "trials.csv, history.png"
    if note := draw_importance(folder / "importance.png", study, finished):
        (folder / "importance.png").unlink(missing_ok=True)
        say("tune", f"no importance.png: {note}")
    else:
        written += ", importance.png"
    say("tune", f"-> {folder}/: {written}")
    if not finished:
        say("tune", "no trial finished, so there is nothing to adopt. See the reasons above and in trials.csv")
        return
    sign = 1 if settings.direction == "maximize" else -1
    # of equals the one with the lowest val_loss, as training itself chooses among epochs
    finished.sort(key=lambda trial: (-sign * trial.value, trial.user_attrs["val_loss"], trial.number))
    equal = sum(trial.value == finished[0].value for trial in finished)
    for line in _aligned([_cells(trial, places[trial.number]) for trial in finished[:_SHOWN]], settings):
        print(line)
    if equal > 1:
        say("tune", f"note: {equal} trials are equal; the first of the table has the lowest val_loss")
    first = "" if str(source) == "params.yaml" else f"cp {shlex.quote(str(source))} params.yaml && "
    print(
        f"\nThe best of them, in the pipeline:\n\n    {first}{command(finished[0].user_attrs['values'])}\n", flush=True
    )


def _best_so_far(trial: FrozenTrial, settings: Optuna) -> tuple[int, float]:
    if trial.state == TrialState.COMPLETE:
        return trial.user_attrs["epoch"], float(trial.value)
    rows = [{"epoch": epoch, settings.metric: value} for epoch, value in trial.intermediate_values.items()]
    row = best_row(rows, settings.metric, settings.direction)
    return (int(row["epoch"]), row[settings.metric]) if row else (trial.last_step or 0, math.nan)


def _row(trial: FrozenTrial, settings: Optuna) -> dict[str, Any]:
    failed = "reason" in trial.user_attrs
    epoch, value = ("", "") if failed else _best_so_far(trial, settings)
    return {
        "state": "failed" if failed else trial.state.name.lower(),
        settings.metric: value,
        "best_epoch": epoch,
        "epochs_trained": trial.last_step or 0,
        "seconds": trial.user_attrs["seconds"],
        **{name: shown(value) for name, value in trial.user_attrs["values"].items()},
        "reason": trial.user_attrs.get("reason", ""),
    }


def _cells(trial: FrozenTrial, place: int) -> list[str]:
    values = trial.user_attrs["values"].values()
    return [str(place), f"{trial.value:.4g}", str(trial.user_attrs["epoch"]), *map(shown, values)]


def _aligned(rows: list[list[str]], settings: Optuna) -> list[str]:
    table = [["trial", settings.metric, "epoch", *settings.search_spaces], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["", *("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)]
