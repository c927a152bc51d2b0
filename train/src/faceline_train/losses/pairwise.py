"""The pairwise matching loss, after QAConv (Liao and Shao 2020, arXiv 1904.10424)."""

from torch import Tensor
from torch.nn import functional as F


def pairwise_matching_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of matching scores against "the same person", of each image with each other.

    Args:
        scores: (B, B) logits, of each image with each; an image's score with itself does not count.
        labels: (B,) the person of each image.

    Returns:
        The mean () float32 over the B (B - 1) scores; 0, with a gradient of 0, where there is one image or none.
    """
    scores, images = scores.float(), len(labels)
    if images < 2:
        return 0 * scores.sum()
    same = (labels[:, None] == labels).to(scores.dtype)
    return F.binary_cross_entropy_with_logits(_off_diagonal(scores), _off_diagonal(same))


def _off_diagonal(square: Tensor) -> Tensor:
    """(B, B) to (B - 1, B): with its first number gone, each of the diagonal ends a row of B + 1. No copy, no wait."""
    side = len(square)
    return square.flatten()[1:].view(side - 1, side + 1)[:, :-1]
