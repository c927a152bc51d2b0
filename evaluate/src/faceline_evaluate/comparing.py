"""Faces compared in pairs, by each score that a recogniser gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.data.part import Part, sources_of
from faceline_core.data.protocol import FaceSet
from faceline_core.errors import FacelineError
from faceline_core.models.local_block import local_block
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters.schema import Evaluate
from faceline_core.verification.combining import ScoreStatistics
from faceline_core.verification.drawn_pairs import draw_people
from faceline_core.verification.pairs import Pairs, all_pairs, pairs_by
from faceline_evaluate.inference import Recognised, recognise
from faceline_evaluate.verification import Verification

EMBEDDING, LOCAL, COMBINED = "embedding", "local", "combined"
SPOKEN = {EMBEDDING: "embedding", LOCAL: "matcher", COMBINED: "both"}
"""By what pairs are compared, in lines and pictures."""


@dataclass(frozen=True)
class Compared:
    """Faces of unknown people, and all pairs of them."""

    faces: FaceSet
    """Those that were compared."""
    seen: Recognised
    by: dict[str, Verification]
    """By embedding, and where the recogniser has a matcher by that, and by both. The pairs are the same."""


def compare(
    recogniser: Recogniser,
    faces: FaceSet,
    where: Path,
    statistics: ScoreStatistics | None,
    device: torch.device,
    settings: Evaluate,
    seed: int,
) -> Compared:
    """Compares every pair of faces of a set.

    Args:
        recogniser: in eval mode, on the device.
        faces: of a set with more than `max_faces` whole people are drawn, by the seed, as many as fit (two at least).
        where: the set, for messages.
        statistics: make two scores one; None leaves them apart.
        device: where the network runs.
        settings: of the section evaluate max_faces and flip.
        seed: of the draw.

    Raises:
        FacelineError: where the set has no genuine or no impostor pair.
    """
    kept = draw_people(faces.labels, settings.max_faces, np.random.default_rng(seed))
    compared = faces if len(kept) == len(faces) else Part(faces, kept.tolist())
    seen = recognise(recogniser, compared, device, settings.flip, matching=True)
    by_embedding = by_embeddings(compared, seen.embeddings, where)
    by = {EMBEDDING: by_embedding}
    if recogniser.matcher is not None:
        local = pairs_by(local_block(recogniser.matcher, seen.seen), numbered(compared.labels), sources_of(compared))
        by[LOCAL] = Verification(local, by_embedding.faces, by_embedding.people)
        if statistics is not None:
            combined = _combined(by_embedding.pairs, local, statistics)
            by[COMBINED] = Verification(combined, by_embedding.faces, by_embedding.people)
    return Compared(compared, seen, by)


def by_embeddings(faces: FaceSet, embeddings: NDArray[np.float32], where: Path) -> Verification:
    """All pairs of faces by the cosine of their embeddings (N, D). Raises FacelineError as `compare`."""
    people = numbered(faces.labels)
    pairs = all_pairs(embeddings, people, sources_of(faces))
    if not len(pairs.genuine) or not len(pairs.impostor):
        raise FacelineError(
            f"{where} has {len(faces)} faces of {len(set(people))} people: verification needs two people, one of "
            "them with two photos. Add people or raise preprocess.unseen_identities, and run preprocess again"
        )
    return Verification(pairs, len(faces), len(set(people)))


def _combined(embedding: Pairs, local: Pairs, statistics: ScoreStatistics) -> Pairs:
    return embedding.scored(
        statistics.combined(embedding.genuine, local.genuine), statistics.combined(embedding.impostor, local.impostor)
    )


def numbered(people: Sequence[int]) -> list[int]:
    """The same people, numbered from 0 without gaps."""
    number = {person: index for index, person in enumerate(sorted(set(people)))}
    return [number[person] for person in people]
