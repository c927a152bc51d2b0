"""The whole of params.yaml as frozen models. Nothing has a default: a params file is complete."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from faceline_core.parameters.detection import Detect
from faceline_core.parameters.metric import Local, LossWeights, Occlusion, Validation
from faceline_core.parameters.section import Count, Fraction, NotNegative, Occluder, Positive, Section, Workers
from faceline_core.parameters.training import (
    Augment,
    Checkpoint,
    Dataset,
    EarlyStopping,
    Logging,
    Loss,
    Optimizer,
    Optuna,
    Scheduler,
    Trainer,
)


class Sample(Section):
    """The drawn people and scenes."""

    people: Count
    """Identities to draw."""
    photos: Count
    """Photos of each."""
    scenes: Annotated[int, Field(ge=0)]
    """Pictures with 0 to 12 faces for the detectors."""
    occluded: Fraction
    """Of the photos: how many have an occluder."""
    occluders: Annotated[list[Occluder], Field(min_length=1)]
    """The kinds that are drawn over photos, each as often as it stands there."""


class Preprocess(Section):
    """Photos to faces: which face is taken, what is turned away, and who goes into which split."""

    pick: Literal["central_largest", "largest", "most_confident", "all"]
    """Which face of a photo with several; `all` keeps each (file names get `_face1`, ...)."""
    min_confidence: Literal["auto"] | Fraction
    """Detector score under which a face is turned away; auto: 0.9 for mtcnn, and for a detector of the detect stage
    what that recorded as `detect.test.working_confidence`."""
    min_face_height: NotNegative
    """Height of the box in px under which a face is turned away."""
    min_sharpness: NotNegative
    """Variance of the Laplacian of the aligned grey crop under which a face is turned away; 0 takes all."""
    exposure: tuple[Annotated[float, Field(ge=0, le=255)], Annotated[float, Field(ge=0, le=255)]]
    """Lowest and highest mean grey level (0..255) of an aligned crop."""
    max_asymmetry: Fraction
    """Pose: difference of the nose's distances to both eyes over their sum; 0 frontal, 1 takes all."""
    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)] | None
    """Photos whose 64-bit difference hashes differ in at most this many bits are near-duplicates; null: do not look."""
    blur_levels: list[NotNegative]
    """Gaussian sigmas in px of the aligned crop; each above 0 writes a copy `<photo>_blur<level>.jpg` as well."""
    unseen_identities: Annotated[float, Field(ge=0, lt=1)]
    """Fraction of people held back whole: half for choosing (unseen_val), half for reporting (unseen)."""
    val_ratio: Annotated[float, Field(ge=0, lt=1)]
    """Fraction of each known person's photos for validation."""
    test_ratio: Annotated[float, Field(ge=0, lt=1)]
    """Fraction of each known person's photos for the test."""
    min_photos: Annotated[int, Field(ge=2)]
    """People with fewer usable photos are left out, and listed."""
    format: Literal["folder", "recordio"]
    """A folder for each person with a file for each face, or one RecordIO file for each split."""
    num_workers: Workers
    """Worker processes, one thread each; auto: one a core."""

    @model_validator(mode="after")
    def _consistent(self) -> "Preprocess":
        if self.exposure[0] >= self.exposure[1]:
            raise ValueError(
                f"exposure: the lower bound {self.exposure[0]:g} is not below the upper {self.exposure[1]:g}"
            )
        if self.val_ratio + self.test_ratio >= 1:
            raise ValueError(
                f"val_ratio + test_ratio is {self.val_ratio + self.test_ratio:g}: nothing would be left to train on"
            )
        return self


class Evaluate(Section):
    fars: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)]
    """False accept rates at which the verification rate is reported."""
    bootstrap: Annotated[int, Field(ge=0)]
    """Resamples of identities for the 95 % intervals; 0 leaves them out."""
    max_faces: Annotated[int, Field(ge=2)]
    """Faces of a split that are compared pair by pair; of a larger split people are drawn."""
    rerank_top: Annotated[int, Field(ge=0)]
    """Of each probe's gallery, ranked by embedding, how many the matcher ranks anew; 0 none."""
    flip: bool
    """Whether an embedding is the mean of those of a face and of its mirror image."""


