"""Some faces of a set, as a set."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.masks import has_masks, mask_of
from faceline_core.data.protocol import FaceSet, Sourced


class Part:
    """The faces of `whole` at `indices`, in that order.

    Args:
        whole: the set.
        indices: places of faces in it.
        classes: the people, where they are not to be those of the whole.
        labels: then for each index the place of its person.
    """

    def __init__(
        self, whole: FaceSet, indices: Sequence[int], classes: list[str] | None = None, labels: list[int] | None = None
    ):
        self.whole = whole
        self.indices = np.asarray(indices, np.int64)
        self.classes = whole.classes if classes is None else classes
        whole_labels = whole.labels
        self.labels = [whole_labels[index] for index in indices] if labels is None else labels

    @property
    def sources(self) -> Sequence[str]:
        known = sources_of(self.whole)
        return [known[index] for index in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def face(self, index: int) -> NDArray[np.uint8]:
        return self.whole.face(int(self.indices[index]))

    @property
    def has_masks(self) -> bool:
        return has_masks(self.whole)

    def mask(self, index: int) -> NDArray[np.uint8] | None:
        return mask_of(self.whole, int(self.indices[index]))

    def describe(self, index: int) -> str:
        return self.whole.describe(int(self.indices[index]))

    def sha256(self) -> str:
        digest = hashlib.sha256(self.whole.sha256().encode())
        digest.update(self.indices.tobytes())
        digest.update("\0".join(self.classes).encode())
        return digest.hexdigest()


def of_people(faces: FaceSet, people: list[str]) -> FaceSet:
    """The faces of some people, who are then the classes, in this order, whether they have faces or not."""
    if people == faces.classes:
        return faces
    place = {person: label for label, person in enumerate(people)}
    new_label = [place.get(person, -1) for person in faces.classes]
    labels = [new_label[label] for label in faces.labels]
    kept = [index for index, label in enumerate(labels) if label >= 0]
    return Part(faces, kept, people, [labels[index] for index in kept])


def sources_of(faces: FaceSet) -> Sequence[str]:
    """The photo that each face comes from; in a set that does not know, each is a photo of its own, named by its number
    among those of the person."""
    return faces.sources if isinstance(faces, Sourced) else list(_numbered(faces.labels))


def _numbered(labels: Sequence[int]) -> Iterator[str]:
    seen: dict[int, int] = {}
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        yield str(seen[label])
