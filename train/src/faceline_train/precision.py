"""What precisions are tried on: a step over faces that are noise."""

import torch
from torch import Tensor
from torch.nn import functional as F

from faceline_core.models.recogniser import Recogniser

_FACES = 16


class RecogniserTrial:
    """A `faceline_core.training.precision.Trial`: the identity loss on a part of a batch.

    Args:
        recogniser: as it will be trained.
        batch_size: of the run.
    """

    def __init__(self, recogniser: Recogniser, batch_size: int):
        self.network = recogniser
        self.faces = min(batch_size, _FACES)
        self.facts = (recogniser.spec.as_dict(), batch_size)

    def inputs(self, device: torch.device) -> Tensor:
        side = self.network.img_size
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (self.faces, side, side, 3), dtype=torch.uint8, generator=generator)
        return images.permute(0, 3, 1, 2).to(device)

    def loss(self, network: Recogniser, inputs: Tensor) -> Tensor:
        labels = torch.arange(len(inputs), device=inputs.device) % len(network.classes)
        return F.cross_entropy(network(inputs, labels).float(), labels)

    def outputs(self, network: Recogniser, inputs: Tensor) -> Tensor:
        return network.features(inputs)
