"""What is measured while training: over known people."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters import StageParameters
from faceline_core.parameters.metric import Validation
from faceline_train.parts import counted_parts, trained_parts

NAMES = ("acc", "precision", "recall", "f1")


class Classification(Metric):
    """Accuracy over faces; precision, recall and F1 as means over people (macro), as scikit-learn defines them.

    People whom no face shows and nobody was taken for are left out of the means. What is kept grows with the number of
    people, C: torchmetrics' own go through a C x C matrix at every step, which is 59 GB for 86,000 people.

    Args:
        classes: C.
    """

    right: Tensor
    taken: Tensor
    shown: Tensor

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes
        for name in ("right", "taken", "shown"):
            self.add_state(name, torch.zeros(classes, dtype=torch.long), dist_reduce_fx="sum", persistent=True)

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Logits (N, C) of faces that show the people `labels` (N,)."""
        predicted = logits.argmax(dim=1)
        self.right += torch.bincount(labels[predicted == labels], minlength=self.classes)
        self.taken += torch.bincount(predicted, minlength=self.classes)
        self.shown += torch.bincount(labels, minlength=self.classes)

    def compute(self) -> dict[str, Tensor]:
        seen = self.taken + self.shown > 0
        # on the CPU, in double: a mean of ones must not come out above 1, and not all devices have it
        right, taken, shown = (count[seen].cpu().double() for count in (self.right, self.taken, self.shown))
        return {
            "acc": self.right.sum() / self.shown.sum(),
            "precision": (right / taken.clamp_min(1)).mean(),
            "recall": (right / shown.clamp_min(1)).mean(),
            "f1": (2 * right / (taken + shown)).mean(),
        }


def known_prefix(split: str, validation: Validation) -> str:
    """What the figures of naming known people are called by: where `val_acc` is that of pairs, val_known."""
    return "val_known" if split == "val" and validation.split != "val" else split


def logged_names(parameters: StageParameters, benchmarks: Sequence[str] = ()) -> list[str]:
    """The metrics that a run logs, in the order of the columns of history.csv.

    Args:
        parameters: logging, local, loss_weights, validation.
        benchmarks: the figures of `.bin` sets.
    """
    metrics = dict.fromkeys(parameters.logging.metrics)
    validation = parameters.validation
    parts = trained_parts(parameters)
    names = ["train_loss"]
    names += [f"train_{part}_loss" for part in parts] if len(parts) > 1 else []
    names += [f"train_{part}_left_out" for part in counted_parts(parameters)]
    names += [f"train_{name}" for name in metrics]
    names += ["val_loss", *(f"{known_prefix('val', validation)}_{name}" for name in metrics)]
    if validation.split != "val":
        names += ["val_acc", "val_embedding_acc", *(["val_local_acc"] if parameters.loss_weights.local else [])]
    return [*names, *benchmarks]


def check_logged(parameter: str, name: str, parameters: StageParameters) -> None:
    """Raises where a parameter asks for a metric that the run does not log."""
    logged = logged_names(parameters)
    if name not in logged:
        unlisted = name.removeprefix("train_").removeprefix("val_")
        hint = f"add {unlisted} to logging.metrics" if unlisted in NAMES else nearest(name, logged)
        raise FacelineError(f"{parameter}: {name} is not logged; {hint}")
