"""The one recogniser: normalisation, backbone, embedding, head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.models.backbones import Normalisation, find_backbone
from faceline_core.models.freezing import freeze


class Recogniser(nn.Module):
    """Faces to logits over known people, and to embeddings for people it has never seen.

    Args:
        model_name: a backbone's name.
        img_size: side of the faces in px.
        classes: the known people, in the order of the logits.
        freeze_ratio: the part of the backbone's layers that stays as it is.

    Raises:
        FacelineError: where the backbone is unknown or takes no faces of that size.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model_name: str, img_size: int, classes: list[str], freeze_ratio: float = 0.0):
        super().__init__()
        spec = find_backbone(model_name, img_size)
        self.model_name, self.img_size, self.classes = model_name, img_size, list(classes)
        self.normalisation: Normalisation = spec.normalisation
        self.backbone = spec.build()
        self.head = nn.Linear(spec.dim, len(classes))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", 255 * torch.tensor(spec.normalisation.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(spec.normalisation.std).view(1, 3, 1, 1), persistent=False)
        self._frozen = freeze(self.backbone, freeze_ratio, img_size)
        self.train()  # Lightning takes every module's mode as it finds it

    def features(self, images: Tensor) -> Tensor:
        """Faces (N, 3, H, W), uint8 or float, RGB in [0, 255], to features (N, D): embeddings before normalisation."""
        if self.normalisation.channel_order == "bgr":
            images = images.flip(1)
        return self.backbone((images.to(self.mean.dtype) - self.mean) / self.std)  # type: ignore[no-any-return]

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Faces as for `features` to unit embeddings (N, D) and the norms (N, 1) that they had."""
        features = self.features(images).float()
        norm = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_min(1e-12)
        return features / norm, norm

    def forward(self, images: Tensor) -> Tensor:
        """Faces as for `features` to logits (N, C)."""
        return self.head(self.features(images))  # type: ignore[no-any-return]

    def recognise(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Faces as for `features` to probabilities (N, C), unit embeddings (N, D) and norms (N, 1), in one pass."""
        unit, norm = self.embed(images)
        return F.softmax(self.head(unit * norm).float(), dim=1), unit, norm

    def train(self, mode: bool = True) -> "Recogniser":
        """As in PyTorch, but what is frozen stays in eval: its BatchNorm keeps the statistics that it came with."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self
