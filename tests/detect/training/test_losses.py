"""Both families of losses against plain ones, anchor by anchor, and what must never reach them."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import complete_box_iou_loss, generalized_box_iou_loss

from faceline_core.parameters.detection import RetinaFaceSettings
from faceline_detect.retinaface import Outputs, anchors
from faceline_detect.retinaface.coding import decode_boxes
from faceline_detect.training.losses import DetectionLoss
from faceline_detect.training.matching import match
from faceline_detect.training.targets import Target

FOCAL, MINED = {"loss": "focal_iou"}, {"loss": "ohem_smooth_l1"}
SIDE = 64
GRID = anchors(SIDE, SIDE)


@pytest.fixture
def settings(parameters_with):
    """A function: detect.retinaface of params.yaml with some values changed."""

    def read(**changes) -> RetinaFaceSettings:
        changed = {f"detect.retinaface.{name}": value for name, value in changes.items()}
        return parameters_with(("detect",), changed).detect.retinaface

    return read


def targets(seed=0, known=0.5):
    """Of a picture of several faces, some without landmarks, one ignored; of one with a single face; of one without."""
    random = torch.Generator().manual_seed(seed)
    found = []
    for count in (6, 1, 0):
        corners = torch.rand(count, 2, generator=random) * 40
        sizes = 12 + torch.rand(count, 1, generator=random) * 30
        landmarks = corners[:, None] + torch.rand(count, 5, 2, generator=random) * sizes[:, None]
        landmarks[torch.rand(count, generator=random) > known] = torch.nan
        ignore = torch.arange(count) == 3
        found.append(Target(torch.cat([corners, corners + sizes], 1), landmarks, ignore))
    return found


def outputs(pictures=3, seed=1):
    random = torch.Generator().manual_seed(seed)
    return Outputs(
        *(torch.randn(pictures, len(GRID), width, generator=random).requires_grad_() for width in (2, 4, 10))
    )


def plain_class(parameters, given, matched):
    """Eq. 5 of arXiv 1708.02002, or cross-entropy of faces and of each picture's hardest background."""
    total = 0.0
    for picture, row in zip(given.logits, matched, strict=True):
        background = []
        for (nothing, face), which in zip(picture.tolist(), row.tolist(), strict=True):
            p = 1 / (1 + math.exp(nothing - face))
            if parameters.loss == "focal_iou" and which != -2:
                right, weight = (p, parameters.alpha) if which >= 0 else (1 - p, 1 - parameters.alpha)
                total -= weight * (1 - right) ** parameters.gamma * math.log(right)
            elif which >= 0:
                total -= math.log(p)
            elif which == -1:
                background.append(-math.log(1 - p))
        faces = int((row >= 0).sum())
        if parameters.loss == "ohem_smooth_l1":
            total += sum(sorted(background, reverse=True)[: parameters.negatives * max(faces, 1)])
    return total


def plain_rest(parameters, given, matched, labels):
    """Sums over anchors of the boxes' and of the landmarks' losses, and how many anchors have landmarks."""
    boxes = points = with_points = 0.0
    for picture, anchor in (matched >= 0).nonzero().tolist():
        label, face = labels[picture], matched[picture, anchor]
        x, y, width, height = GRID[anchor].tolist()
        left, top, right, bottom = label.boxes[face].tolist()
        if parameters.loss == "focal_iou":
            loss = {"giou": generalized_box_iou_loss, "ciou": complete_box_iou_loss}[parameters.iou]
            decoded = decode_boxes(given.boxes[picture, anchor], GRID[anchor])
            boxes += parameters.lambda_reg * loss(decoded[None], label.boxes[face][None])[0].item()
        else:
            wanted = [((left + right) / 2 - x) / (0.1 * width), ((top + bottom) / 2 - y) / (0.1 * height)]
            wanted += [math.log((right - left) / width) / 0.2, math.log((bottom - top) / height) / 0.2]
            boxes += 2 * F.smooth_l1_loss(given.boxes[picture, anchor], torch.tensor(wanted), reduction="sum").item()
        if not label.landmarks[face].isnan().any():
            wanted = [
                [(px - x) / (0.1 * width), (py - y) / (0.1 * height)] for px, py in label.landmarks[face].tolist()
            ]
            found = given.landmarks[picture, anchor].view(5, 2)
            points += F.smooth_l1_loss(found, torch.tensor(wanted), reduction="sum").item()
            with_points += 1
    return boxes, parameters.lambda_landmarks * points, with_points


@pytest.mark.parametrize(
    "changes",
    [
        FOCAL | {"iou": "ciou", "lambda_reg": 1.0, "lambda_landmarks": 1.0},
        FOCAL | {"iou": "giou", "lambda_reg": 2.5, "alpha": 0.4, "gamma": 1.5, "lambda_landmarks": 0.1},
        MINED | {"negatives": 7, "lambda_landmarks": 1.0},
        MINED | {"negatives": 2, "lambda_landmarks": 0.3},
    ],
)
def test_as_the_papers_read(settings, changes):
    parameters, given, labels = settings(**changes), outputs(), targets()
    matched = torch.stack([match(label, GRID) for label in labels])
    assert (matched == -2).any()
    faces = int((matched >= 0).sum())
    boxes, points, with_points = plain_rest(parameters, given, matched, labels)
    assert 0 < with_points < faces
    expected = {
        "class": plain_class(parameters, given, matched) / faces,
        "box": boxes / faces,
        "landmarks": points / with_points,
    }
    expected["total"] = sum(expected.values())
    found = DetectionLoss(parameters)(given, GRID, labels)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("changes", [FOCAL, MINED])
