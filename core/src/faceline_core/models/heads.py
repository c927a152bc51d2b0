"""Heads: from embeddings to logits over the known people, with or without a margin.

Shapes: N faces, D numbers of an embedding, C classes. All heads are called alike, `head(unit, norms, labels)`, with
unit embeddings (N, D), the norms (N, 1) that they had, and class indices (N,); they return float32 logits (N, C).
Their sums are float32 under autocast too: in bfloat16, cosines near 1 are 0.004 apart.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.errors import FacelineError, nearest
from faceline_core.tensors.adding_up import add_up


@dataclass(frozen=True)
class Margin:
    """The numbers of a margin head, as `loss` of params.yaml holds them; a head takes those that concern it."""

    m: float = 0.4
    h: float = 0.333
    s: float = 64.0
    t_alpha: float = 0.01


class Softmax(nn.Module):
    """A linear layer with bias on the embedding as the backbone gave it: unit embedding times norm.

    Its parameters are those of nn.Linear: `weight` (C, D) and `bias` (C,).
    """

    def __init__(self, embedding_dim: int, classes: int):
        super().__init__()
        self.embedding_dim, self.classes = embedding_dim, classes
        self.weight = nn.Parameter(torch.empty(classes, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.normal_(self.weight, std=0.01)

    @property
    def columns(self) -> Tensor:
        """(D, C) the direction of each class."""
        return self.weight.T

    def forward(self, unit_embeddings: Tensor, norms: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002
        with torch.autocast(unit_embeddings.device.type, enabled=False):
            return F.linear(unit_embeddings.float() * norms.float(), self.weight.float(), self.bias.float())


class _MarginHead(nn.Module, ABC):
    """Scaled cosines between embeddings and class directions; a face's own class pays a margin.

    Args:
        embedding_dim: D.
        classes: C.
        m: the margin.
        s: what the cosines are multiplied with.

    `weight` (D, C) holds a class a column; only the columns' directions count.
    """

    epsilon: ClassVar[float]
    """Cosines stay this far from -1 and 1, where the derivative of arccos is infinite."""

    def __init__(self, embedding_dim: int, classes: int, m: float, s: float):
        super().__init__()
        self.embedding_dim, self.classes, self.m, self.s = embedding_dim, classes, m, s
        self.weight = nn.Parameter(F.normalize(torch.randn(embedding_dim, classes), dim=0))

    @property
    def columns(self) -> Tensor:
        """(D, C) the direction of each class."""
        return self.weight

    def forward(self, unit_embeddings: Tensor, norms: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N, C); without labels s * cosine, whose softmax is the probability of each known person."""
        with torch.autocast(unit_embeddings.device.type, enabled=False):
            cosines = unit_embeddings.float() @ F.normalize(self.weight.float(), dim=0)
            cosines = cosines.clamp(self.epsilon - 1, 1 - self.epsilon)
            logits = self.s * cosines
            if labels is not None:
                own = torch.arange(len(labels), device=labels.device), labels
                logits[own] = self.s * self._with_margin(cosines[own], norms.float().reshape(-1))
            return logits

    @abstractmethod
    def _with_margin(self, cosines: Tensor, norms: Tensor) -> Tensor:
        """What stands for the cosines (N,) of the faces to their own classes."""

    def _cos_of_wider_angle(self, cosines: Tensor, widening: Tensor | float) -> Tensor:
        """cos(theta + widening), constant where the angle would leave [epsilon, pi - epsilon]: cos would turn there."""
        return (cosines.arccos() + widening).clamp(self.epsilon, math.pi - self.epsilon).cos()


class CosFace(_MarginHead):
    """The own class's cosine must be greater by m (Wang et al. 2018, arXiv 1801.09414).

    The default m is the paper's for its large training sets (0.35); public code often has 0.4.
    """

    epsilon = 1e-4

    def __init__(self, embedding_dim: int, classes: int, m: float = 0.35, s: float = 64.0):
        super().__init__(embedding_dim, classes, m, s)

    def _with_margin(self, cosines: Tensor, norms: Tensor) -> Tensor:  # noqa: ARG002
        return cosines - self.m


