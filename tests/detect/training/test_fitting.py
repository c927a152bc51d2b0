"""A few drawn faces are learnt by heart, with either family of losses."""

import cv2
import numpy as np
import pytest
import torch

from faceline_detect.retinaface import RetinaFace, anchors, normalised
from faceline_detect.retinaface.searching import RetinaFaceSearch, Search
from faceline_detect.training.losses import DetectionLoss
from faceline_detect.training.targets import Target

SIDE = 96


def drawn(seed):
    """A picture (96, 96, 3) with an oval face of five dots, and its label."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), rng.integers(0, 110, 3), np.uint8)
    height = int(rng.integers(24, 60))
    width, (x, y) = round(0.8 * height), rng.integers(2, SIDE - height - 2, 2)
    cv2.ellipse(picture, ((x + width / 2, y + height / 2), (width, height), 0), rng.integers(150, 256, 3).tolist(), -1)
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * (width, height) + (x, y)
    for px, py in points:
        cv2.circle(picture, (round(px), round(py)), max(1, height // 14), (0, 0, 0), -1)
    boxes = torch.tensor([[x, y, x + width, y + height]], dtype=torch.float32)
    return picture, Target(boxes, torch.tensor(points[None], dtype=torch.float32), torch.zeros(1, dtype=torch.bool))


@pytest.mark.parametrize("loss", ["focal_iou", "ohem_smooth_l1"])
def test_learnt_by_heart(parameters_with, loss):
    torch.manual_seed(0)
    settings = parameters_with(("detect",), {"detect.retinaface.loss": loss}).detect.retinaface
    pictures, labels = zip(*(drawn(seed) for seed in range(4)), strict=True)
    network, losses, grid = RetinaFace("mobilenet0.25"), DetectionLoss(settings), anchors(SIDE, SIDE)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    images = normalised(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))
    history = []
    for _ in range(50):
        parts = losses(network(images), grid, labels)
        optimiser.zero_grad()
        parts["total"].backward()
        optimiser.step()
        history.append({name: value.item() for name, value in parts.items()})
    for part in ("class", "box", "landmarks", "total"):
        assert history[-1][part] < 0.3 * history[0][part], part
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # its statistics are still those of the first steps
    with torch.no_grad():
        network(images)
    for faces, label in zip(RetinaFaceSearch(network, Search(confidence=0.5)).detect(pictures), labels, strict=True):
        assert len(faces) == 1
        assert np.abs(faces[0].box - label.boxes[0].numpy()).max() < 8
        assert np.abs(faces[0].landmarks - label.landmarks[0].numpy()).max() < 8
