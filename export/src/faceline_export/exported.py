"""The recogniser as applications call it."""

from torch import Tensor, nn

from faceline_core.models.recogniser import Recogniser


class ExportedRecogniser(nn.Module):
    """Faces as image libraries hold them, straight to answers.

    `forward(images)`: aligned faces (N, H, W, 3), uint8 or float, RGB in [0, 255], to probabilities (N, C), unit
    embeddings (N, D) and the norms (N, 1) that the embeddings had. Normalisation is inside.
    """

    def __init__(self, recogniser: Recogniser):
        super().__init__()
        self.recogniser = recogniser

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.recogniser.recognise(images.permute(0, 3, 1, 2))
