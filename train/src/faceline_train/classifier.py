"""The recogniser as Lightning trains it; the maths is in faceline_core.models."""

from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric

from faceline_core.errors import FacelineError
from faceline_core.models.folding import fold_frozen
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import StageParameters
from faceline_core.training.optimisation import build_optimizer
from faceline_core.training.schedule import Schedule
from faceline_train.loading import Batch
from faceline_train.metrics import Classification
from faceline_train.resuming import describe_run


class DivergedError(FacelineError):
    """A loss that is NaN or infinite."""


class Classifier(lightning.LightningModule):
    """Cross-entropy over known people, with the margin of the head.

    Args:
        recogniser: the network; its weights are trained in place.
        parameters: lr, seed, head, optimizer, scheduler, loss, logging, trainer.
        face_weights: (C,) what the loss of a person's face is multiplied with; None weighs all alike.
        describe: what a face's index stands for, for messages.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        parameters: StageParameters,
        face_weights: Tensor | None = None,
        describe: Callable[[int], str] = str,
    ):
        super().__init__()
        self.recogniser = recogniser
        self.settings, self.describe = parameters, describe
        self.schedule: Schedule
        self.skipped = 0
        self._resumed_schedule: dict[str, Any] | None = None
        self._steps = 0
        self._dropped = self._poisoned = self._val_diverged = False
        self._remembered: list[Tensor] = []
        self.register_buffer("face_weights", face_weights, persistent=False)
        # "disable" would be quicker, but torchmetrics 1.9 then forgets the weights
        self.train_loss, self.val_loss = MeanMetric(nan_strategy="error"), MeanMetric(nan_strategy="error")
        self.train_metrics, self.val_metrics = (Classification(len(recogniser.classes)) for _ in range(2))
        self.train_loss.persistent(True)  # as the metrics are: for a state that is saved within an epoch
        self.strict_loading = not recogniser.frozen

    def features(self, batch: Batch) -> Tensor:
        """(n, D): of faces, or where the backbone ran before, what the batch holds."""
        return batch.images if batch.images.ndim == 2 else self.recogniser.features(batch.images)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        self._remember_statistics()
        features = self.features(batch)
        logits = self.recogniser.classify(features, batch.labels).float()
        losses = F.cross_entropy(
            logits, batch.labels, label_smoothing=self.settings.loss.label_smoothing, reduction="none"
        )
        if self.face_weights is not None:
            losses = losses * self.face_weights[batch.labels]
        loss = losses.mean()
        if not self._finite(loss):
            self._on_diverged(loss.item(), batch, index)
            return loss  # its gradients are dropped before the step; without them several processes would get stuck
        self.train_loss.update(loss.detach(), len(batch.labels))
        if self.recogniser.head_name != "softmax":  # whom the network takes faces for, without the margin
            with torch.no_grad():
                logits = self.recogniser.classify(features)
        self.train_metrics.update(logits.detach(), batch.labels)
        return loss * batch.share

    def on_after_backward(self) -> None:
        if self._poisoned:  # a NaN would stay in a running mean for good
            torch._foreach_copy_(self._statistics(), self._remembered)
            self._poisoned = False

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.trainer.precision == "16-mixed":
            self._dropped = False  # its scaler looks at the gradients itself, and leaves such a step out
            return
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not self._dropped and not torch.nn.utils.get_total_norm(gradients).isfinite():
            if self.settings.loss.on_nan == "stop":
                raise DivergedError(
                    f"the gradient of the identity loss is not finite in epoch {self.current_epoch + 1}, before step "
                    f"{self.trainer.global_step + 1}: training diverged. Lower lr (now {self.settings.lr:g}), or set "
                    "trainer.precision: 32 or loss.on_nan: skip"
                )
            self.skipped += 1
            self._dropped = True
        if self._dropped:
            optimizer.zero_grad(set_to_none=True)  # a step over nothing
            self._dropped = False

    def on_train_epoch_start(self) -> None:
        self._seed_step(0)

    def on_train_start(self) -> None:
        self._steps = self.trainer.global_step
        self._seed_step(self.trainer.fit_loop.epoch_loop.batch_progress.current.ready)

    def on_train_batch_end(self, *_: Any) -> None:
        if self.trainer.global_step > self._steps:  # not while gradients are being accumulated
            self._steps = self.trainer.global_step
            self.schedule.after_step()

    def on_train_epoch_end(self) -> None:
        self._log("train", self.train_loss, self.train_metrics)
        self.schedule.after_epoch(float(self.trainer.callback_metrics["val_loss"]))

    def validation_step(self, batch: Batch, _index: int) -> None:
        if len(batch.labels) == 0:
            return  # more processes than faces in the last batch
        logits = self.recogniser.classify(self.features(batch)).float()
        loss = F.cross_entropy(logits, batch.labels)
        if loss.isfinite():
            self.val_loss.update(loss, len(batch.labels))
            self.val_metrics.update(logits, batch.labels)
        else:
            self._val_diverged = True

    def on_validation_epoch_end(self) -> None:
        diverged = torch.tensor(self._val_diverged, device=self.device)
        if self.trainer.world_size > 1:
            diverged = self.all_gather(diverged).any()
        if diverged:
            raise DivergedError(
                f"val_loss is nan in epoch {self.current_epoch + 1}: training diverged. "
                f"Lower lr (now {self.settings.lr:g}) and train again"
            )
        self._log("val", self.val_loss, self.val_metrics)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.settings
        fold_frozen(self.recogniser.backbone, self.recogniser.img_size)  # now that weights to go on from are in
        fused = self.trainer.precision == "32-true" or not settings.trainer.gradient_clip_val
        optimizer = build_optimizer(
            self.recogniser.backbone, [self.recogniser.head], settings.lr, settings.optimizer, fused
        )
        steps = int(self.trainer.estimated_stepping_batches)
        self.schedule = Schedule(optimizer, settings.lr, settings.scheduler, steps)
        if self._resumed_schedule is not None:
            self.schedule.load_state_dict(self._resumed_schedule)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["schedule"] = self.schedule.state_dict()
        checkpoint["skipped"] = self.skipped
        checkpoint["run"] = describe_run(self.settings, self.recogniser)
        if self.recogniser.frozen:  # the same before and after
            state = checkpoint["state_dict"]
            for name in [name for name in state if name.startswith("recogniser.backbone.")]:
                del state[name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._resumed_schedule = checkpoint["schedule"]
        self.skipped = checkpoint["skipped"]

    def _log(self, split: str, loss: MeanMetric, metrics: Classification) -> None:
        figures = {"loss": loss.compute(), **metrics.compute()}
        loss.reset()
        metrics.reset()
        wanted = ("loss", *self.settings.logging.metrics)
        self.log_dict({f"{split}_{name}": figures[name].float().to(self.device) for name in wanted})

    def _seed_step(self, batches_done: int) -> None:
        """Dropout is a function of (seed, epoch), and of the batch from which a run goes on, and of the process."""
        run = (self.settings.seed * 100_003 + self.current_epoch) * 1_009 + batches_done
        torch.manual_seed((run * 997 + self.global_rank) % (1 << 63))

    def _statistics(self) -> list[Tensor]:
        """What a pass in training mode moves: BatchNorm's running statistics, and those of AdaFace."""
        return [buffer for buffer in self.recogniser.buffers() if buffer.is_floating_point()]

    def _remember_statistics(self) -> None:
        """Before each batch of a run that leaves batches out."""
        if self.settings.loss.on_nan == "skip":
            self._remembered = [buffer.clone() for buffer in self._statistics()]

    def _finite(self, loss: Tensor) -> bool:
        finite = torch.isfinite(loss.detach())
        if self.trainer.world_size > 1:  # the gradients of all become those of one
            finite = self.all_gather(finite).all()
        return bool(finite)

    def _on_diverged(self, loss: float, batch: Batch, index: int) -> None:
        if self.settings.loss.on_nan == "skip":
            self.skipped += 1
            self._dropped = self._poisoned = True
            return
        raise DivergedError(
            f"the identity loss is {loss} in epoch {self.current_epoch + 1}, step {index + 1} (faces "
            f"{', '.join(self.describe(int(index)) for index in batch.indices[:3])}, ...): training diverged. "
            f"Lower lr (now {self.settings.lr:g}), or set trainer.gradient_clip_val, trainer.precision: 32 or "
            "loss.on_nan: skip"
        )