class ArcFace(_MarginHead):
    """The angle to the own class must be smaller by m radians (Deng et al. 2019, arXiv 1801.07698)."""

    epsilon = 1e-4

    def __init__(self, embedding_dim: int, classes: int, m: float = 0.5, s: float = 64.0):
        super().__init__(embedding_dim, classes, m, s)

    def _with_margin(self, cosines: Tensor, norms: Tensor) -> Tensor:  # noqa: ARG002
        return self._cos_of_wider_angle(cosines, self.m)


class AdaFace(_MarginHead):
    """Margins by image quality, of which the embedding's norm is the measure (Kim et al. 2022, arXiv 2204.00964).

    A face of mean norm gets CosFace's margin. One of high norm (zhat = 1) gets twice that margin on its cosine and a
    smaller angle in return, which weighs it most where it is hard; one of low norm (zhat = -1) gets ArcFace's margin.

    Args:
        embedding_dim: D.
        classes: C.
        m: the margin, of cosine and of angle.
        h: zhat reaches 1 where the norm is 1 / h deviations above the mean, and -1 where it is as far below.
        s: what the cosines are multiplied with.
        t_alpha: weight of a batch in `batch_mean` and `batch_std` (1,), the running mean and deviation of the norms.

    These two move in training mode only, on calls with labels, and before they are used. Where several processes train
    together they follow the norms of all. A batch of one face has no deviation, and one with a norm that is no number
    has neither; both leave them as they are.
    """

    epsilon = 1e-3
    batch_mean: Tensor
    batch_std: Tensor

    def __init__(
        self,
        embedding_dim: int,
        classes: int,
        m: float = 0.4,
        h: float = 0.333,
        s: float = 64.0,
        t_alpha: float = 0.01,
    ):
        super().__init__(embedding_dim, classes, m, s)
        self.h, self.t_alpha = h, t_alpha
        self.register_buffer("batch_mean", torch.tensor([20.0]))
        self.register_buffer("batch_std", torch.tensor([100.0]))

    def _with_margin(self, cosines: Tensor, norms: Tensor) -> Tensor:
        quality = norms.detach().clamp(1e-3, 100)
        if self.training:
            self._follow(quality)
        zhat = (self.h * (quality - self.batch_mean) / (self.batch_std + 1e-3)).clamp(-1, 1)
        return self._cos_of_wider_angle(cosines, -self.m * zhat) - (self.m + self.m * zhat)

    def _follow(self, quality: Tensor) -> None:
        """Moves the running mean and deviation towards those of a batch (N,), without waiting for the device."""
        count, mean, std = _statistics(quality)
        known = (count > 1) & mean.isfinite() & std.isfinite()
        for running, now in ((self.batch_mean, mean), (self.batch_std, std)):
            running.copy_(torch.where(known, self.t_alpha * now + (1 - self.t_alpha) * running, running))


def _statistics(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and unbiased standard deviation of the values (N,) of all processes, which may hold unequally many.

    Two passes: a sum of squares less the square of the sum would lose the digits of a small deviation.
    """
    total = torch.stack([values.new_tensor(len(values)), values.sum()])
    add_up(total)
    count, mean = total[0], total[1] / total[0].clamp_min(1)
    squares = (values - mean).square().sum()
    add_up(squares)
    return count, mean, (squares / (count - 1).clamp_min(1)).sqrt()


def head_for(name: str, embedding_dim: int, classes: int, margin: Margin | None = None) -> nn.Module:
    """The head that `head` of params.yaml names: softmax, arcface, cosface or adaface.

    Args:
        name: the head.
        embedding_dim: D.
        classes: C.
        margin: its numbers; None takes those of its paper.

    Raises:
        FacelineError: where there is no such head.
    """
    kinds: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
        "softmax": (Softmax, ()),
        "arcface": (ArcFace, ("m", "s")),
        "cosface": (CosFace, ("m", "s")),
        "adaface": (AdaFace, ("m", "h", "s", "t_alpha")),
    }
    if name not in kinds:
        raise FacelineError(f"head: unknown head {name}: {nearest(name, kinds)}")
    kind, numbers = kinds[name]
    return kind(embedding_dim, classes, **({number: getattr(margin, number) for number in numbers} if margin else {}))
