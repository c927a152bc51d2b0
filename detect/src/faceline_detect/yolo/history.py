"""One dense row an epoch, of what ultralytics says of it."""

import csv
from pathlib import Path
from typing import Any

Rows = list[dict[str, float]]

_FIGURES = {  # theirs: ours; (B) of boxes, (P) of landmarks
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
    "metrics/mAP50(B)": "map50",
    "metrics/mAP50-95(B)": "map50_95",
    "metrics/mAP50-95(P)": "landmarks_map50_95",
}


def row_of(trainer: Any, seconds: float) -> dict[str, float]:
    """An ultralytics trainer's figures of the epoch that it has just validated, under the names of our history.

    Args:
        trainer: losses are means over the epoch, each times its weight in the sum.
        seconds: that the epoch took.
    """
    losses = {f"train_{name}": float(value) for name, value in trainer.tloss.items()}
    row = {"epoch": float(trainer.epoch + 1), "train_loss": sum(losses.values()), **losses}
    checked = {f"val_{name[4:]}": float(value) for name, value in trainer.metrics.items() if name.startswith("val/")}
    row |= {"val_loss": sum(checked.values()), **checked}
    row |= {ours: float(trainer.metrics[theirs]) for theirs, ours in _FIGURES.items() if theirs in trainer.metrics}
    return row | {"lr": trainer.optimizer.param_groups[0]["lr"], "seconds": round(seconds, 3)}


def line_of(row: dict[str, float], epochs: int) -> str:
    """`YOLO epoch 3/8  train_loss 11.052  val_loss 10.176  precision 0.455 ...`."""
    shown = ("train_loss", "val_loss", "precision", "recall", "map50")
    figures = "  ".join(f"{name} {row[name]:.3f}" for name in shown)
    return f"YOLO epoch {row['epoch']:.0f}/{epochs}  {figures}  lr {row['lr']:.1e}  {row['seconds']:.1f} s"


def write_rows(path: Path, rows: Rows) -> None:
    """Writes history.csv."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in rows)
