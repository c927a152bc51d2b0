"""The recogniser as Lightning trains it; the maths is in faceline_core.models."""

import math
from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, Metric

from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import StageParameters
from faceline_core.tensors.folding import fold_frozen
from faceline_core.training.optimisation import build_optimizer
from faceline_core.training.schedule import Schedule
from faceline_train.loading import Batch
from faceline_train.metrics import Classification, known_prefix
from faceline_train.parts import MapLosses, trained_parts
from faceline_train.resuming import describe_run
from faceline_train.verifying import Verifying


class DivergedError(FacelineError):
    """A loss that is NaN or infinite."""


class Classifier(lightning.LightningModule):
    """Cross-entropy over known people, with the margin of the head, and the losses on feature maps that have a weight.

    Args:
        recogniser: the network; its weights are trained in place.
        parameters: lr, seed, head, feature_map, optimizer, scheduler, loss, loss_weights, local, occlusion, logging,
            trainer, validation.
        face_weights: (C,) what the loss of a person's face is multiplied with; None weighs all alike.
        describe: what a face's index stands for, for messages.
        verifying: the pairs to verify after each epoch; None verifies none.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        parameters: StageParameters,
        face_weights: Tensor | None = None,
        describe: Callable[[int], str] = str,
        verifying: Verifying | None = None,
    ):
        super().__init__()
        self.recogniser = recogniser
        self.settings, self.describe, self.verifying = parameters, describe, verifying
        self.schedule: Schedule
        self.skipped = 0
        self._resumed_schedule: dict[str, Any] | None = None
        self._steps = 0
        self._dropped = self._poisoned = self._val_diverged = False
        self._remembered: list[Tensor] = []
        self.register_buffer("face_weights", face_weights, persistent=False)
        # "disable" would be quicker, but torchmetrics 1.9 then forgets the weights
        self.parts = trained_parts(parameters)
        self.map_losses = MapLosses(parameters) if recogniser.tap else None
        self.part_losses = nn.ModuleDict({name: MeanMetric(nan_strategy="error") for name in self.parts})
        self.train_loss, self.val_loss = MeanMetric(nan_strategy="error"), MeanMetric(nan_strategy="error")
        self.train_metrics, self.val_metrics = (Classification(len(recogniser.classes)) for _ in range(2))
        for metric in (self.train_loss, *self.part_losses.values()):
            metric.persistent(True)  # as the metrics are: for a state that is saved within an epoch
        self.strict_loading = not recogniser.frozen
        # each process moves the class memory alike, and DDP would send the whole of it at every step
        self._ddp_params_and_buffers_to_ignore = ["map_losses.memory.maps", "map_losses.memory.seen"]

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.map_losses is not None:
            with self.trainer.precision_plugin.forward_context():
                self.map_losses.build_memory(self.recogniser, self.trainer.strategy.root_device)

    def features(self, batch: Batch) -> Tensor:
        """(n, D): of faces, or where the backbone ran before, what the batch holds."""
        return batch.images if batch.images.ndim == 2 else self.recogniser.features(batch.images)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        self._remember_statistics()
        maps: Tensor | None = None
        if self.map_losses is None:
            features = self.features(batch)
        else:
            features, maps = self.recogniser.features_and_map(batch.images)
        parts: dict[str, Tensor] = {}
        logits: Tensor | None = None
        if "identity" in self.parts:
            logits = self.recogniser.classify(features, batch.labels).float()
            parts["identity"] = self._identity_loss(logits, batch.labels)
        if self.map_losses is not None:
            assert maps is not None
            parts |= self.map_losses(self.recogniser, maps, batch.labels, batch.masks, batch.known, self.current_epoch)
        weights = self.settings.loss_weights
        loss = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
        if self.trainer.world_size > 1:
            loss = loss + self._nothing(features)
        if not self._finite(loss):
            self._on_diverged({name: part.item() for name, part in parts.items()}, batch, index)
            return loss  # its gradients are dropped before the step; without them several processes would get stuck
        self.train_loss.update(loss.detach(), len(batch.labels))
        for name, part in parts.items():
            self.part_losses[name].update(part.detach(), len(batch.labels))
        if self.map_losses is not None and maps is not None:
            self.map_losses.remember(maps, batch.labels, self.current_epoch)
        if logits is None or self.recogniser.head_name != "softmax":  # who faces are taken for, without the margin
            with torch.no_grad():
                logits = self.recogniser.classify(features).float()
        self.train_metrics.update(logits.detach(), batch.labels)
        return loss * batch.share

    def _identity_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, labels, label_smoothing=self.settings.loss.label_smoothing, reduction="none")
        if self.face_weights is not None:
            losses = losses * self.face_weights[labels]
        return losses.mean()

    def _nothing(self, features: Tensor) -> Tensor:
        """0, by way of everything that is trained: several processes wait for the gradients of all of it."""
        rest = [self.recogniser.head, self.recogniser.matcher, self.recogniser.occlusion_head]
        weights = [parameter.sum() for module in rest if module is not None for parameter in module.parameters()]
        return 0 * (features.float().sum() + torch.stack(weights).sum())

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
                    f"the gradient of the {self._loss_name()} is not finite in epoch {self.current_epoch + 1}, before "
                    f"step {self.trainer.global_step + 1}: training diverged. Lower lr (now {self.settings.lr:g}), or "
                    "set trainer.precision: 32 or loss.on_nan: skip"
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
        if len(self.parts) > 1:
            for name, mean in self.part_losses.items():
                self._log_of_epoch(f"train_{name}_loss", mean, waits=name == "local" and self._local_waits())
        if self.map_losses is not None:
            for name, count in self.map_losses.left_out.items():
                self._log_of_epoch(f"train_{name}_left_out", count, waits=self._local_waits())
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
        if self.verifying is not None:
            with self.trainer.precision_plugin.forward_context():
                trained = self.trainer.state.fn != "fit" or not self._local_waits()
                figures = self.verifying.figures(self.recogniser, matcher_trained=trained)
            self.log_dict({name: torch.tensor(value, device=self.device) for name, value in figures.items()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.settings
        fold_frozen(self.recogniser.backbone, self.recogniser.img_size)  # now that weights to go on from are in
        fused = self.trainer.precision == "32-true" or not settings.trainer.gradient_clip_val
        recogniser = self.recogniser
        rest = [part for part in (recogniser.matcher, recogniser.occlusion_head, recogniser.head) if part is not None]
        optimizer = build_optimizer(recogniser.backbone, rest, settings.lr, settings.optimizer, fused)
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
        prefix = known_prefix(split, self.settings.validation)
        logged = {f"{split}_loss": figures["loss"]}
        logged |= {f"{prefix}_{name}": figures[name] for name in self.settings.logging.metrics}
        self.log_dict({name: figure.float().to(self.device) for name, figure in logged.items()})

    def _log_of_epoch(self, name: str, metric: nn.Module, waits: bool) -> None:
        """0 of a part that waits: nothing was counted."""
        assert isinstance(metric, Metric)
        self.log(name, torch.zeros((), device=self.device) if waits else metric.compute())
        metric.reset()

    def _local_waits(self) -> bool:
        return self.current_epoch < self.settings.local.start_epoch

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

    def _loss_name(self) -> str:
        return f"{self.parts[0]} loss" if len(self.parts) == 1 else "loss"

    def _on_diverged(self, parts: dict[str, float], batch: Batch, index: int) -> None:
        if self.settings.loss.on_nan == "skip":
            self.skipped += 1
            self._dropped = self._poisoned = True
            return
        summed = sum(getattr(self.settings.loss_weights, name) * part for name, part in parts.items())
        name, loss = next(
            ((name, part) for name, part in {**parts, "summed": summed}.items() if not math.isfinite(part)),
            (None, None),
        )
        if name is None:
            raise DivergedError(
                f"the loss of another process is not finite in epoch {self.current_epoch + 1}, step {index + 1}: "
                "training diverged, and that process says in which part"
            )
        raise DivergedError(
            f"the {name} loss is {loss} in epoch {self.current_epoch + 1}, step {index + 1} (faces "
            f"{', '.join(self.describe(int(index)) for index in batch.indices[:3])}, ...): training diverged. "
            f"Lower lr (now {self.settings.lr:g}), or set trainer.gradient_clip_val, trainer.precision: 32 or "
            "loss.on_nan: skip"
        )
