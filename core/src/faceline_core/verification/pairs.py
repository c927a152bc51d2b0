"""Every pair of faces in a set, scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_ROWS = 256

Scores = NDArray[np.floating]
Block = Callable[[slice, slice], Scores]
"""Gives the scores (R, C) of the faces of one range with those of another."""


@dataclass(frozen=True)
class Pairs:
    """Scores of all pairs, and for each pair its faces and the people in it (for intervals that resample people)."""

    genuine: Scores
    """(G,) of two photos of one person; higher is more alike."""
    genuine_people: NDArray[np.int32]
    """(G,) that person."""
    impostor: Scores
    """(I,) of photos of two people."""
    impostor_people: NDArray[np.int32]
    """(I, 2) the two."""
    genuine_faces: NDArray[np.int32]
    """(G, 2) the places of the photos in the set."""
    impostor_faces: NDArray[np.int32]
    """(I, 2)."""

    @property
    def scores(self) -> Scores:
        """(G + I,), the genuine ones first."""
        return np.concatenate([self.genuine, self.impostor])

    @property
    def people(self) -> NDArray[np.int32]:
        """(G + I, 2) who the two faces of each pair show, in the order of `scores`."""
        return np.concatenate([np.stack([self.genuine_people] * 2, axis=1), self.impostor_people])

    @property
    def faces(self) -> NDArray[np.int32]:
        """(G + I, 2) their places, in the order of `scores`."""
        return np.concatenate([self.genuine_faces, self.impostor_faces])

    def scored(self, genuine: Scores, impostor: Scores) -> "Pairs":
        """The same pairs with other scores."""
        return replace(self, genuine=genuine, impostor=impostor)

    def among(self, kept: NDArray[np.bool_]) -> "Pairs":
        """Some of them: those for which `kept` (G + I,) is True, in the order of `scores`."""
        genuine, impostor = np.split(kept, [len(self.genuine)])
        return Pairs(
            self.genuine[genuine],
            self.genuine_people[genuine],
            self.impostor[impostor],
            self.impostor_people[impostor],
            self.genuine_faces[genuine],
            self.impostor_faces[impostor],
        )


def all_pairs(embeddings: NDArray[np.float32], people: Sequence[int], sources: Sequence[str]) -> Pairs:
    """The cosine similarity of each pair of faces, as `pairs_by` scores them; embeddings (N, D) of unit length."""
    return pairs_by(lambda rows, columns: embeddings[rows] @ embeddings[columns].T, people, sources)


def pairs_by(block: Block, people: Sequence[int], sources: Sequence[str]) -> Pairs:
    """Scores each pair of faces once; never a face with itself, nor with a copy of the same photo.

    Args:
        block: scores faces, which it is given by ranges of their places.
        people: (N,) who each face shows.
        sources: (N,) the photo that each face was cut from.

    Returns:
        Scores in the order of rows, then columns, of the upper triangle, whatever `block` makes of the pairs.
    """
    who = np.asarray(people, np.int32)
    photo = np.unique(np.asarray(sources), return_inverse=True)[1]
    scores: tuple[list[Scores], list[Scores]] = [], []  # of genuine, of impostor pairs
    faces: tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]] = [], []
    for start in range(0, len(who), _ROWS):
        rows, columns = slice(start, start + _ROWS), slice(start, len(who))
        found = block(rows, columns)
        later = np.arange(start, len(who))[None, :] > np.arange(len(who))[rows, None]
        same = who[rows, None] == who[None, columns]
        other_photo = photo[rows, None] != photo[None, columns]
        for kind, chosen in enumerate((later & same & other_photo, later & ~same)):
            a, b = np.nonzero(chosen)
            scores[kind].append(found[a, b])
            faces[kind].append(np.stack([a + start, b + start], axis=1).astype(np.int32))
    genuine_faces, impostor_faces = (np.concatenate(parts) for parts in faces)
    return Pairs(
        np.concatenate(scores[0]),
        who[genuine_faces[:, 0]],
        np.concatenate(scores[1]),
        who[impostor_faces],
        genuine_faces,
        impostor_faces,
    )
