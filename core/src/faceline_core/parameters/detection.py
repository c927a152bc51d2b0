"""The section of params.yaml that steers the detect stage, as frozen models."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from faceline_core.parameters.section import Count, Fraction, NotNegative, Positive, Section

Side = Annotated[int, Field(ge=64, le=4096, multiple_of=32)]


class DetectAugment(Section):
    """What a training picture of RetinaFace goes through, drawn anew every epoch."""

    scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]]
    """Smallest and largest side of the square that is cut out, as a fraction of the picture's shorter side."""
    flip: Fraction
    """How often it is mirrored."""
    rotate: Annotated[float, Field(ge=0, le=45)]
    """Most degrees that it is turned, either way."""
    brightness: Fraction
    contrast: Fraction
    """Most that either changes, as a fraction."""
    blur: Fraction
    """How often it is blurred."""
    jpeg: Fraction
    """How often it is compressed until it shows."""
    mosaic: Fraction
    """How often four pictures share one."""

    @model_validator(mode="after")
    def _consistent(self) -> "DetectAugment":
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale: the smaller bound {self.scale[0]:g} is above the larger {self.scale[1]:g}")
        return self


class RetinaFaceSettings(Section):
    """The RetinaFace that is trained."""

    backbone: Literal["mobilenet0.25", "resnet50"]
    weights: str
    """none, pretrained (resnet50: torchvision's of ImageNet, downloaded once), or a file (RetinaFace or backbone)."""
    side: Side
    """Of the squares that it is trained on, px."""
    epochs: Annotated[int, Field(ge=0)]
    """0 trains nothing: `weights` is the detector."""
    batch_size: Count
    """Pictures of a step, over all devices."""
    lr: Positive
    optimizer: Literal["adamw", "sgd"]
    weight_decay: NotNegative
    momentum: Annotated[float, Field(ge=0, lt=1)]
    """sgd."""
    schedule: Literal["cosine", "steps"]
    """After the warm-up lr falls along half a cosine, or to a tenth at each of `milestones`."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """Fraction of all steps in which lr rises to its top."""
    milestones: list[Count]
    """steps: after how many epochs lr falls."""
    loss: Literal["focal_iou", "ohem_smooth_l1"]
    """Focal loss and 1 - IoU, or cross-entropy with the hardest negatives and smooth L1; landmarks in both."""
    iou: Literal["iou", "giou", "ciou"]
    """focal_iou: of boxes."""
    lambda_reg: NotNegative
    """focal_iou: weight of 1 - IoU."""
    lambda_landmarks: NotNegative
    """Weight of the landmarks' smooth L1."""
    alpha: Fraction
    """focal_iou: weight of faces against background."""
    gamma: NotNegative
    """focal_iou: how little what is easily told weighs."""
    negatives: Count
    """ohem_smooth_l1: how many anchors of background for each of a face."""
    patience: Annotated[int, Field(ge=0)]
    """Epochs without a better average precision before training ends; 0 never."""
    augment: DetectAugment

    @field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: list[int]) -> list[int]:
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("each must be later than the one before it")
        return milestones

    @model_validator(mode="after")
    def _consistent(self) -> "RetinaFaceSettings":
        if self.epochs == 0 and self.weights in ("none", "pretrained"):
            raise ValueError(f"epochs: 0 trains nothing, and weights: {self.weights} is no detector. Name a file")
        if self.weights == "pretrained" and self.backbone == "mobilenet0.25":
            raise ValueError("weights: pretrained is there for resnet50 alone. Set weights: none, or name a file")
        return self


class YoloSettings(Section):
    """The YOLO that ultralytics trains; faceline-detect[yolo]."""

    model: str
    """A yaml of ultralytics', as yolo11n.yaml, or a file: weights (.pt) or a yaml of yours."""
    landmarks: bool
    """Whether it learns the five landmarks as well (pose)."""
    side: Side
    epochs: Annotated[int, Field(ge=0)]
    """0 trains nothing: `model` is the detector."""
    batch_size: Count
    lr: Positive
    """At the top of its schedule."""
    patience: Annotated[int, Field(ge=0)]
    """Epochs without better figures before training ends; 0 never."""
    mosaic: Fraction
    """How often four pictures share one."""

    @model_validator(mode="after")
    def _consistent(self) -> "YoloSettings":
        if self.epochs == 0 and not self.model.endswith(".pt"):
            raise ValueError(f"epochs: 0 trains nothing, and model: {self.model} holds no weights. Name a .pt file")
        return self


