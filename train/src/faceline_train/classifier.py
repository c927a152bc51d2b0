"""The classifier as Lightning runs it; the maths is in faceline_core.models."""

import math
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import StageParameters
from faceline_core.training.optimisation import Schedule, build_optimizer

METRICS = ("train_loss", "train_acc", "val_loss", "val_acc")


class Classifier(lightning.LightningModule):
    """Cross-entropy over known people.

    Args:
        recogniser: the network; its weights are trained in place.
        parameters: lr, seed, optimizer, scheduler, trainer.
    """

    def __init__(self, recogniser: Recogniser, parameters: StageParameters):
        super().__init__()
        self.recogniser = recogniser
        self.parameters_of_run = parameters
        self.schedule: Schedule
        self._resumed_schedule: dict[str, Any] | None = None
        classes = len(recogniser.classes)
        self.train_acc = MulticlassAccuracy(classes, average="micro")
        self.val_acc = MulticlassAccuracy(classes, average="micro")

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.parameters_of_run.seed * 100_003 + self.current_epoch)

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        images, labels = batch
        logits = self.recogniser(images).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.parameters_of_run.trainer.label_smoothing)
        self.train_acc(logits.detach(), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        self.log("train_acc", self.train_acc, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        images, labels = batch
        logits = self.recogniser(images).float()
        self.val_acc(logits, labels)
        self.log("val_loss", F.cross_entropy(logits, labels), batch_size=len(labels))
        self.log("val_acc", self.val_acc, batch_size=len(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.parameters_of_run
        optimizer = build_optimizer(self.recogniser.parameters(), settings.lr, settings.optimizer)
        steps = int(self.trainer.estimated_stepping_batches)
        self.schedule = Schedule(optimizer, settings.lr, settings.scheduler, steps)
        if self._resumed_schedule is not None:
            self.schedule.load_state_dict(self._resumed_schedule)
        return optimizer

    def on_train_batch_end(self, *_: Any) -> None:
        self.schedule.after_step()

    def on_train_epoch_end(self) -> None:
        for name in ("train_loss", "val_loss"):
            loss = float(self.trainer.callback_metrics[name])
            if not math.isfinite(loss):
                raise FacelineError(
                    f"{name} is {loss} in epoch {self.current_epoch + 1}: training diverged. "
                    f"Lower lr (now {self.parameters_of_run.lr:g}) and train again"
                )
        self.schedule.after_epoch(float(self.trainer.callback_metrics["val_loss"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["schedule"] = self.schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._resumed_schedule = checkpoint["schedule"]
