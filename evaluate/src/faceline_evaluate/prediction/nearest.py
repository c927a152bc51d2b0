"""Which known person an embedding is most alike."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from faceline_core.models.recogniser import Recogniser


def person_embeddings(recogniser: Recogniser, content: dict[str, Any]) -> Tensor | None:
    """(C, D) float32, unit length: one embedding for each known person.

    Args:
        recogniser: of the checkpoint.
        content: the checkpoint's. Its `person_embeddings` are the means over each person's training faces, all 0 for
            a person who has none.

    Returns:
        Those; without them what a margin head holds for each person, which its training drew that person's embeddings
        to; None for a softmax head, whose rows are no embeddings.
    """
    kept = content.get("person_embeddings")
    if kept is not None:
        return F.normalize(kept.float(), dim=1)
    if content["head"] == "softmax":
        return None
    return F.normalize(recogniser.head.weight.detach().float(), dim=0).T


def nearest(unit: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor]:
    """The most alike person of each face.

    Args:
        unit: (N, D) unit embeddings of faces.
        gallery: (C, D), of people, as `person_embeddings` gives them; nobody is like a row that is all 0.

    Returns:
        (N,) cosines, and (N,) int64 which person.
    """
    cosines = (unit @ gallery.T).masked_fill(~gallery.any(dim=1), -1)
    return cosines.max(dim=1)