class Fusion(Section):
    """How the faces of RetinaFace and YOLO become one list."""

    method: Literal["boxes", "soft_nms"]
    """Weighted boxes fusion, or soft non-maximum suppression of all of them."""
    iou_threshold: Fraction
    """Boxes that overlap by more than this are one face."""
    weights: dict[Literal["mtcnn", "retinaface", "yolo"], Positive]
    """Which detectors, and what the scores of each count for."""
    conf_type: Literal["max", "avg"]
    """The score of a fused face: the highest, or the mean over all detectors, also those that did not see it."""
    confidence_threshold: Fraction
    """Faces under this score are left out before."""

    @field_validator("weights")
    @classmethod
    def _two(cls, weights: dict[str, float]) -> dict[str, float]:
        if len(weights) < 2:
            raise ValueError("should name two detectors or more")
        return weights


class DetectSearch(Section):
    """How pictures are searched with a RetinaFace. With a YOLO they are searched at the side that it is trained for."""

    short_side: Annotated[int, Field(ge=32)] | None
    """Pictures are brought to this shorter side, px; null leaves them as they are."""
    long_side: Annotated[int, Field(ge=32)] | None
    """The longer side that `short_side` may not make longer, px."""
    scales: Annotated[list[Positive], Field(min_length=1)]
    """Pictures are searched at each of these sizes, and the faces merged."""
    flip: bool
    """The mirrored picture is searched as well."""
    precision: Literal[32, "bf16"]
    """Of all of the network but its heads; bf16 is faster where the machine computes in it."""

    @field_validator("scales")
    @classmethod
    def _rising(cls, scales: list[float]) -> list[float]:
        if any(later <= earlier for earlier, later in pairwise(scales)):
            raise ValueError("each must be larger than the one before it")
        return scales


class DetectTest(DetectSearch):
    """How detectors are measured; its search is also the one that RetinaFace's best epoch is chosen with."""

    confidence: Fraction
    """Faces under this score are not reported; average precision wants it low."""
    working_confidence: Fraction
    """The score that precision, recall, F1 and pictures are given for, and with which others search."""
    nms: Fraction
    """Of two boxes that overlap by more, the one of the lower score goes; also where others search."""
    official_lists: str | None
    """A folder with WIDER FACE's wider_{easy,medium,hard}_val.mat; null tells easy from hard by the height of faces."""


class Detect(Section):
    """Scenes with labelled faces to detectors."""

    data: str
    """The folder, inside the repository, that holds all labels and pictures."""
    scenes: str
    """In it, labels to train with: a file, or a folder with one; docs/annotations.md says which. `.` is itself."""
    val_scenes: str | None
    """In it, labels to choose the best epoch with; null holds back `val_ratio` of `scenes`."""
    test_scenes: str | None
    """In it, labels to measure on; null holds back `test_ratio` of `scenes`."""
    val_ratio: Annotated[float, Field(gt=0, lt=1)]
    test_ratio: Annotated[float, Field(gt=0, lt=1)]
    skip_bad: bool
    """Whether wrong labels and missing images are left out and counted; false stops at the first."""
    train: list[Literal["retinaface", "yolo"]]
    """The detectors to train; MTCNN needs none."""
    retinaface: RetinaFaceSettings
    yolo: YoloSettings
    fusion: Fusion
    search: DetectSearch
    """How others search: preprocess, predict."""
    test: DetectTest

    @model_validator(mode="after")
    def _consistent(self) -> "Detect":
        if self.val_ratio + self.test_ratio >= 1:
            raise ValueError(
                f"val_ratio + test_ratio is {self.val_ratio + self.test_ratio:g}: nothing would be left to train on"
            )
        return self
