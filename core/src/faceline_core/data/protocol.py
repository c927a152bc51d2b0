"""What a set of faces is to training, whatever it is kept in."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class FaceSet(Protocol):
    """Aligned faces of known people. Face `i` shows the person `classes[labels[i]]`.

    Threads ask for faces at the same time, and worker processes get a copy by fork or pickle.
    """

    @property
    def classes(self) -> list[str]: ...

    @property
    def labels(self) -> list[int]: ...

    def __len__(self) -> int: ...

    def face(self, index: int) -> NDArray[np.uint8]:
        """A face (S, S, 3), uint8 RGB in [0, 255]."""

    def describe(self, index: int) -> str:
        """Where it comes from, for messages: the file, or the record."""

    def sha256(self) -> str:
        """Hex SHA-256 over faces, labels and people."""


@runtime_checkable
class Sourced(Protocol):
    """A face set that knows which faces were made from one photo: they have the same source."""

    @property
    def sources(self) -> Sequence[str]: ...


@runtime_checkable
class Masked(Protocol):
    """A face set that knows which pixels of a face are hidden."""

    @property
    def has_masks(self) -> bool:
        """Whether there are masks. Where there are, nothing is known of a face without one; else all count as clear."""

    def mask(self, index: int) -> NDArray[np.uint8] | None:
        """(S, S) uint8: 255 where the face is visible, 0 where something hides it; None where that is not known."""
