"""The sections of params.yaml that steer local matching, occlusion, and what a run is measured on, as frozen models."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from faceline_core.parameters.section import Count, NotNegative, Section


class LossWeights(Section):
    """total = identity x identity loss + local x (pairwise + triplet x triplet loss [+ class memory]) + occlusion x
    occlusion loss. A weight of 0 leaves a part out, and what it costs."""

    identity: NotNegative
    """Of the cross-entropy over people."""
    local: NotNegative
    """Of matching feature maps; above 0 the recogniser gets a matcher."""
    triplet: NotNegative
    """Of the triplet loss, within the local part."""
    occlusion: NotNegative
    """Of predicting what is visible; above 0 the recogniser gets an occlusion head."""

    @model_validator(mode="after")
    def _something(self) -> "LossWeights":
        if not (self.identity or self.local or self.occlusion):
            raise ValueError("identity, local and occlusion are all 0: there is nothing to train. Raise one")
        return self


class Local(Section):
    """The local matcher (QAConv) and its losses."""

    start_epoch: Annotated[int, Field(ge=0)]
    """Epochs before the local losses join, so that the embedding settles first."""
    visibility: Literal["scaling", "masked"]
    """What an occluded position does: its similarities are scaled by its visibility, or it is left out."""
    triplet_margin: NotNegative
    class_memory: bool
    """Whether faces are also told from the nearest classes, of each of which one feature map is kept."""
    k_nearest: Count
    """Of the class memory: how many classes."""
    memory_momentum: Annotated[float, Field(ge=0, lt=1)]
    """Of the class memory: what a kept map retains when a new one comes."""
    memory_pooled: bool
    """Of the class memory: keeps a quarter of each map's positions."""
    max_bytes: Annotated[int, Field(ge=1 << 20)]
    """Scratch memory of the matcher."""


class Occlusion(Section):
    """The occlusion head."""

    detach: bool
    """Whether its loss leaves the backbone alone."""


class Validation(Section):
    """What a run is measured on while it trains; `val_acc` is that."""

    split: Literal["val", "unseen_val"]
    """val: naming known people. unseen_val: verifying pairs of people held back, by embedding, matcher, and both."""
    max_pairs: Annotated[int, Field(ge=2)]
    """unseen_val: pairs that are drawn, half of them genuine, as far as there are so many."""
    benchmarks: str
    """A folder whose `.bin` sets are logged as well after each epoch; where it is not there, none."""
    flip: bool
    """Whether an embedding is the mean of those of a face and of its mirror image."""
