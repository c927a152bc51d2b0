"""Every pair of faces in a set, scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS = 1024


@dataclass(frozen=True)
class Pairs:
    """Scores of all pairs, and for each pair the people in it (for intervals that resample people)."""

    genuine: NDArray[np.float32]
    """(G,) cosine similarity of two photos of one person."""
    genuine_people: NDArray[np.int32]
    """(G,) that person."""
    impostor: NDArray[np.float32]
    """(I,) cosine similarity of photos of two people."""
    impostor_people: NDArray[np.int32]
    """(I, 2) the two."""


def all_pairs(embeddings: NDArray[np.float32], people: Sequence[int], sources: Sequence[str]) -> Pairs:
    """Scores each pair of faces once; never a face with itself, nor with a copy of the same photo.

    Args:
        embeddings: (N, D) float32, unit length.
        people: (N,) who each face shows.
        sources: (N,) the photo that each face was cut from.

    Returns:
        Scores in the order of rows, then columns, of the upper triangle.
    """
    who = np.asarray(people, np.int32)
    photo = np.unique(np.asarray(sources), return_inverse=True)[1]
    genuine, genuine_people, impostor, impostor_people = [], [], [], []
    for start in range(0, len(who), _ROWS):
        rows = slice(start, start + _ROWS)
        scores = embeddings[rows] @ embeddings[start:].T
        later = np.arange(start, len(who))[None, :] > np.arange(len(who))[rows, None]
        same = who[rows, None] == who[None, start:]
        other_photo = photo[rows, None] != photo[None, start:]
        a, b = np.nonzero(later & same & other_photo)
        genuine.append(scores[a, b])
        genuine_people.append(who[rows][a])
        a, b = np.nonzero(later & ~same)
        impostor.append(scores[a, b])
        impostor_people.append(np.stack([who[rows][a], who[start:][b]], axis=1))
    return Pairs(
        np.concatenate(genuine),
        np.concatenate(genuine_people),
        np.concatenate(impostor),
        np.concatenate(impostor_people),
    )
