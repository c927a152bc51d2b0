"""The classifier as Lightning runs it; the maths is in faceline_core.models."""

from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import StageParameters
from faceline_core.training.optimisation import build_optimizer, build_schedule

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

    def configure_optimizers(self) -> dict[str, Any]:
        settings = self.parameters_of_run
        optimizer = build_optimizer(self.recogniser.parameters(), settings.lr, settings.optimizer)
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": build_schedule(optimizer, settings.lr, settings.scheduler, steps),
        }
