"""Who of many is it? Embeddings rank the gallery, and the matcher ranks the best of it anew."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.models.qaconv import QAConv
from faceline_core.models.recogniser import Seen
from faceline_core.verification.combining import ScoreStatistics


@torch.inference_mode()
def rerank(
    matcher: QAConv, probes: Seen, gallery: Seen, statistics: ScoreStatistics, top: int = 100
) -> NDArray[np.int64]:
    """Ranks a gallery for each probe, at the cost of `top` matches a probe.

    The gallery is ranked by the cosine of embeddings; its first `top` faces change places among themselves by the
    combined score, the others stay behind them as they were. Equals keep the order of the gallery, or of the first
    ranking.

    Args:
        matcher: of the recogniser that saw the faces, in eval mode.
        probes: P faces, as `see_faces` gives them.
        gallery: G faces, on the same device.
        statistics: make the two scores one: those of the recogniser's checkpoint.
        top: how many are matched; all where there are fewer, and none with 0.

    Returns:
        (P, G) places of the gallery's faces, the most alike first.
    """
    ranked = np.empty((len(probes.unit), len(gallery.unit)), np.int64)
    for number in range(len(ranked)):
        cosines: Tensor = gallery.unit @ probes.unit[number]
        order = torch.argsort(cosines, descending=True, stable=True)
        best = order[:top]
        if len(best):
            local = matcher(
                probes.maps[number : number + 1].float(),
                gallery.maps[best].float(),
                _of(probes.visibility, slice(number, number + 1)),
                _of(gallery.visibility, best),
            )[0]
            combined = statistics.combined(cosines[best].cpu().numpy(), local.cpu().numpy())
            order[: len(best)] = best[torch.from_numpy(np.argsort(-combined, kind="stable")).to(best.device)]
        ranked[number] = order.cpu().numpy()
    return ranked


def _of(visibility: Tensor | None, places: slice | Tensor) -> Tensor | None:
    return None if visibility is None else visibility[places]
