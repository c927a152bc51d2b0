"""FaceNet's Inception-ResNet v1 as facenet-pytorch has it, without the scaling to unit length at its end."""

from facenet_pytorch import InceptionResnetV1
from torch import Tensor


class FaceNet(InceptionResnetV1):  # type: ignore[misc]
    """Faces (N, 3, S, S) to features (N, 512), before they are scaled to unit length; published weights are for 160."""

    dim = 512

    def __init__(self) -> None:
        super().__init__(pretrained=None, classify=False)

    def forward(self, x: Tensor) -> Tensor:
        for name, layer in self.named_children():  # registered in the order in which they run
            x = layer(x.flatten(1) if name == "last_linear" else x)
        return x
