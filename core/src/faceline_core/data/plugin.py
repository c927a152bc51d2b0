"""Data sets of one's own, by the entry-point group `faceline.datasets`: for those who cannot convert theirs.

The entry point is called as `factory(path: Path, split: str, img_size: int)` with the split train, val or unseen_val
(people held back: asked for where they are verified, or a matcher is trained), and returns a face set, or None for a
val or an unseen_val that there is not. Of `FaceSet` it may leave out `sha256`, which then goes over all faces;
where it has `sources`, a holdout keeps faces of one source together; where it has `has_masks` and `mask`, these say
what is hidden (`faceline_core.data.protocol.Masked`).
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.masks import has_masks, mask_of
from faceline_core.data.protocol import FaceSet, Sourced
from faceline_core.errors import FacelineError

GROUP = "faceline.datasets"
_NEEDED = ("classes", "labels", "__len__", "face", "describe")


class _PluginFaces:
    """What a factory returned, its lists as lists of ours."""

    def __init__(self, faces: Any, img_size: int):
        self.faces, self.img_size = faces, img_size
        self.classes = list(faces.classes)
        self.labels = [int(label) for label in faces.labels]

    def __len__(self) -> int:
        return len(self.faces)

    def face(self, index: int) -> NDArray[np.uint8]:
        face: NDArray[np.uint8] = self.faces.face(index)
        fault = _fault_of_face(face, index, self.img_size)
        if fault:
            raise FacelineError(f"{self.describe(index)}: {fault}. Mend the data set, or set img_size to what it has")
        return face

    @property
    def has_masks(self) -> bool:
        return has_masks(self.faces)

    def mask(self, index: int) -> NDArray[np.uint8] | None:
        return mask_of(self.faces, index)

    def describe(self, index: int) -> str:
        return str(self.faces.describe(index))

    def sha256(self) -> str:
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        if hasattr(self.faces, "sha256"):
            return str(self.faces.sha256())
        digest = hashlib.sha256("\0".join(self.classes).encode())
        digest.update(np.array(self.labels, np.int64).tobytes())
        for index in range(len(self)):
            digest.update(np.ascontiguousarray(self.face(index)).tobytes())
        return digest.hexdigest()


class _SourcedPluginFaces(_PluginFaces):
    @property
    def sources(self) -> list[str]:
        return [str(source) for source in self.faces.sources]


def dataset_names() -> list[str]:
    """The data sets that installed packages offer."""
    return sorted(entry_points(group=GROUP).names)


def open_plugin(name: str, path: Path, split: str, img_size: int) -> FaceSet | None:
    """The split of an installed package's data set, checked.

    Raises:
        FacelineError: where the entry point does not load, or what it returns is no face set.
    """
    entry, *more = entry_points(group=GROUP, name=name)
    if more:
        raise FacelineError(
            f"dataset.format: {name} is offered by {len(more) + 1} packages ({entry.value}, {more[0].value}). "
            "Uninstall all but one"
        )
    faces = _load(entry)(path, split, img_size)
    if faces is None:
        return None
    origin = f"dataset.format: {name} ({entry.value}, {split})"
    fault = next(_faults(faces, img_size), None)
    if fault:
        raise FacelineError(f"{origin}: {fault}. faceline_core.data.protocol.FaceSet says what it has to be")
    return _SourcedPluginFaces(faces, img_size) if isinstance(faces, Sourced) else _PluginFaces(faces, img_size)


def _load(entry: EntryPoint) -> Callable[[Path, str, int], Any]:
    try:
        factory: Callable[[Path, str, int], Any] = entry.load()
    except (ImportError, AttributeError) as error:
        raise FacelineError(
            f"dataset.format: {entry.name}: the entry point {entry.value} does not load ({error}). "
            "Mend or reinstall the package that brings it"
        ) from error
    return factory


def _faults(faces: Any, img_size: int) -> Iterator[str]:
    """What is wrong with a face set that others wrote, told by its lists and its first face; after one fault the next
    need not make sense."""
    lacking = [name for name in _NEEDED if not hasattr(faces, name)]
    if lacking:
        yield f"{type(faces).__name__} has no {', '.join(lacking)}"
    classes, labels = list(faces.classes), list(faces.labels)
    if not all(isinstance(person, str) for person in classes) or len(set(classes)) < len(classes):
        yield "expected classes to be strings, each once"
    if len(labels) != len(faces):
        yield f"expected a label for each face, found {len(labels)} labels and {len(faces)} faces"
    if not labels:
        yield "it has no faces"
    for index, label in enumerate(labels):
        if not isinstance(label, int | np.integer) or not 0 <= label < len(classes):
            yield f"expected labels from 0 to {len(classes) - 1}, found {label!r} at face {index}"
    if isinstance(faces, Sourced) and len(faces.sources) != len(labels):
        yield f"expected a source for each face, found {len(faces.sources)} sources and {len(labels)} faces"
    fault = _fault_of_face(faces.face(0), 0, img_size)
    if fault:
        yield fault


def _fault_of_face(face: object, index: int, img_size: int) -> str | None:
    expected = f"expected face({index}) to be an array ({img_size}, {img_size}, 3) of uint8"
    if not isinstance(face, np.ndarray):
        return f"{expected}, found {type(face).__name__}"
    if face.shape != (img_size, img_size, 3) or face.dtype != np.uint8:
        return f"{expected}, found {face.shape} of {face.dtype}"
    return None
