"""RetinaFace: a body, a feature pyramid, context modules, and three heads a level."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.errors import FacelineError, nearest
from faceline_detect.retinaface.backbones import MobileNet, ResNet, convolution
from faceline_detect.retinaface.grid import PER_CELL, STRIDES

BGR_MEAN = (104.0, 117.0, 123.0)
"""Subtracted from blue, green and red of 0 to 255: the network's input."""
_PRIOR = 0.01
"""What an untrained network gives as the score of a face: focal loss starts stable with it (arXiv 1708.02002, 4.1)."""
_WIDEST_LEAKY = 64


class Kind(NamedTuple):
    """What `backbone` stands for."""

    body: type[nn.Module]
    width: int
    """Channels of the pyramid."""


BACKBONES = {"mobilenet0.25": Kind(MobileNet, 64), "resnet50": Kind(ResNet, 256)}


class Outputs(NamedTuple):
    """What the network says of each anchor, coded as `faceline_detect.retinaface.coding` does, float32."""

    logits: Tensor
    """(N, A, 2) of background, of a face."""
    boxes: Tensor
    """(N, A, 4)."""
    landmarks: Tensor
    """(N, A, 10)."""

    def scores(self) -> Tensor:
        """(N, A) in [0, 1]: sigmoid(face - background), which is the softmax of the two."""
        return (self.logits[..., 1] - self.logits[..., 0]).sigmoid()


def normalised(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Pictures (N, 3, H, W) uint8 RGB as the network takes them: BGR minus its mean, channels last."""
    pixels = torch.empty(images.shape, dtype=dtype, device=images.device, memory_format=torch.channels_last)
    for channel, mean in enumerate(BGR_MEAN):
        torch.sub(images[:, 2 - channel], mean, out=pixels[:, channel])
    return pixels


class Pyramid(nn.Module):
    """Three maps to three of one width, the finer ones knowing what the coarser ones see (arXiv 1612.03144)."""

    def __init__(self, inputs: tuple[int, int, int], width: int, slope: float):
        super().__init__()
        fine, middle, coarse = inputs
        self.output1 = convolution(fine, width, 1, 1, slope)
        self.output2 = convolution(middle, width, 1, 1, slope)
        self.output3 = convolution(coarse, width, 1, 1, slope)
        self.merge1 = convolution(width, width, 3, 1, slope)
        self.merge2 = convolution(width, width, 3, 1, slope)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[2:]))
        return [fine, middle, coarse]


class Context(nn.Module):
    """What is seen of 3x3, 5x5 and 7x7 cells, by 3x3 convolutions, side by side (SSH, arXiv 1708.03979)."""

    def __init__(self, width: int, slope: float):
        super().__init__()
        self.conv3X3 = convolution(width, width // 2, 3, 1, None)
        self.conv5X5_1 = convolution(width, width // 4, 3, 1, slope)
        self.conv5X5_2 = convolution(width // 4, width // 4, 3, 1, None)
        self.conv7X7_2 = convolution(width // 4, width // 4, 3, 1, slope)
        self.conv7x7_3 = convolution(width // 4, width // 4, 3, 1, None)

    def forward(self, x: Tensor) -> Tensor:
        shared = self.conv5X5_1(x)
        wider = self.conv7x7_3(self.conv7X7_2(shared))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(shared), wider], 1))


class Head(nn.Module):
    """A 1x1 convolution to some numbers an anchor."""

    def __init__(self, width: int, numbers: int):
        super().__init__()
        self.numbers = numbers
        self.conv1x1 = nn.Conv2d(width, PER_CELL * numbers, 1)
        nn.init.normal_(self.conv1x1.weight, std=0.01)
        nn.init.zeros_(self.conv1x1.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x).permute(0, 2, 3, 1).reshape(len(x), -1, self.numbers)


class RetinaFace(nn.Module):
    """A detector of faces in pictures of any size.

    Its tensors have the names of the published weights. In memory it lies channels last.

    Args:
        backbone: one of BACKBONES.

    Raises:
        FacelineError: where there is no such backbone.
    """

    def __init__(self, backbone: str):
        super().__init__()
        if backbone not in BACKBONES:
            raise FacelineError(
                f"detect.retinaface.backbone: there is no {backbone!r} here; {nearest(backbone, BACKBONES)}"
            )
        kind = BACKBONES[backbone]
        self.backbone = backbone
        self.slope = 0.1 if kind.width <= _WIDEST_LEAKY else 0.0
        """Below zero, of the ReLUs of pyramid and context modules."""
        self.body = kind.body()
        self.fpn = Pyramid(self.body.channels, kind.width, self.slope)
        self.ssh1, self.ssh2, self.ssh3 = (Context(kind.width, self.slope) for _ in STRIDES)
        self.ClassHead = nn.ModuleList(Head(kind.width, 2) for _ in STRIDES)
        self.BboxHead = nn.ModuleList(Head(kind.width, 4) for _ in STRIDES)
        self.LandmarkHead = nn.ModuleList(Head(kind.width, 10) for _ in STRIDES)
        for head in self.ClassHead:
            nn.init.constant_(head.conv1x1.bias.data[1::2], math.log(_PRIOR / (1 - _PRIOR)))
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Outputs:
        """What it sees in pictures of one size.

        Args:
            images: (N, 3, H, W) float32, as `normalised` gives them.

        Returns:
            Its outputs, in the order of `anchors(H, W)`.
        """
        fine, middle, coarse = self.fpn(self.body(images))
        maps = [self.ssh1(fine), self.ssh2(middle), self.ssh3(coarse)]
        with torch.autocast(images.device.type, enabled=False):  # half of bf16's numbers would be off by a px
            maps = [level.float() for level in maps]
            heads = (self.ClassHead, self.BboxHead, self.LandmarkHead)
            return Outputs(*(torch.cat([head(x) for head, x in zip(three, maps, strict=True)], 1) for three in heads))
