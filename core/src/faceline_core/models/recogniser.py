"""The one recogniser: normalisation, backbone, embedding, head."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.models.backbones import Backbone, Normalisation, find_backbone
from faceline_core.models.feature_maps import Tap, find_tap, unit_over_channels, with_map
from faceline_core.models.freezing import freeze
from faceline_core.models.heads import Margin, head_for
from faceline_core.models.occlusion_head import OcclusionHead
from faceline_core.models.qaconv import QAConv


@dataclass(frozen=True)
class Parts:
    """What a recogniser has besides backbone and head, as params.yaml holds it."""

    matcher: bool = False
    occlusion_head: bool = False
    feature_map: int = 7
    """Which feature map they see: 7 the backbone's last, 14 the last of the next finer resolution."""
    visibility: Literal["scaling", "masked"] = "scaling"
    """What the matcher does with occluded positions."""
    max_bytes: int = 256 << 20
    """The matcher's scratch memory."""


class Seen(NamedTuple):
    """What a recogniser makes of N faces, for matching."""

    unit: Tensor
    """(N, D) unit embeddings, float32."""
    norm: Tensor
    """(N, 1) their lengths before."""
    maps: Tensor
    """(N, K, h, w) feature maps, unit length over their K channels, float32."""
    visibility: Tensor | None
    """(N, 1, h, w) in [0, 1], 1 is visible; None without an occlusion head."""


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
        parts: a matcher and an occlusion head; by default neither.

    Raises:
        FacelineError: where the backbone is unknown, takes no faces of that size, or lacks the feature map.
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
        parts: Parts | None = None,
    ):
        super().__init__()
        spec = backbone or find_backbone(model_name, img_size)
        self.model_name, self.img_size, self.classes = model_name, img_size, list(classes)
        self.spec, self.dim = spec, spec.dim
        self.normalisation: Normalisation = spec.normalisation
        self.backbone = spec.build()
        self.head_name, self.margin = head, margin or Margin()
        self.head = head_for(head, spec.dim, len(classes), self.margin)
        self.parts = parts or Parts()
        self.matcher: QAConv | None = None
        """Scores pairs of feature maps."""
        self.occlusion_head: OcclusionHead | None = None
        """Tells from a feature map what of the face is visible."""
        self.tap: Tap | None = None
        if self.parts.matcher or self.parts.occlusion_head:
            self._add_parts()
        mean, std = (255 * torch.tensor(v) for v in (spec.normalisation.mean, spec.normalisation.std))
        self.register_buffer("scale", _row(1 / std, img_size), persistent=False)
        self.register_buffer("shift", _row(-mean / std, img_size), persistent=False)
        self._in_eval = freeze(self.backbone, freeze_ratio, img_size)
        self.frozen = self._in_eval == [self.backbone]
        """Whether the whole backbone stays as it is."""
        self.train()  # Lightning takes every module's mode as it finds it

    def _add_parts(self) -> None:
        parts = self.parts
        self.tap = find_tap(self.backbone, self.img_size, parts.feature_map, self.model_name)
        channels, side = self.tap.channels, self.tap.side
        if parts.occlusion_head:
            self.occlusion_head = OcclusionHead(channels)
        if parts.matcher:
            self.matcher = QAConv(channels, side, side, visibility=parts.visibility, max_bytes=parts.max_bytes)

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
        return self.backbone(self._normalised(images))  # type: ignore[no-any-return]

    def features_and_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Faces as for `features` to features (N, D) and the feature map (N, K, h, w) on the way there, as it is."""
        assert self.tap is not None, "a recogniser without a matcher and an occlusion head looks at no feature map"
        return with_map(self.backbone, self.tap, self._normalised(images))

    def _normalised(self, images: Tensor) -> Tensor:
        if self.normalisation.channel_order == "bgr":
            images = images.flip(1)
        return torch.addcmul(self.shift, images.to(self.scale.dtype), self.scale)  # one pass over memory

    def embed(self, images: Tensor, flip: bool = False) -> tuple[Tensor, Tensor]:
        """Faces as for `features` to unit embeddings (N, D) and the norms (N, 1) that they had.

        With `flip` an embedding is the mean of the raw ones of the face and of its mirror image.
        """
        return unit_and_norm(self._fused(self.features(images), images, flip))

    def see(self, images: Tensor, flip: bool = False) -> Seen:
        """Faces as for `features` to embeddings, as `embed`, and to what the matcher takes, which is of the faces
        alone; without a matcher and an occlusion head the maps are empty."""
        if self.tap is None:
            unit, norm = self.embed(images, flip)
            return Seen(unit, norm, unit.new_empty(len(unit), 0, 0, 0), None)
        features, maps = self.features_and_map(images)
        visibility = None if self.occlusion_head is None else self.occlusion_head(maps)
        return Seen(*unit_and_norm(self._fused(features, images, flip)), unit_over_channels(maps), visibility)

    def _fused(self, features: Tensor, images: Tensor, flip: bool) -> Tensor:
        return (features + self.features(images.flip(3))) / 2 if flip else features

    def classify(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features (N, D) to logits (N, C); with labels (N,) those of a margin head carry the margin."""
        unit, norm = unit_and_norm(features)
        return self.head(unit, norm, labels)  # type: ignore[no-any-return]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Faces as for `features` to logits (N, C), as `classify`."""
        return self.classify(self.features(images), labels)

    def recognise(self, images: Tensor, flip: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Faces as for `embed` to probabilities (N, C), unit embeddings (N, D) and norms (N, 1), in one pass."""
        unit, norm = self.embed(images, flip)
        return self.probabilities(unit, norm), unit, norm

    def probabilities(self, unit: Tensor, norm: Tensor) -> Tensor:
        """Unit embeddings (N, D) and their norms (N, 1) to the probability of each known person (N, C)."""
        return F.softmax(self.head(unit, norm).float(), dim=1)

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
