"""Decoded faces, kept in memory or in one memory-mapped file, so that each is decoded once."""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.masks import has_masks, mask_of
from faceline_core.data.part import sources_of
from faceline_core.data.protocol import FaceSet
from faceline_core.errors import FacelineError
from faceline_core.stage.cores import usable_cores
from faceline_core.stage.memory import available_bytes

_BLOCK = 256
_KEPT_SECONDS = 2 * 24 * 3600
"""A file that no run has opened for so long is removed; others may be in use by a run beside this one."""


class CachedFaces:
    """A face set with its faces decoded.

    Args:
        faces: the set.
        array: (N, S, S, 3) uint8 RGB, read only.
        path: the file that `array` is mapped from, which worker processes open for themselves; None where it is in
            memory.
    """

    def __init__(self, faces: FaceSet, array: NDArray[np.uint8], path: Path | None = None):
        self.faces, self.array, self.path = faces, array, path
        self.classes, self.labels = faces.classes, faces.labels

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ if self.path is None else self.__dict__ | {"array": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.path is not None:
            self.array = _mapped(self.path)

    @property
    def sources(self) -> Sequence[str]:
        return sources_of(self.faces)

    def __len__(self) -> int:
        return len(self.faces)

    def face(self, index: int) -> NDArray[np.uint8]:
        return np.array(self.array[index])

    @property
    def has_masks(self) -> bool:
        return has_masks(self.faces)

    def mask(self, index: int) -> NDArray[np.uint8] | None:
        return mask_of(self.faces, index)

    def describe(self, index: int) -> str:
        return self.faces.describe(index)

    def sha256(self) -> str:
        return self.faces.sha256()


def cached(faces: FaceSet, how: Literal["none", "memory", "disk"], img_size: int, folder: Path) -> FaceSet:
    """The same faces, decoded once.

    Args:
        faces: N of them.
        how: none decodes each face each time it is asked for; memory decodes all now, into this process; disk into a
            file that runs share and that processes map together, or takes the file that is there from an earlier run.
        img_size: side of the faces in px.
        folder: where `disk` keeps its files. Those that no run has opened for two days are removed.

    Raises:
        FacelineError: where the faces do not fit in memory, or one of them does not do.
        OSError: where the disk is full.
    """
    if how == "none":
        return faces
    if how == "memory":
        return CachedFaces(faces, _in_memory(faces, img_size))
    path = folder / f"faces-{faces.sha256()[:16]}-{img_size}.npy"
    if not path.is_file():
        _write(faces, img_size, path)
    os.utime(path)
    _remove_unused(folder, path)
    return CachedFaces(faces, _mapped(path), path)


def _in_memory(faces: FaceSet, size: int) -> NDArray[np.uint8]:
    shape = (len(faces), size, size, 3)
    needed, available = int(np.prod(shape)), available_bytes()
    if needed > available:
        raise FacelineError(
            f"dataset.cache: memory: {len(faces)} faces of {size} px are {needed / 1e6:.1f} MB, and "
            f"{available / 1e6:.1f} MB are free. Set dataset.cache: disk"
        )
    array = np.empty(shape, np.uint8)
    filled = 0
    for block in _blocks(faces):
        array[filled : filled + len(block)] = block
        filled += len(block)
    array.flags.writeable = False
    return array


def _write(faces: FaceSet, size: int, path: Path) -> None:
    """Writes the whole file beside and renames it; processes that do so at once, on several machines even, get by.

    Plain writing: on a full disk a memory map would kill the process, where this raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(faces), size, size, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for block in _blocks(faces):
                file.write(block.data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _mapped(path: Path) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return array


def _blocks(faces: FaceSet) -> Iterator[NDArray[np.uint8]]:
    """All faces in order, (n, S, S, 3) at a time; OpenCV decodes without holding the interpreter's lock."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(faces), _BLOCK):
            yield np.stack(list(pool.map(faces.face, range(start, min(start + _BLOCK, len(faces))))))


def _remove_unused(folder: Path, used: Path) -> None:
    """Files of other faces, and what killed runs left half written."""
    for path in folder.glob("*faces-*.npy*"):
        with suppress(FileNotFoundError):  # another process was quicker
            if path != used and time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                path.unlink()
