"""What of a face is visible, told from its feature map."""

from torch import Tensor, nn

_WIDTH = 128


class OcclusionHead(nn.Module):
    """Feature maps (N, C, h, w), as the backbone gives them, to visibility (N, 1, h, w) float32: 1 visible, 0 occluded.

    Conv 3x3 to 128, BatchNorm, ReLU, conv 1x1 to 1, sigmoid. The sigmoid is float32 under autocast too: in bfloat16 it
    is 1 from 6 on, and its gradient 0.

    Args:
        channels: C.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, _WIDTH, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(_WIDTH)
        self.out = nn.Conv2d(_WIDTH, 1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.out(self.bn(self.conv(maps)).relu())
        return logits.float().sigmoid()
