"""What a picture's labels are to the training."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Target:
    """The faces of one training picture, in its px."""

    boxes: Tensor
    """(G, 4) float32 left, top, right, bottom."""
    landmarks: Tensor
    """(G, 5, 2) float32 x, y of left eye, right eye, nose, left and right corner of the mouth; NaN where unknown."""
    ignore: Tensor
    """(G,) bool: neither a face to find nor background."""
