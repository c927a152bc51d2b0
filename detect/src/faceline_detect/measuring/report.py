"""What the stage writes down of several detectors on the same pictures."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from faceline_core.faces import Face
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.detectors import NAMES
from faceline_detect.measuring.curves import draw_pr_curves, pr_rows
from faceline_detect.measuring.measure import Measured
from faceline_detect.measuring.worst import draw_worst


def write_report(
    report: Path,
    measured: Mapping[str, Measured],
    found: Mapping[str, Sequence[Sequence[Face]]],
    pictures: Sequence[Annotation],
    folder: Path,
) -> None:
    """`pr_curve_<detector>.csv` for `dvc plots` and `worst_<detector>.jpg` of each, `pr_curves.png` of all.

    The curve of a detector that was not measured is a file without rows: `dvc plots` complains of one that is missing.

    Args:
        report: the folder to write to.
        measured: each detector by its name.
        found: what each found, for each picture.
        pictures: that they were measured on.
        folder: the pictures' paths are below it.
    """
    rows = {name: pr_rows(each.curves) for name, each in measured.items()}
    for name in NAMES:
        with (report / f"pr_curve_{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(next(iter(rows.values()))[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows.get(name, []))
    for name, each in measured.items():
        figures = each.figures
        title = (
            f"{name}, score {figures['working_confidence']:g} or more: of {figures['faces']} faces "
            f"{figures['missed']} missed, {figures['wrong']} boxes wrong"
        )
        draw_worst(report / f"worst_{name}.jpg", title, folder, pictures, found[name], each.outcomes)
    draw_pr_curves(report / "pr_curves.png", measured)
