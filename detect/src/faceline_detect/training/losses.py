"""What RetinaFace is trained with: two families of losses, one switch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceline_core.parameters.detection import RetinaFaceSettings
from faceline_core.tensors.adding_up import add_up
from faceline_detect.retinaface.coding import decode_boxes, encode_boxes, encode_landmarks
from faceline_detect.retinaface.network import Outputs
from faceline_detect.training.ious import IOUS
from faceline_detect.training.matching import BACKGROUND, match
from faceline_detect.training.targets import Target

_BOX_WEIGHT = 2.0
"""Of the boxes' smooth L1 against cross-entropy, as the published training has it."""


@dataclass(frozen=True)
class _Lesson:
    """What the anchors of a batch have to learn; P of them have a face."""

    background: Tensor
    """(N, A) bool."""
    positive: Tensor
    """(N, A) bool."""
    boxes: Tensor
    """(P, 4) px, of the positive ones, in their order."""
    landmarks: Tensor
    """(P, 5, 2) px."""
    known: Tensor
    """(P,) bool: whether all five are known."""
    anchors: Tensor
    """(P, 4)."""


class DetectionLoss(nn.Module):
    """`detect.retinaface.loss`.

    focal_iou: sigmoid focal loss of face - background (arXiv 1708.02002, eq. 5), + lambda_reg x (1 - IoU) of the boxes.
    ohem_smooth_l1: cross-entropy of the anchors with a face and, in each picture, of `negatives` times as many of
    background, those with the highest loss; of `negatives` where a picture has no face. + 2 x smooth L1 of the coded
    boxes.
    Both: + lambda_landmarks x smooth L1 of the coded landmarks.

    Class and box are sums over anchors, divided by the batch's anchors with a face, at least 1; landmarks by those with
    a face whose five landmarks are known, at least 1. In training the batch is that of all processes: each divides by
    its pictures' part of what all have, so that the mean over pictures of their losses is that of one process.

    Args:
        settings: loss, iou, alpha, gamma, negatives, lambda_reg, lambda_landmarks.
    """

    def __init__(self, settings: RetinaFaceSettings):
        super().__init__()
        self.settings = settings

    def forward(self, outputs: Outputs, anchors: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The loss of a batch, float32 whatever the precision of the outputs.

        Args:
            outputs: of N pictures.
            anchors: (A, 4) of their size.
            targets: their N labels.

        Returns:
            `total`, and its parts as they add up to it: `class`, `box`, `landmarks`; each ().
        """
        outputs = Outputs(*(one.float() for one in outputs))
        lesson = _lesson(anchors, targets)
        count, with_landmarks = self._counts(lesson)
        coded = outputs.boxes[lesson.positive]
        if self.settings.loss == "focal_iou":
            parts = {
                "class": self._focal(outputs.logits, lesson) / count,
                "box": self.settings.lambda_reg * self._overlaps(coded, lesson) / count,
            }
        else:
            parts = {
                "class": self._mined(outputs.logits, lesson) / count,
                "box": _BOX_WEIGHT * _smooth(coded, encode_boxes(lesson.boxes, lesson.anchors)) / count,
            }
        parts["landmarks"] = self.settings.lambda_landmarks * _of_landmarks(outputs, lesson) / with_landmarks
        return parts | {"total": sum(parts.values(), anchors.new_zeros(()))}

    def _counts(self, lesson: _Lesson) -> Tensor:
        """(2,) what to divide by: anchors with a face, and those of them with known landmarks."""
        pictures = len(lesson.positive)
        whole = F.pad(torch.stack([lesson.positive.sum(), lesson.known.sum()]).float(), (0, 1), value=pictures)
        if self.training:
            add_up(whole)
        return whole[:2].clamp(min=1) * pictures / whole[2]

    def _focal(self, logits: Tensor, lesson: _Lesson) -> Tensor:
        towards_face = logits[..., 1] - logits[..., 0]
        right = torch.where(lesson.positive, towards_face, -towards_face)
        weight = torch.where(lesson.positive, self.settings.alpha, 1 - self.settings.alpha)
        easy = (self.settings.gamma * F.logsigmoid(-right)).exp()  # (1 - p)^gamma, with a gradient also at p = 1
        losses = -weight * easy * F.logsigmoid(right)
        return losses[lesson.positive | lesson.background].sum()

    def _overlaps(self, coded: Tensor, lesson: _Lesson) -> Tensor:
        return (1 - IOUS[self.settings.iou](decode_boxes(coded, lesson.anchors), lesson.boxes)).sum()

    def _mined(self, logits: Tensor, lesson: _Lesson) -> Tensor:
        losses = F.softplus(torch.where(lesson.positive, -1.0, 1.0) * (logits[..., 1] - logits[..., 0]))
        wanted = self.settings.negatives * lesson.positive.sum(1).clamp(min=1)
        hardest = torch.where(lesson.background, losses, 0.0).sort(1, descending=True).values
        taken = torch.arange(hardest.shape[1], device=hardest.device) < wanted[:, None]
        return losses[lesson.positive].sum() + hardest[taken].sum()


def _lesson(anchors: Tensor, targets: Sequence[Target]) -> _Lesson:
    matched = torch.stack([match(target, anchors) for target in targets])
    positive = matched >= 0
    faces = [one[one >= 0] for one in matched]
    device = anchors.device
    landmarks = torch.cat([target.landmarks.to(device)[which] for target, which in zip(targets, faces, strict=True)])
    return _Lesson(
        matched == BACKGROUND,
        positive,
        torch.cat([target.boxes.to(device)[which] for target, which in zip(targets, faces, strict=True)]),
        landmarks,
        landmarks.isfinite().all(-1).all(-1),
        anchors.expand(len(targets), -1, -1)[positive],
    )


def _of_landmarks(outputs: Outputs, lesson: _Lesson) -> Tensor:
    wanted = encode_landmarks(lesson.landmarks[lesson.known], lesson.anchors[lesson.known])
    return _smooth(outputs.landmarks[lesson.positive][lesson.known], wanted)


def _smooth(values: Tensor, wanted: Tensor) -> Tensor:
    return F.smooth_l1_loss(values, wanted, reduction="sum")
