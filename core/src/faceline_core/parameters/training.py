"""The sections of params.yaml that steer training, as frozen models."""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from faceline_core.parameters.section import Count, Fraction, Limit, NotNegative, Occluder, Positive, Section, Workers


class Optimizer(Section):
    """adam and adamw use `betas`, `eps` and `amsgrad`; sgd uses `momentum` and `nesterov`."""

    name: Literal["adam", "adamw", "sgd"]
    weight_decay: NotNegative
    decay_norms_and_biases: bool
    """Whether weight decay pulls at norms and biases as well."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]
    eps: Positive
    amsgrad: bool
    momentum: Annotated[float, Field(ge=0, lt=1)]
    nesterov: bool
    backbone_lr_factor: NotNegative
    """What the backbone's learning rate is multiplied with; the head's is `lr`."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    """Of a running mean of the weights, which is then what is validated and kept; 0 is without."""

    @model_validator(mode="after")
    def _consistent(self) -> "Optimizer":
        if self.name == "sgd" and self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Scheduler(Section):
    """What becomes of lr: `plateau` follows val_loss, `multistep` falls at milestones, `cosine` rises and falls."""

    name: Literal["plateau", "multistep", "cosine"]
    warmup_steps: Annotated[float, Field(ge=0, lt=1)]
    """cosine: fraction of all steps in which lr rises from 0 to its top."""
    max_lr_factor: Positive
    """cosine: lr at the top, as a multiple of `lr`."""
    total_steps: Annotated[int, Field(ge=0)]
    """cosine: steps until min_lr; 0 is epochs x steps an epoch."""
    min_lr: NotNegative
    """The lowest lr of plateau and cosine."""
    milestones: list[Count]
    """multistep: after how many epochs lr falls."""
    gamma: Annotated[float, Field(gt=0, le=1)]
    """multistep: what lr is multiplied with at each."""
    factor: Annotated[float, Field(gt=0, lt=1)]
    """plateau: what lr is multiplied with."""
    patience: Annotated[int, Field(ge=0)]
    """plateau: epochs without a lower val_loss before that."""

    @field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: list[int]) -> list[int]:
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("each must be later than the one before it")
        return milestones


class Loss(Section):
    """The identity loss: cross-entropy over people, with the margin of `head`."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    balance: Literal["none", "loss", "sampling"]
    """Where people have unequally many faces: weigh each face by 1 / its person's, or draw every person as often."""
    m: NotNegative
    """Margin of arcface (radians), cosface (cosine) and adaface (both)."""
    h: NotNegative
    """adaface: how strongly the margin follows the norm."""
    s: Positive
    """Scale of the cosines of a margin head."""
    t_alpha: Annotated[float, Field(gt=0, le=1)]
    """adaface: weight of a batch in the running mean and deviation of the norms."""
    on_nan: Literal["stop", "skip"]
    """A loss that is NaN or infinite ends the run, or its batch is left out and counted."""


class Augment(Section):
    """What a training face goes through, drawn anew every epoch: the preset's transforms, then those listed."""

    preset: Literal["none", "light", "standard", "low_quality"]
    transforms: list[dict[str, Any]]
    """albumentations transforms, each {name: <its class>, <argument>: <value>, ...}."""
    occlude: Fraction
    """How often an occluder is drawn over the face, before all else."""
    occluders: Annotated[list[Occluder], Field(min_length=1)]
    """The kinds that are drawn."""
    views: Annotated[int, Field(ge=0)]
    """With a frozen backbone: how many augmented views of a face are embedded once and used in turn; 0 embeds a new
    one every epoch."""


class Dataset(Section):
    """Where training faces come from, and how they get to the network."""

    format: str
    """folder, recordio, csv, or a name of the entry-point group `faceline.datasets`."""
    path: str
    """The folder that holds `train` and `val`: data/processed, as preprocess writes it, or another in here."""
    holdout: Annotated[float, Field(ge=0, lt=1)]
    """Fraction of each person's training faces to validate on where `path` has no `val`."""
    min_images: Count
    """People with fewer faces to train on are left out, in every format; those that `holdout` takes count."""
    sampler: Literal["shuffle", "pk", "graph"]
    """What goes into a batch: faces drawn by chance; `instances_per_identity` faces of each of a few people; or those
    people who are most alike by the present model."""
    instances_per_identity: Annotated[int, Field(ge=2)]
    """pk, graph: faces of each person in a batch."""
    cache: Literal["none", "memory", "disk"]
    """Decoded faces: decode each time, keep them in memory, or in one memory-mapped file."""
    num_workers: Workers
    """Processes that prepare batches; auto: as many as pay off on this machine."""
    prefetch: Count
    """Batches that each of them prepares ahead."""


