"""What a run is measured on while it trains, besides naming known people: verifying pairs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import distributed

from faceline_core.data.face_set import FaceSet
from faceline_core.data.part import sources_of
from faceline_core.data.verification_set import VerificationSet, open_verification_set
from faceline_core.errors import FacelineError
from faceline_core.models.pair_scores import PairScores, score_pairs
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters.metric import Validation
from faceline_core.stage.progress import say
from faceline_core.verification.combining import ScoreStatistics, statistics_of
from faceline_core.verification.drawn_pairs import DrawnPairs, draw_pairs
from faceline_core.verification.folds import FOLDS, FoldAccuracy, best_accuracy, fold_accuracy, fold_accuracy_of_scores

USUAL_PLACE = "data/benchmarks"
"""Of `.bin` sets: that it is not there is no news."""
_HELD = 2000
"""Faces of people held back that are in memory at once, which is all of them."""
_HELD_OF_SET = 64
"""Likewise of a `.bin` set, whose pairs share no faces."""


class Verifying:
    """Pairs to verify after each epoch: of people held back for choosing, and of `.bin` sets.

    Args:
        faces: of the people held back, or where there are none of known ones, for the statistics of the scores; None
            where neither val_acc nor a matcher asks for them.
        settings: the section `validation`.
        seed: of the pairs that are drawn.
        img_size: side of the faces in px.

    Attributes:
        over_folds: what `figures` last found of `.bin` sets, of which it gives the means.

    Raises:
        FacelineError: where the faces give no genuine or no impostor pair, or a `.bin` cannot be read.
    """

    def __init__(self, faces: FaceSet | None, settings: Validation, seed: int, img_size: int):
        self.faces, self.settings = faces, settings
        self.pairs = None if faces is None else _drawn(faces, settings.max_pairs, seed, settings.split)
        self.sets: dict[str, VerificationSet] = {
            path.stem: open_verification_set(path, img_size) for path in find_sets(settings)
        }
        self.over_folds: dict[str, FoldAccuracy] = {}
        if self.sets:
            listed = "; ".join(f"{name}, {len(found)} pairs" for name, found in self.sets.items())
            say("train", f"{len(self.sets)} verification set{'s' if len(self.sets) > 1 else ''}: {listed}")
        for name, found in self.sets.items():
            _check_set(name, found)
            if found.found_size != img_size:
                say(
                    "train",
                    f"warning: {found.path} holds faces of {found.found_size} px, which are resized to {img_size} "
                    "(img_size): its figures are not those of such faces",
                )

    def names(self, matcher: bool) -> list[str]:
        """What `figures` holds."""
        own = _names("val", matcher) if self.settings.split == "unseen_val" else []
        return own + [name for each in self.sets for name in _names(each, matcher)]

    def figures(self, recogniser: Recogniser, matcher_trained: bool = True) -> dict[str, float]:
        """Accuracies by name: `val_acc` of both scores together, `val_embedding_acc`, `val_local_acc`, and the same of
        each `.bin` set; those of `val` at the best threshold, those of a set over 10 folds. Before the matcher is
        trained (local.start_epoch) `val_acc` is that of the embedding: by it the best epoch is chosen."""
        found: dict[str, float] = {}
        self.over_folds = {}
        scores = self._scores(recogniser, _score_together)
        statistics = self._statistics(scores)
        if self.settings.split == "unseen_val":
            assert scores is not None
            assert self.pairs is not None
            by_name = _named("val", scores, statistics)
            found |= {name: best_accuracy(values, self.pairs.same)[0] for name, values in by_name.items()}
        for which, pairs in self.sets.items():
            places = 2 * np.arange(len(pairs))
            those = _score_together(recogniser, pairs.face, places, places + 1, _HELD_OF_SET, self.settings.flip)
            by_name = _named(which, those, statistics)
            accuracies = {name: fold_accuracy_of_scores(values, pairs.same) for name, values in by_name.items()}
            distances = 2 - 2 * those.embedding.astype(np.float64)  # squared, of unit embeddings
            accuracies[f"{which}_embedding_acc"] = fold_accuracy(distances, pairs.same)
            if statistics is None or not matcher_trained:
                accuracies[f"{which}_acc"] = accuracies[f"{which}_embedding_acc"]
            self.over_folds |= accuracies
        if not matcher_trained and self.settings.split == "unseen_val":
            found["val_acc"] = found["val_embedding_acc"]
        return found | {name: accuracy.mean for name, accuracy in self.over_folds.items()}

    def statistics(self, recogniser: Recogniser) -> ScoreStatistics | None:
        """What makes a recogniser's two scores one; None without a matcher. Of several processes one may ask alone."""
        return self._statistics(self._scores(recogniser, score_pairs))

    def _scores(self, recogniser: Recogniser, score: Callable[..., PairScores]) -> PairScores | None:
        if self.faces is None or self.pairs is None:
            return None
        return score(recogniser, self.faces.face, self.pairs.first, self.pairs.second, _HELD, self.settings.flip)

    def _statistics(self, scores: PairScores | None) -> ScoreStatistics | None:
        if scores is None or scores.local is None or self.pairs is None:
            return None
        return statistics_of(scores.embedding, scores.local, self.pairs.same)


