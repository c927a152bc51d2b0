"""Networks that the tests of RetinaFace share."""

import pytest
import torch

from faceline_detect.retinaface import RetinaFace


@pytest.fixture(scope="session")
def lively():
    """A function that builds a network of random weights whose outputs differ from place to place."""

    def build(backbone: str = "mobilenet0.25", seed: int = 0) -> RetinaFace:
        torch.manual_seed(seed)
        network = RetinaFace(backbone)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0  # statistics of the one pass below: no map fades out or grows without bounds
                torch.nn.init.normal_(module.bias, std=0.3)
        for head in (*network.ClassHead, *network.BboxHead, *network.LandmarkHead):
            torch.nn.init.normal_(head.conv1x1.weight, std=0.1)
        with torch.no_grad():
            network.train()(100 * torch.randn(2, 3, 96, 96))
        return network.eval()

    return build
