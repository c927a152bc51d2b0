"""What is measured while training: over known people."""

from collections.abc import Sequence

from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from faceline_core.errors import FacelineError, nearest


def classification_metrics(names: Sequence[str], classes: int) -> dict[str, Metric]:
    """torchmetrics by their names in `logging.metrics`: accuracy over faces, the others as means over people."""
    build = {
        "acc": lambda: MulticlassAccuracy(classes, average="micro"),
        "precision": lambda: MulticlassPrecision(classes, average="macro"),
        "recall": lambda: MulticlassRecall(classes, average="macro"),
        "f1": lambda: MulticlassF1Score(classes, average="macro"),
    }
    return {name: build[name]() for name in dict.fromkeys(names)}


def logged_names(names: Sequence[str]) -> list[str]:
    """The metrics that a run logs, in the order of the columns of history.csv."""
    return [f"{split}_{name}" for split in ("train", "val") for name in ("loss", *dict.fromkeys(names))]


def check_logged(parameter: str, name: str, names: Sequence[str]) -> None:
    """Raises where a parameter asks for a metric that the run does not log."""
    logged = logged_names(names)
    if name not in logged:
        unlisted = name.removeprefix("train_").removeprefix("val_")
        hint = (
            f"add {unlisted} to logging.metrics"
            if unlisted in ("acc", "precision", "recall", "f1")
            else (nearest(name, logged))
        )
        raise FacelineError(f"{parameter}: {name} is not logged; {hint}")
