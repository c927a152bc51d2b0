"""RetinaFace as Lightning trains it; the maths is in losses.py and matching.py."""

from collections.abc import Callable
from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric

from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import RetinaFaceSettings
from faceline_core.parameters.training import Optimizer
from faceline_core.training.optimisation import build_optimizer
from faceline_detect.retinaface import RetinaFace, anchors, normalised
from faceline_detect.training.losses import DetectionLoss
from faceline_detect.training.rate import rate_factor
from faceline_detect.training.targets import Target

PARTS = ("class", "box", "landmarks")
LOGGED = ("train_loss", *(f"train_{part}_loss" for part in PARTS), "val_loss", "val_ap")
"""What is logged each epoch, in the order of history.csv's columns."""


class Squares(NamedTuple):
    """A batch.

    images: (n, 3, S, S) uint8 RGB in [0, 255].
    targets: of each of them.
    share: what the mean loss over these n squares is multiplied with: see EpochBatches.share_of.
    """

    images: Tensor
    targets: list[Target]
    share: float


class Detection(lightning.LightningModule):
    """One of RetinaFace's two families of losses, on squares; average precision on whole pictures after each epoch.

    Args:
        network: its weights are trained in place.
        settings: `detect.retinaface`.
        clips: whether gradients are clipped: Lightning does not clip those of a fused optimiser in mixed precision.
        average_precision: of the network as it is, with its share of the work where several processes train.
    """

    def __init__(
        self,
        network: RetinaFace,
        settings: RetinaFaceSettings,
        clips: bool,
        average_precision: Callable[[RetinaFace], float],
    ):
        super().__init__()
        self.network, self.settings, self.clips = network, settings, clips
        self.average_precision = average_precision
        self.loss = DetectionLoss(settings)
        self.schedule: LambdaLR
        self._resumed_schedule: dict[str, Any] | None = None
        self._steps = 0
        self.register_buffer("anchors", anchors(settings.side, settings.side), persistent=False)
        losses = [name for name in LOGGED if name.endswith("_loss")]
        self.means = torch.nn.ModuleDict({name: MeanMetric(nan_strategy="error") for name in losses})
        for mean in self.means.values():
            mean.persistent(True)  # for a state that is saved within an epoch

    def training_step(self, batch: Squares, _index: int) -> Tensor:
        parts = self._losses(batch)
        loss = parts["total"]
        if not loss.isfinite():
            raise FacelineError(
                f"the loss of RetinaFace is {loss.item()} in epoch {self.current_epoch + 1}: training diverged. Lower "
                f"detect.retinaface.lr (now {self.settings.lr:g}), or set trainer.precision: 32"
            )
        count = len(batch.targets)
        self.means["train_loss"].update(loss.detach(), count)
        for part in PARTS:
            self.means[f"train_{part}_loss"].update(parts[part].detach(), count)
        return loss * batch.share

    def validation_step(self, batch: Squares, _index: int) -> None:
        if batch.targets:  # there may be more processes than pictures in the last batch
            self.means["val_loss"].update(self._losses(batch)["total"], len(batch.targets))

    def _losses(self, batch: Squares) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.loss(self.network(normalised(batch.images)), self.anchors, batch.targets)
        return losses

    def on_validation_epoch_end(self) -> None:
        value = self.average_precision(self.network)
        self._log("val_loss")
        self.log("val_ap", torch.tensor(value, device=self.device))

    def on_train_start(self) -> None:
        self._steps = self.trainer.global_step

    def on_train_batch_end(self, *_: Any) -> None:
        if self.trainer.global_step > self._steps:  # not while gradients are being accumulated
            self._steps = self.trainer.global_step
            self.schedule.step()

    def on_train_epoch_end(self) -> None:
        for name in LOGGED:
            if name.startswith("train_"):
                self._log(name)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.settings
        network = self.network
        rest = [child for name, child in network.named_children() if name != "body"]
        fused = self.trainer.precision == "32-true" or not self.clips
        optimizer = build_optimizer(network.body, rest, settings.lr, _optimizer(settings), fused)
        steps = int(self.trainer.estimated_stepping_batches)
        self.schedule = LambdaLR(optimizer, rate_factor(settings, steps))
        if self._resumed_schedule is not None:
            self.schedule.load_state_dict(self._resumed_schedule)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["schedule"] = self.schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._resumed_schedule = checkpoint["schedule"]

    def _log(self, name: str) -> None:
        metric = self.means[name]
        self.log(name, metric.compute().float().to(self.device))
        metric.reset()


def _optimizer(settings: RetinaFaceSettings) -> Optimizer:
    return Optimizer(
        name=settings.optimizer,
        weight_decay=settings.weight_decay,
        decay_norms_and_biases=False,
        betas=(0.9, 0.999),
        eps=1e-8,
        amsgrad=False,
        momentum=settings.momentum,
        nesterov=False,
        backbone_lr_factor=1.0,
        ema_decay=0.0,
    )
