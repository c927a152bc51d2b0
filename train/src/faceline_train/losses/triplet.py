"""The triplet loss with the hardest positive and negative of a batch (Hermans et al. 2017, arXiv 1703.07737)."""

import torch
from torch import Tensor


def hardest_triplet_loss(scores: Tensor, labels: Tensor, margin: float = 1.0) -> tuple[Tensor, Tensor]:
    """relu(margin - positive + negative) of each image with those that are hardest for it.

    Args:
        scores: (B, B) of each image with each, higher is more alike; an image's score with itself does not count.
        labels: (B,) the person of each image.
        margin: by how much the lowest score of another image of the person is to exceed the highest of another person.

    Returns:
        The mean () float32 over the images that have both, and how many have not, () int64. Where none has, the loss
        is 0 with a gradient of 0.
    """
    scores = scores.float()
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    complete = positive.any(1) & ~same.all(1)
    left_out = (~complete).sum()
    if len(labels) == 0:
        return 0 * scores.sum(), left_out  # no row to look for a hardest in
    hardest_positive = scores.masked_fill(~positive, torch.inf).amin(1)
    hardest_negative = scores.masked_fill(same, -torch.inf).amax(1)
    hinges = (margin - hardest_positive + hardest_negative).relu()  # of -inf, 0, where there is no such score
    return hinges.sum() / complete.sum().clamp_min(1), left_out
