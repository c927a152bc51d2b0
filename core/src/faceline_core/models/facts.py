"""What has to be known of a network before it is built."""

from dataclasses import dataclass
from typing import Literal

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """What a network wants to see: (x / 255 - mean) / std, channel by channel."""

    mean: Triple
    std: Triple
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Order of the channels that the network sees, and of mean and std."""


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Facts:
    """A network at one size of faces."""

    dim: int
    """Length of the feature vector of a face."""
    normalisation: Normalisation
    weights: str | None
    """Where its publisher keeps trained weights: a URL, or `timm` where timm's own loader fetches them."""