def test_pictures_without_faces(settings, changes):
    given, empty = outputs(2), targets()[2]
    found = DetectionLoss(settings(**changes))(given, GRID, [empty, empty])
    assert found["class"] > 0
    assert found["box"] == found["landmarks"] == 0
    gradients = torch.autograd.grad(found["total"], given, allow_unused=True, materialize_grads=True)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0].abs().sum() > 0
    assert gradients[1].abs().sum() == gradients[2].abs().sum() == 0
    background = (gradients[0].abs().sum(2) > 0).sum(1).tolist()
    assert background == ([7, 7] if changes is MINED else [len(GRID)] * 2)


@pytest.mark.parametrize("changes", [FOCAL | {"iou": "iou"}, FOCAL | {"iou": "giou"}, FOCAL | {"iou": "ciou"}, MINED])
def test_unknown_landmarks_and_boxes_of_no_size_reach_no_gradient(settings, changes):
    given = outputs(1)
    boxes = torch.tensor([[8.0, 8, 30, 34], [20, 20, 20, 20], [40, 40, 40, 60], [50, 50, 40, 40]])
    label = Target(boxes, torch.full((4, 5, 2), torch.nan), torch.zeros(4, dtype=torch.bool))
    label.landmarks[0, :4] = 10.0  # the fifth point is not known
    found = DetectionLoss(settings(**changes))(given, GRID, [label])
    gradients = torch.autograd.grad(found["total"], given)
    assert all(value.isfinite() for value in found.values())
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert found["landmarks"] == 0
    assert gradients[2].abs().sum() == 0
    assert gradients[1].abs().sum() > 0


@pytest.mark.parametrize("changes", [FOCAL, MINED])
def test_anchors_of_neither_have_no_say(settings, changes):
    given, labels = outputs(), targets()
    neither = torch.stack([match(label, GRID) for label in labels]) == -2
    (gradient,) = torch.autograd.grad(DetectionLoss(settings(**changes))(given, GRID, labels)["total"], given.logits)
    assert gradient[neither].abs().sum() == 0


@pytest.mark.parametrize("changes", [FOCAL | {"gamma": 0.5}, FOCAL | {"gamma": 0.0}, MINED])
def test_what_the_network_is_certain_of_stays_finite(settings, changes):
    given, labels = outputs(), targets()
    for sign in (-1, 1):
        certain = given._replace(
            logits=(given.logits.detach() * 0 + torch.tensor([sign, -sign]) * 500).requires_grad_()
        )
        found = DetectionLoss(settings(**changes))(certain, GRID, labels)["total"]
        assert found.isfinite()
        assert torch.autograd.grad(found, certain.logits)[0].isfinite().all()


@pytest.mark.parametrize("changes", [FOCAL, MINED])
def test_in_float32_whatever_the_precision(settings, changes):
    given, labels = outputs(), targets()
    expected = DetectionLoss(settings(**changes))(given, GRID, labels)
    with torch.autocast("cpu", torch.bfloat16):
        found = DetectionLoss(settings(**changes))(given, GRID, labels)
    assert found == expected
    half = DetectionLoss(settings(**changes))(Outputs(*(one.bfloat16() for one in given)), GRID, labels)
    assert half["total"].dtype == torch.float32


ONE_OF_TWO = """
import sys, torch
from faceline_core.parameters.detection import RetinaFaceSettings
from faceline_detect.retinaface import Outputs
from faceline_detect.training.losses import DetectionLoss
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
both_settings, grid, given, labels = torch.load(f"{folder}/given.pt", weights_only=False)
mine, found = slice(0, 1) if rank == 0 else slice(1, 3), []
for settings in both_settings:
    own = Outputs(*(one[mine].requires_grad_() for one in given))
    loss = DetectionLoss(settings)
    total = loss(own, grid, labels[mine])["total"]
    gradients = torch.autograd.grad(total * len(labels[mine]) / len(labels), own)
    alone = loss.eval()(own, grid, labels[mine])["total"]  # in validation nobody waits for the others
    found.append((total.detach(), alone.detach(), gradients))
torch.save(found, f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_have_the_loss_and_the_gradients_of_one(settings, tmp_path):
    """One of them has a picture of six faces, the other one of a face and one of none."""
    families, given, labels = [settings(**changes) for changes in (FOCAL, MINED)], outputs(), targets(known=0.8)
    torch.save((families, GRID, [one.detach() for one in given], labels), tmp_path / "given.pt")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen([sys.executable, "-c", ONE_OF_TWO, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    for family, first, second in zip(families, *(torch.load(tmp_path / f"{rank}.pt") for rank in "01"), strict=True):
        loss = DetectionLoss(family)
        total = loss(given, GRID, labels)["total"]
        torch.testing.assert_close((first[0] + 2 * second[0]) / 3, total.detach())
        for whole, *parts in zip(torch.autograd.grad(total, given), first[2], second[2], strict=True):
            torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-7)
        for (_, alone, _), mine in ((first, slice(0, 1)), (second, slice(1, 3))):
            expected = loss.eval()(Outputs(*(one[mine] for one in given)), GRID, labels[mine])["total"]
            torch.testing.assert_close(alone, expected.detach())