def find_sets(settings: Validation) -> list[Path]:
    """The `.bin` files that `validation.benchmarks` names."""
    return sorted(Path(settings.benchmarks).glob("*.bin"))


def say_where_no_sets_are(settings: Validation) -> None:
    """Says that a folder which somebody made or named holds none."""
    folder = Path(settings.benchmarks)
    if not find_sets(settings) and (folder.is_dir() or folder != Path(USUAL_PLACE)):
        what = "holds no .bin" if folder.is_dir() else "is not there"
        say("train", f"note: validation.benchmarks: {folder} {what}, so no verification set is measured")


def _check_set(name: str, pairs: VerificationSet) -> None:
    if name in ("train", "val") or name.startswith(("train_", "val_")):
        raise FacelineError(
            f"{pairs.path}: {name}_acc would be taken for a figure of the run itself. Give the file another name"
        )
    if len(pairs) < FOLDS:
        raise FacelineError(
            f"{pairs.path} holds {len(pairs)} pairs, and its accuracy is taken over {FOLDS} folds. Move it away, or "
            "make one of more pairs"
        )


def _drawn(faces: FaceSet, most: int, seed: int, split: str) -> DrawnPairs:
    try:
        return draw_pairs(faces.labels, sources_of(faces), most, seed, _HELD)
    except ValueError as error:
        other = {"unseen_val": "set validation.split: val", "val": "set loss_weights.local: 0"}[split]
        raise FacelineError(
            f"validation: {faces.describe(0)} and the faces beside it cannot be verified: {error}. "
            f"Add people with two photos, or {other}"
        ) from None


def _names(which: str, matcher: bool) -> list[str]:
    return [f"{which}_acc", f"{which}_embedding_acc", *([f"{which}_local_acc"] if matcher else [])]


def _named(which: str, scores: PairScores, statistics: ScoreStatistics | None) -> dict[str, NDArray[np.floating]]:
    """Scores by the name of the figure that is made of them."""
    if scores.local is None or statistics is None:
        return {f"{which}_acc": scores.embedding, f"{which}_embedding_acc": scores.embedding}
    combined = statistics.combined(scores.embedding, scores.local)
    return dict(zip(_names(which, matcher=True), (combined, scores.embedding, scores.local), strict=True))


def _score_together(
    recogniser: Recogniser,
    face: Callable[[int], NDArray[np.uint8]],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    held: int,
    flip: bool,
) -> PairScores:
    """As score_pairs; several processes all call this, and each scores its share of the pairs."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return score_pairs(recogniser, face, first, second, held, flip)
    rank, world = distributed.get_rank(), distributed.get_world_size()
    share = slice(rank * len(first) // world, (rank + 1) * len(first) // world)
    own = score_pairs(recogniser, face, first[share], second[share], held, flip)
    shares: list[PairScores] = [own] * world
    distributed.all_gather_object(shares, own)
    local = None if own.local is None else np.concatenate([part.local for part in shares if part.local is not None])
    return PairScores(np.concatenate([part.embedding for part in shares]), local)
