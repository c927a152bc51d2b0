"""Some people of a set of faces, and some pairs, half of them genuine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 1024


@dataclass(frozen=True)
class DrawnPairs:
    """P pairs of faces."""

    first: NDArray[np.int64]
    """(P,) a face's place in the set."""
    second: NDArray[np.int64]
    """(P,) the other's."""
    same: NDArray[np.bool_]
    """(P,) whether both show one person."""

    def __len__(self) -> int:
        return len(self.same)


def draw_people(labels: ArrayLike, faces: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places, rising, of all faces of people (N,) who are drawn until the next would make it more than `faces`; two
    people at least."""
    who = np.asarray(labels)
    people, counts = np.unique(who, return_counts=True)
    order = rng.permutation(len(people))
    fit = max(2, int(np.searchsorted(np.cumsum(counts[order]), faces, side="right")))
    return np.flatnonzero(np.isin(who, people[order[:fit]]))


def draw_pairs(labels: Sequence[int], sources: Sequence[str], most: int, seed: int, faces: int = 2000) -> DrawnPairs:
    """Draws pairs, as many genuine as impostor ones, in mixed order.

    Of a set with more than `faces` faces, people are drawn as `draw_people` does. A face is in no pair with itself, nor
    with a copy of the same photo.

    Args:
        labels: (N,) who each face shows.
        sources: (N,) the photo that each face was cut from.
        most: pairs; fewer where there are not so many genuine ones.
        seed: of the draw.
        faces: the most that are looked at.

    Raises:
        ValueError: where there is no genuine or no impostor pair.
    """
    who = np.asarray(labels)
    rng = np.random.default_rng(seed)
    kept = draw_people(who, faces, rng)
    photo = np.unique(np.asarray(sources)[kept], return_inverse=True)[1]
    genuine, impostors = _genuine(who[kept], photo), _count_impostors(who[kept])
    half = min(most // 2, len(genuine), impostors)
    if half == 0:
        raise ValueError(f"{len(kept)} faces give {len(genuine)} genuine and {impostors} impostor pairs")
    chosen = genuine[np.sort(rng.permutation(len(genuine))[:half])]
    pairs = np.concatenate([chosen, _impostors(who[kept], half, rng)])
    order = rng.permutation(len(pairs))
    same = np.arange(len(pairs)) < half
    return DrawnPairs(kept[pairs[order, 0]], kept[pairs[order, 1]], same[order])


def _genuine(who: NDArray[np.int64], photo: NDArray[np.int64]) -> NDArray[np.int64]:
    """(G, 2) all pairs of one person's photos."""
    found = [np.empty((0, 2), np.int64)]
    for person in np.unique(who):
        of_person = np.flatnonzero(who == person)
        first, second = np.triu_indices(len(of_person), 1)
        other = photo[of_person[first]] != photo[of_person[second]]
        found.append(np.stack([of_person[first[other]], of_person[second[other]]], axis=1))
    return np.concatenate(found)


def _count_impostors(who: NDArray[np.int64]) -> int:
    _, counts = np.unique(who, return_counts=True)
    return int((len(who) ** 2 - (counts**2).sum()) // 2)


def _impostors(who: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(count, 2) different pairs of two people each."""
    drawn: dict[tuple[int, int], None] = {}
    while len(drawn) < count:
        for a, b in rng.integers(0, len(who), (_BLOCK, 2)).tolist():
            if who[a] != who[b]:
                drawn.setdefault((min(a, b), max(a, b)))
    return np.array(list(drawn)[:count], np.int64)
