"""What tests of the stage share: a few drawn scenes, drawn once, and networks of random weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from faceline_detect.retinaface import RetinaFace


@pytest.fixture(scope="session")
def drawn_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images/ and label.txt: ten drawn scenes."""
    from faceline_sample.dataset import draw_dataset

    folder = tmp_path_factory.mktemp("scenes") / "sample"
    draw_dataset(people=1, photos=1, scenes=10, seed=4, out=folder, processes=1)
    return folder / "detection"


@pytest.fixture(scope="session")
def lively() -> Callable[..., RetinaFace]:
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
