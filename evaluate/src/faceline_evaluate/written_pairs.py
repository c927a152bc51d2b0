"""Curves and scores of pairs as tables and pictures."""

from collections.abc import Sequence
from pathlib import Path

from faceline_evaluate.comparing import COMBINED, EMBEDDING, LOCAL, SPOKEN
from faceline_evaluate.pictures import draw_roc, draw_scores
from faceline_evaluate.tables import roc_rows, score_rows, write_table
from faceline_evaluate.unknown import Chosen
from faceline_evaluate.verification import Verification, far_name, far_to_show

_SCORES = {EMBEDDING: "cosine similarity of embeddings", LOCAL: "score of the matcher", COMBINED: "combined score"}
_COSINE = (-1.0, 1.0)


def write_pairs(
    folder: Path,
    unknown: dict[str, Verification],
    chosen: Chosen,
    known: tuple[str, Verification] | None,
    fars: Sequence[float],
) -> None:
    """Writes roc and scores, as tables and pictures, of unknown people by each score and of known ones.

    Args:
        folder: to write to.
        unknown: by score; empty where there are none.
        chosen: thresholds, of which one is drawn.
        known: the split's name and its pairs; None where there are none.
        fars: false accept rates, which the ROC marks.
    """
    lines: dict[str, Verification] = {}
    label = ""
    far = far_to_show(fars)
    for score, verification in unknown.items():
        suffix = "" if score == EMBEDDING else f"_{score}"
        lines[f"unseen, by {SPOKEN[score]}"] = verification
        ends = _COSINE if score == EMBEDDING else (float(verification.scores.min()), float(verification.scores.max()))
        _write_tables(folder, suffix, verification, ends)
        threshold = chosen[score][far_name(far)]
        picture = folder / f"scores{suffix}.png"
        draw_scores(picture, "people never trained on", _SCORES[score], verification, threshold, far)
    if known is not None:
        name, verification = known
        label = f"{name}, by {SPOKEN[EMBEDDING]}"
        lines[label] = verification
        _write_tables(folder, f"_{name}", verification, _COSINE)
    if lines:
        draw_roc(folder / "roc.png", lines, fars, label)


def _write_tables(folder: Path, suffix: str, verification: Verification, ends: tuple[float, float]) -> None:
    pairs = verification.pairs
    write_table(folder / f"roc{suffix}.csv", roc_rows(verification.curve))
    write_table(folder / f"scores{suffix}.csv", score_rows(pairs.genuine, pairs.impostor, *ends))
