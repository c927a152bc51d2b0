"""The whole of params.yaml as frozen models. Nothing has a default: a params file is complete."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Workers = Literal["auto"] | Annotated[int, Field(ge=0)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: object) -> object:
        """No knob is true or false, and pydantic would read them as 1 and 0."""
        if isinstance(value, bool):
            raise ValueError("should be a number or a word, not true or false")
        return value


class Sample(Section):
    """The drawn people and scenes."""

    people: Count
    """Identities to draw."""
    photos: Count
    """Photos of each."""
    scenes: Annotated[int, Field(ge=0)]
    """Pictures with 0 to 12 faces for the detectors."""


class Preprocess(Section):
    """Photos to faces: which face is taken, what is turned away, and who goes into which split."""

    pick: Literal["central_largest", "largest", "most_confident", "all"]
    """Which face of a photo with several; `all` keeps each (file names get `_face1`, ...)."""
    min_confidence: Fraction
    """Detector score under which a face is turned away."""
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


class Optimizer(Section):
    name: Literal["adam", "adamw"]
    weight_decay: NotNegative


class Scheduler(Section):
    """`plateau` follows val_loss; `cosine` goes from lr to min_lr over all epochs, after a linear warm-up."""

    name: Literal["plateau", "cosine"]
    factor: Annotated[float, Field(gt=0, lt=1)]
    """plateau: what lr is multiplied with."""
    patience: Annotated[int, Field(ge=0)]
    """plateau: epochs without a lower val_loss before that."""
    min_lr: NotNegative
    """The lowest lr of either schedule."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """cosine: fraction of all steps in which lr rises from 0."""


class Augment(Section):
    """What a training face goes through, drawn anew every epoch."""

    flip: Fraction
    """Probability of a mirror image."""
    rotation: Annotated[float, Field(ge=0, le=180)]
    """Largest angle in degrees, either way."""
    brightness: NotNegative
    contrast: NotNegative
    saturation: NotNegative
    """Largest relative change of each."""
    shift: Annotated[float, Field(ge=0, lt=1)]
    """Largest shift as a fraction of the side."""
    scale: Annotated[float, Field(ge=0, lt=1)]
    """Largest relative change of size."""
    erase: Fraction
    """Probability that a rectangle of a tenth to a third of each side is filled with noise."""


class Trainer(Section):
    accelerator: Literal["auto", "cpu", "gpu"]
    precision: Literal[32, "bf16"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    early_stopping: Annotated[int, Field(ge=0)]
    """Epochs without a better val_acc (or an equal one with a lower val_loss) before training ends; 0 never."""
    num_workers: Workers
    """Processes that prepare batches; auto: as many as pay off on this machine."""


class Evaluate(Section):
    fars: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)]
    """False accept rates at which the verification rate is reported."""
    bootstrap: Annotated[int, Field(ge=0)]
    """Resamples of identities for the 95 % intervals; 0 leaves them out."""
    max_faces: Annotated[int, Field(ge=2)]
    """Faces of a split that are compared pair by pair; of a larger split people are drawn."""


class Parameters(Section):
    """Every knob. Those that people turn lie flat, so that `dvc exp run -S lr=0.001` works as typed."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: str
    """The data set: a folder with recognition/people/<identity>/<photo>, inside the repository."""
    detector: Literal["mtcnn"]
    img_size: Annotated[int, Field(ge=32, le=1024)]
    """Side of an aligned face in px."""
    model_name: str
    """The backbone; `faceline_core.models.backbones` lists them."""
    weights: str
    """none, pretrained (the publisher's, downloaded once), or a file."""
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    lr: Positive
    freeze_ratio: Fraction
    """The first floor(ratio x n) layers of the backbone stay as they are."""
    classes: list[str] | None
    """Train on these people, in this order; null takes those found."""
    sample: Sample
    preprocess: Preprocess
    optimizer: Optimizer
    scheduler: Scheduler
    augment: Augment
    trainer: Trainer
    evaluate: Evaluate

    @field_validator("classes")
    @classmethod
    def _each_once(cls, classes: list[str] | None) -> list[str] | None:
        twice = [name for name in classes or [] if (classes or []).count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]} stands there twice")
        return classes
