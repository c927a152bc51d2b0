"""The bodies of RetinaFace: a picture to feature maps at strides 8, 16 and 32."""

from torch import Tensor, nn

_SLOPE = 0.1
"""Below zero, of MobileNet's ReLUs, whatever the width: with 0 the published weights find 99 faces of 159."""


def convolution(inputs: int, outputs: int, side: int, stride: int, slope: float | None) -> nn.Sequential:
    """Convolution, BatchNorm, and a ReLU of that slope below zero; None leaves it out."""
    layers = [nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([] if slope is None else [_relu(slope)]))


def _relu(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution of each channel alone, then a 1x1 over all of them (arXiv 1704.04861)."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
    return nn.Sequential(
        depthwise,
        nn.BatchNorm2d(inputs),
        _relu(_SLOPE),
        *convolution(inputs, outputs, 1, 1, _SLOPE),
    )


class MobileNet(nn.Module):
    """MobileNet of a quarter of the width: 64, 128 and 256 channels."""

    channels = (64, 128, 256)
    slope = _SLOPE

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            convolution(3, 8, 3, 2, _SLOPE),
            _separable(8, 16),
            _separable(16, 32, 2),
            _separable(32, 32),
            _separable(32, 64, 2),
            _separable(64, 64),
        )
        self.stage2 = nn.Sequential(_separable(64, 128, 2), *(_separable(128, 128) for _ in range(5)))
        self.stage3 = nn.Sequential(_separable(128, 256, 2), _separable(256, 256))

    def forward(self, images: Tensor) -> list[Tensor]:
        fine = self.stage1(images)
        middle = self.stage2(fine)
        return [fine, middle, self.stage3(middle)]


class ResNet(nn.Module):
    """torchvision's ResNet-50 up to its last block, by its names: 512, 1024 and 2048 channels."""

    channels = (512, 1024, 2048)
    slope = 0.0

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        for name, layer in resnet50(weights=None).named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, layer)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        fine = self.layer2(self.layer1(x))
        middle = self.layer3(fine)
        return [fine, middle, self.layer4(middle)]
