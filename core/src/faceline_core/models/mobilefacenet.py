"""MobileFaceNet, the small face backbone for CPUs (Chen et al. 2018, arXiv 1804.07573)."""

from torch import Tensor, nn

# (expansion, channels, repeats, stride of the first): table 1 of the paper
_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def _conv_bn_relu6(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class _DepthwiseSeparable(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.depthwise(x)).relu()
        return self.bn2(self.pointwise(x)).relu()  # type: ignore[no-any-return]


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        width = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            _conv_bn_relu6(inputs, width, 1),
            _conv_bn_relu6(width, width, 3, stride, groups=width),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)  # type: ignore[no-any-return]


class _GlobalDepthwise(nn.Module):
    def __init__(self, channels: int, side: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, side, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.depthwise(x))  # type: ignore[no-any-return]


class MobileFaceNet(nn.Module):
    """Faces (N, 3, 112, 112) to features (N, 128). State-dict names are those of the published Apache-2.0 weights."""

    dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _conv_bn_relu6(3, 64, 3, stride=2)
        self.dw_conv = _DepthwiseSeparable(64)
        blocks: list[nn.Module] = []
        width = 64
        for expansion, channels, repeats, stride in _STAGES:
            for repeat in range(repeats):
                blocks.append(_InvertedResidual(width, channels, stride if repeat == 0 else 1, expansion))
                width = channels
        self.features = nn.Sequential(*blocks)
        self.conv2 = _conv_bn_relu6(width, 512, 1)
        self.gdconv = _GlobalDepthwise(512, 7)
        self.conv3 = nn.Conv2d(512, self.dim, 1)
        self.bn = nn.BatchNorm1d(self.dim)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv2(self.features(self.dw_conv(self.conv1(x))))  # (N, 512, 7, 7)
        return self.bn(self.conv3(self.gdconv(maps)).flatten(1))  # type: ignore[no-any-return]
