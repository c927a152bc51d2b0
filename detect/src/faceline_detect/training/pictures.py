"""Pictures to train on, decoded once where they fit into memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.faces import read_photo
from faceline_core.stage.cores import usable_cores

_BLOCK = 64


class Pictures:
    """Pictures by index, at the size at which they are of use.

    The first that fit are decoded here and now, into memory that forked worker processes share; the others each time
    they are asked for.

    Args:
        paths: the files.
        shorter: pictures whose shorter side is longer, px, are reduced to it by area.
        memory: bytes that decoded pictures may take.

    Raises:
        FacelineError: where a picture is missing or does not decode.
    """

    def __init__(self, paths: Sequence[Path], shorter: int, memory: int):
        self.paths, self.shorter = list(paths), shorter
        self._decoded: list[tuple[NDArray[np.uint8], NDArray[np.float64]]] = []
        with ThreadPoolExecutor(usable_cores()) as pool:
            while memory > 0 and len(self._decoded) < len(self.paths):
                start = len(self._decoded)
                block = list(pool.map(self._read, range(start, min(start + _BLOCK, len(self.paths)))))
                memory -= sum(picture.nbytes for picture, _ in block)
                self._decoded += block if memory >= 0 else []

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def in_memory(self) -> int:
        """How many of them."""
        return len(self._decoded)

    def picture(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """(H, W, 3) uint8 RGB, upright, read only; and (2,) what its width and height were multiplied by."""
        return self._decoded[index] if index < len(self._decoded) else self._read(index)

    def _read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        path = self.paths[index]
        try:
            photo = read_photo(path)
        except OSError as error:
            raise FacelineError(f"{path}: {error.strerror}. Put it there, or take it out of the labels") from error
        height, width = photo.shape[:2]
        reduced = self.shorter / min(height, width)
        size = (width, height)
        if reduced < 1:
            size = (max(1, round(width * reduced)), max(1, round(height * reduced)))
            photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        photo.flags.writeable = False
        return photo, np.array(size) / (width, height)
