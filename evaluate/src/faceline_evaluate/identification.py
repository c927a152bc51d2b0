"""Who of many is it? One face of each unknown person is known by name, the others are to be named."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.part import sources_of
from faceline_core.models.qaconv import QAConv
from faceline_core.models.recogniser import Seen
from faceline_core.models.reranking import rerank
from faceline_core.verification.combining import ScoreStatistics
from faceline_evaluate.comparing import Compared

_RANKS = (1, 5)


def identification_figures(
    compared: Compared, matcher: QAConv, statistics: ScoreStatistics | None, top: int
) -> dict[str, Any]:
    """How often the right person comes first, or among the first five, which are left out where there are no more.

    The gallery is the first face of each person; the probes are all others, but for copies of a gallery's photo.

    Args:
        compared: the faces.
        matcher: the recogniser's.
        statistics: make the two scores one; None leaves the matcher out.
        top: of each probe's gallery, ranked by embedding, how many the matcher ranks anew; 0 none.
    """
    labels, sources = np.asarray(compared.faces.labels), np.asarray(sources_of(compared.faces))
    people, gallery, person = np.unique(labels, return_index=True, return_inverse=True)
    probes = np.flatnonzero(sources != sources[gallery[person]])
    embeddings = compared.seen.embeddings
    by_embedding = np.argsort(-embeddings[probes] @ embeddings[gallery].T, axis=1, kind="stable")
    figures: dict[str, Any] = {
        "people": len(people),
        "probes": len(probes),
        "embedding": _shares(by_embedding, person[probes]),
    }
    if statistics is not None and top > 0:
        sides = [_at(compared.seen.seen, places) for places in (probes, gallery)]
        figures["reranked"] = _shares(rerank(matcher, *sides, statistics, top), person[probes])
        figures["matches_a_probe"] = min(top, len(people))
    return figures


def _shares(ranked: NDArray[np.int64], right: NDArray[np.intp]) -> dict[str, float]:
    place = np.argmax(ranked == right[:, None], axis=1)
    return {f"rank_{rank}": float(np.mean(place < rank)) for rank in _RANKS if rank < ranked.shape[1]}


def _at(seen: Seen, places: NDArray[np.intp]) -> Seen:
    visibility = None if seen.visibility is None else seen.visibility[places]
    return Seen(seen.unit[places], seen.norm[places], seen.maps[places], visibility)