class Parameters(Section):
    """Every knob. Those that people turn lie flat, so that `dvc exp run -S lr=0.001` works as typed."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: str
    """The data set: a folder with recognition/people/<identity>/<photo>, inside the repository."""
    detector: Literal["mtcnn", "retinaface", "yolo", "fused"]
    """What finds the faces of photos; all but mtcnn are trained by the detect stage."""
    img_size: Annotated[int, Field(ge=32, le=1024)]
    """Side of an aligned face in px."""
    model_name: str
    """The backbone: a name of models.yaml, ir_50, mobilefacenet, inception_resnet_v1, a torchvision network, or
    timm/<name>; `faceline-train --models` lists them."""
    weights: str
    """none, pretrained (the publisher's, downloaded once), vggface2 or casia-webface, or a file."""
    weights_strict: bool
    """Whether weights of which fewer than 90 % fit are an error."""
    head: Literal["softmax", "arcface", "cosface", "adaface"]
    feature_map: Literal[7, 14]
    """What the matcher and the occlusion head see: 7 the backbone's last feature map (7 x 7 of 112 px in a face
    network), 14 the last one of the next finer resolution."""
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    """Faces of a step, over all devices."""
    lr: Positive
    freeze_ratio: Fraction | bool
    """The first floor(ratio x n) layers of the backbone stay as they are; true is 1, false is 0."""
    classes: list[str] | None
    """Train on these people, in this order; null takes those found."""
    ckpt_path: str | None
    """A checkpoint to go on from, instead of where this run was stopped."""
    only_weights_load: bool
    """Take the weights of `ckpt_path` alone, and start at epoch 1 with a fresh optimizer."""
    run_name: str | None
    """Keeps a copy of the run as artifacts/runs/<run_name>_<month>-<day>_<counter>."""
    sample: Sample
    detect: Detect
    preprocess: Preprocess
    dataset: Dataset
    optimizer: Optimizer
    scheduler: Scheduler
    loss: Loss
    loss_weights: LossWeights
    local: Local
    occlusion: Occlusion
    augment: Augment
    trainer: Trainer
    validation: Validation
    early_stopping: EarlyStopping
    checkpoint: Checkpoint
    logging: Logging
    optuna: Optuna
    evaluate: Evaluate

    @field_validator("run_name")
    @classmethod
    def _a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[\w.-]{1,100}", name.lstrip(".") or "/"):
            raise ValueError("should be up to 100 letters, digits, dots, dashes and underscores, and no path")
        return name

    @field_validator("freeze_ratio")
    @classmethod
    def _as_fraction(cls, ratio: float) -> float:
        return float(ratio)

    @field_validator("classes")
    @classmethod
    def _each_once(cls, classes: list[str] | None) -> list[str] | None:
        twice = [name for name in classes or [] if (classes or []).count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]} stands there twice")
        return classes

    @model_validator(mode="after")
    def _go_together(self) -> "Parameters":
        if self.only_weights_load and self.ckpt_path is None:
            raise ValueError("only_weights_load: true takes the weights of ckpt_path, which is null. Name a checkpoint")
        if self.dataset.sampler != "shuffle" and self.loss.balance == "sampling":
            raise ValueError(
                f"loss.balance: sampling draws people evenly, as dataset.sampler: {self.dataset.sampler} does. "
                "Set one of them back, loss.balance: none or dataset.sampler: shuffle"
            )
        if self.dataset.sampler != "shuffle" and self.batch_size % self.dataset.instances_per_identity:
            k = self.dataset.instances_per_identity
            low = max(2, self.batch_size // k) * k
            raise ValueError(
                f"batch_size {self.batch_size} is no multiple of dataset.instances_per_identity {k}. "
                f"Set batch_size to {low} or {low + k}"
            )
        highest = self.lr * (self.scheduler.max_lr_factor if self.scheduler.name == "cosine" else 1)
        if self.scheduler.name != "multistep" and self.scheduler.min_lr > highest:
            raise ValueError(f"scheduler.min_lr {self.scheduler.min_lr:g} is above lr {highest:g}. Lower it")
        return self

    @model_validator(mode="after")
    def _losses_go_together(self) -> "Parameters":
        weights, start = self.loss_weights, self.local.start_epoch
        by_columns = None
        if self.dataset.sampler == "graph":
            by_columns = "dataset.sampler: graph"
        elif self.local.class_memory and weights.local:
            by_columns = "local.class_memory: true"
        if by_columns and not weights.identity:
            raise ValueError(
                f"{by_columns} takes the nearest people by the head's columns, which loss_weights.identity: 0 leaves "
                "untrained. Raise loss_weights.identity"
            )
        if weights.local and start >= self.epochs:
            raise ValueError(
                f"local.start_epoch {start} is not below epochs {self.epochs}: the matcher would never be trained. "
                "Lower it, or set loss_weights.local: 0"
            )
        if start and not (weights.identity or weights.occlusion):
            raise ValueError(
                f"local.start_epoch {start} leaves nothing to train before it where only loss_weights.local is above "
                "0. Set local.start_epoch: 0"
            )
        if not weights.identity and self.validation.split == "val":
            raise ValueError(
                "validation.split: val measures how known people are named, which loss_weights.identity: 0 leaves "
                "untrained. Set validation.split: unseen_val"
            )
        if self.trainer.compile and (weights.local or weights.occlusion):
            raise ValueError(
                "trainer.compile: true gives no feature maps, which loss_weights.local and loss_weights.occlusion "
                "need. Set it to false"
            )
        return self