class Trainer(Section):
    """The machine, and how far a run goes."""

    accelerator: Literal["auto", "cpu", "gpu", "tpu"]
    devices: Literal["auto"] | Count
    """On each machine."""
    num_nodes: Count
    """Machines."""
    strategy: str
    """As Lightning names them: auto, ddp, ddp_find_unused_parameters_true, fsdp, ..."""
    precision: Literal["auto", 32, "bf16", 16]
    """auto measures a few steps on this machine and takes the fastest that is safe."""
    channels_last: bool
    compile: bool
    """torch.compile: minutes of waiting first, then faster steps; needs a C++ compiler on a CPU."""
    sync_batchnorm: bool
    """BatchNorm statistics over the batches of all devices."""
    freeze_batchnorm: bool
    """BatchNorm keeps the statistics that it came with."""
    deterministic: bool
    accumulate_grad_batches: Count
    """Batches whose gradients are summed up to one step."""
    gradient_clip_val: NotNegative
    """Largest norm of the gradient; 0 does not clip."""
    limit_train_batches: Limit
    limit_val_batches: Limit
    """Batches of an epoch: a count, or a fraction with a decimal point."""
    val_check_interval: Limit
    """Validation within an epoch: after how many batches, or after which fraction of it."""
    fast_dev_run: bool
    """One batch of training and one of validation, to see that all fits; nothing is written."""
    checkpoint_minutes: NotNegative
    """Within a long epoch, minutes between two states to go on from; 0 saves at the end of epochs only."""
    reuse_embeddings: bool
    """A backbone that is frozen as a whole runs once over the faces instead of every epoch."""


class EarlyStopping(Section):
    monitor: str
    """A logged metric."""
    mode: Literal["min", "max"]
    patience: Annotated[int, Field(ge=0)]
    """Epochs without a better one before training ends; 0 never."""


class Checkpoint(Section):
    """Best and last are always kept; `save_top_k` of the best epochs besides."""

    monitor: str
    """A logged metric: val_acc, val_f1, val_loss, train_loss, ..."""
    mode: Literal["min", "max"]
    save_top_k: Annotated[int, Field(ge=-1)]
    """How many epochs' checkpoints to keep besides; -1 all."""
    every_n_epochs: Count
    """Which epochs those may be."""
    filename: str
    """Their names, with `{epoch}` and any logged metric, formatted as Python does: {epoch:03d}_{val_acc:.3f}."""


class Logging(Section):
    metrics: list[Literal["acc", "precision", "recall", "f1"]]
    """Of training and validation; acc over faces, the others are means over people (macro)."""
    loggers: list[Literal["wandb", "tensorboard"]]
    """Besides artifacts/train/history.csv."""
    wandb_project: str
    offline: bool
    """wandb writes to disk only; `wandb sync` sends it later."""
    refresh_rate: Annotated[int, Field(ge=0)]
    """Steps between two updates of the progress bar; 0 shows none."""


class SearchSpace(Section):
    """A parameter's range (`low`, `high`), or its `choices`."""

    distribution: Literal["uniform", "loguniform", "int", "categorical"]
    low: float | None = None
    high: float | None = None
    choices: list[bool | int | float | str | None] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "SearchSpace":
        if self.distribution == "categorical":
            if not self.choices or self.low is not None or self.high is not None:
                raise ValueError("categorical takes `choices`, and no `low` or `high`")
            return self
        if self.low is None or self.high is None or self.choices is not None:
            raise ValueError(f"{self.distribution} takes `low` and `high`, and no `choices`")
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.distribution == "loguniform" and self.low <= 0:
            raise ValueError(f"loguniform needs a low above 0, found {self.low:g}")
        if self.distribution == "int" and (self.low % 1 or self.high % 1):
            raise ValueError("int needs whole numbers")
        return self


class Optuna(Section):
    """The search of `./stage tune`."""

    n_trials: Count
    """Of the study in all, those of earlier calls included."""
    direction: Literal["maximize", "minimize"]
    metric: str
    """A logged metric; a trial's value is its best epoch's."""
    pruner: Literal["none", "median", "hyperband"]
    """Ends a trial early where it is worse than others were."""
    study_name: str
    storage: str | None
    """A database URL that several processes or machines share; null keeps the study in artifacts/tune/study.db."""
    search_spaces: dict[str, SearchSpace]
    """By parameter path: lr, freeze_ratio, optimizer.weight_decay, ..."""
