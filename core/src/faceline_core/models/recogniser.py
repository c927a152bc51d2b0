"""The one recogniser: normalisation, backbone, embedding, head."""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.models.backbones import Backbone, Normalisation, find_backbone
from faceline_core.models.freezing import freeze
from faceline_core.models.heads import Margin, head_for


class Recogniser(nn.Module):
    """Faces to logits over known people, and to embeddings for people it has never seen.

    Args:
        model_name: a backbone's name.
        img_size: side of the faces in px.
        classes: the known people, in the order of the logits.
        freeze_ratio: the part of the backbone's layers that stays as it is.
        head: softmax, arcface, cosface or adaface.
        margin: of a margin head; None takes the AdaFace paper's.
        backbone: what `model_name` was when the recogniser was trained; None looks it up.

    Raises:
        FacelineError: where the backbone is unknown or takes no faces of that size.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        model_name: str,
        img_size: int,
        classes: list[str],
        freeze_ratio: float = 0.0,
        head: str = "softmax",
        margin: Margin | None = None,
        backbone: Backbone | None = None,
    ):
        super().__init__()
        spec = backbone or find_backbone(model_name, img_size)
        self.model_name, self.img_size, self.classes = model_name, img_size, list(classes)
        self.spec, self.dim = spec, spec.dim
        self.normalisation: Normalisation = spec.normalisation
        self.backbone = spec.build()
        self.head_name, self.margin = head, margin or Margin()
        self.head = head_for(head, spec.dim, len(classes), self.margin)
        mean, std = (255 * torch.tensor(v) for v in (spec.normalisation.mean, spec.normalisation.std))
        self.register_buffer("scale", _row(1 / std, img_size), persistent=False)
        self.register_buffer("shift", _row(-mean / std, img_size), persistent=False)
        self._in_eval = freeze(self.backbone, freeze_ratio, img_size)
        self.frozen = self._in_eval == [self.backbone]
        """Whether the whole backbone stays as it is."""
        self.train()  # Lightning takes every module's mode as it finds it

    def see_channels_as(self, order: Literal["rgb", "bgr"]) -> None:
        """Sets the order of the channels that the network sees: weights were trained with one or the other."""
        self.normalisation = replace(self.normalisation, channel_order=order)

    def freeze_batchnorm(self) -> None:
        """Every BatchNorm of the backbone keeps the statistics that it has; its weights are trained on."""
        norms = [module for module in self.backbone.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self._in_eval += [norm for norm in norms if norm not in self._in_eval]
        self.train(self.training)

    def features(self, images: Tensor) -> Tensor:
        """Faces (N, 3, H, W), uint8 or float, RGB in [0, 255], to features (N, D): embeddings before normalisation."""
        if self.normalisation.channel_order == "bgr":
            images = images.flip(1)
        images = torch.addcmul(self.shift, images.to(self.scale.dtype), self.scale)  # one pass over memory
        return self.backbone(images)  # type: ignore[no-any-return]

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Faces as for `features` to unit embeddings (N, D) and the norms (N, 1) that they had."""
        return unit_and_norm(self.features(images))

    def classify(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features (N, D) to logits (N, C); with labels (N,) those of a margin head carry the margin."""
        unit, norm = unit_and_norm(features)
        return self.head(unit, norm, labels)  # type: ignore[no-any-return]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Faces as for `features` to logits (N, C), as `classify`."""
        return self.classify(self.features(images), labels)

    def recognise(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Faces as for `features` to probabilities (N, C), unit embeddings (N, D) and norms (N, 1), in one pass."""
        unit, norm = self.embed(images)
        return F.softmax(self.head(unit, norm).float(), dim=1), unit, norm

    def train(self, mode: bool = True) -> "Recogniser":
        """As in PyTorch, but what is frozen stays in eval: its BatchNorm keeps the statistics that it came with."""
        super().train(mode)
        for module in self._in_eval:
            module.eval()
        return self


def _row(channels: Tensor, width: int) -> Tensor:
    """A value (3,) for each channel, (1, 3, 1, width), channels last: over three numbers at a time, what it is added to
    or multiplied with takes three times as long."""
    return channels.view(1, 3, 1, 1).expand(1, 3, 1, width).contiguous(memory_format=torch.channels_last)


def unit_and_norm(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, D) to unit embeddings (N, D) float32 and the norms (N, 1) that they had."""
    features = features.float()
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_min(1e-12)
    return features / norm, norm
