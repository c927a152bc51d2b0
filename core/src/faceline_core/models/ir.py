"""The IR networks, residual networks for faces (ArcFace, arXiv 1801.07698; as AdaFace has them, arXiv 2204.00964)."""

from torch import Tensor, nn

UNITS = {"ir_18": (2, 2, 2, 2), "ir_34": (3, 4, 6, 3), "ir_50": (3, 4, 14, 3), "ir_101": (3, 13, 30, 3)}
"""Residual units of the four stages."""
_WIDTHS = (64, 128, 256, 512)
_DROPOUT = 0.4


class _Conv(nn.Conv2d):
    """A convolution without bias that starts as He et al. 2015, eq. 14, have it: gradients keep their variance."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")


class _Linear(nn.Linear):
    """A linear layer that starts as Glorot and Bengio 2010, eq. 16, have it, with no bias."""

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)


class _Unit(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.shortcut_layer: nn.Module = (
            nn.MaxPool2d(1, stride)  # takes every stride-th pixel
            if inputs == outputs
            else nn.Sequential(_Conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            _Conv(inputs, outputs, 3),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            _Conv(outputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)  # type: ignore[no-any-return]


class IRNet(nn.Module):
    """Faces (N, 3, S, S) to features (N, 512). State-dict names are those of the published AdaFace checkpoints.

    `input_layer` gives (N, 64, S, S); `body` is a sequence of units with stages of 64, 128, 256 and 512 channels at
    S/2, S/4, S/8 and S/16; `output_layer` makes the feature vector of (N, 512, S/16, S/16).

    Args:
        units: residual units of each stage.
        img_size: S, a multiple of 16; published weights are for 112.
    """

    dim = 512

    def __init__(self, units: tuple[int, int, int, int], img_size: int = 112):
        super().__init__()
        self.input_layer = nn.Sequential(_Conv(3, 64, 3), nn.BatchNorm2d(64), nn.PReLU(64))
        body: list[nn.Module] = []
        width = 64
        for count, channels in zip(units, _WIDTHS, strict=True):
            for number in range(count):
                body.append(_Unit(width, channels, 2 if number == 0 else 1))
                width = channels
        self.body = nn.Sequential(*body)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Dropout(_DROPOUT),
            nn.Flatten(),
            _Linear(width * (img_size // 16) ** 2, self.dim),
            nn.BatchNorm1d(self.dim, affine=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.output_layer(self.body(self.input_layer(x)))  # type: ignore[no-any-return]
