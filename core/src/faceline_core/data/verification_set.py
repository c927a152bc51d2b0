"""Verification sets: pairs of faces in a `.bin`, as this field passes LFW, CFP-FP, AgeDB-30, CALFW and CPLFW on.

A `.bin` is a pickle of (list of 2N pictures in the bytes of their files, list of N truth values): pictures 2k and
2k + 1 are pair k, which shows one person where truth value k is True. It is read without running anything that it says.

Source: the sets of insightface, and its evaluation code's reading of them.
"""

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.data.decoding import decoded
from faceline_core.data.plain_unpickling import NotPlainError, read_plain
from faceline_core.data.stretch import Stretch
from faceline_core.errors import FacelineError
from faceline_core.stage.files import written_beside

_PROTOCOL = 2
"""The newest of Python 2; it gives byte strings to both Pythons, without `encoding` too."""


class VerificationSet:
    """N pairs of faces. Their pictures stay in the file, where its form allows it, until a face is asked for.

    Attributes:
        path: the `.bin`.
        same: (N,) bool, True where both faces of a pair show one person.
        img_size: side of the faces in px, as they are given.
        found_size: side that the first face has in the file; where it is not `img_size`, faces are resized.
    """

    def __init__(
        self,
        path: Path,
        pictures: Sequence[bytes | Stretch | NDArray[np.uint8]],
        same: NDArray[np.bool_],
        img_size: int,
    ):
        self.path, self.same, self.img_size = path, same, img_size
        self._pictures = pictures
        self.found_size = self._decoded(0).shape[0]

    def __len__(self) -> int:
        return len(self.same)

    def face(self, index: int) -> NDArray[np.uint8]:
        """Face `index` of 2N, (S, S, 3), uint8 RGB in [0, 255]; those of pair k are 2k and 2k + 1.

        Raises:
            FacelineError: where the picture does not decode or is not square; it names pair and picture.
        """
        face = self._decoded(index)
        if face.shape[0] == self.img_size:
            return face
        shrunk = face.shape[0] > self.img_size
        how = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
        resized: NDArray[np.uint8] = cv2.resize(face, (self.img_size, self.img_size), interpolation=how)  # type: ignore[assignment]
        return resized

    def _decoded(self, index: int) -> NDArray[np.uint8]:
        kept = self._pictures[index]
        face = decoded(kept.read() if isinstance(kept, Stretch) else kept, cv2.IMREAD_COLOR_RGB)
        if face is None:
            raise FacelineError(f"{self._where(index)} does not decode. Get the set from its publisher again")
        if face.shape[0] != face.shape[1]:
            raise FacelineError(
                f"{self._where(index)} is {face.shape[1]} x {face.shape[0]} px, expected a square: an aligned face. "
                "Make the set anew"
            )
        return face

    def _where(self, index: int) -> str:
        return f"{self.path}: pair {index // 2} (picture {index})"


def open_verification_set(path: Path, img_size: int) -> VerificationSet:
    """Reads a `.bin`, whichever Python wrote it; lists may be tuples, pictures and truth values NumPy arrays.

    Args:
        path: the file.
        img_size: side in px that the faces shall have. Those of another are resized, by area where they shrink, else
            bilinearly: the sets are of 112 px, and the template of alignment scales with the side.

    Raises:
        FacelineError: where the file is missing or damaged, holds anything but pictures and truth values (nothing of it
            is run), the two do not go together, or the first picture does not decode.
    """
    if not path.is_file():
        raise FacelineError(f"{path} is not there. A verification set is a .bin of pairs of aligned faces")
    try:
        value = read_plain(path)
    except NotPlainError as error:
        raise _fault(path, str(error)) from None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise _fault(path, f"it holds {_kind(value)}, expected pictures and truth values")
    pictures, flags = value
    if not isinstance(pictures, list | tuple):
        raise _fault(path, f"its pictures are {_kind(pictures)}, expected a list")
    if not isinstance(flags, list | tuple) and not (isinstance(flags, np.ndarray) and flags.ndim == 1):
        raise _fault(path, f"its truth values are {_kind(flags)}, expected a list")
    for index, picture in enumerate(pictures):
        if not _is_bytes(picture):
            raise _fault(path, f"picture {index} is {_kind(picture)}, expected bytes")
    for index, flag in enumerate(flags):
        if not isinstance(flag, bool | int | np.bool_ | np.integer) or flag not in (0, 1):
            raise _fault(path, f"truth value {index} is {_kind(flag)}, expected True or False")
    if not pictures or len(pictures) != 2 * len(flags):
        raise _fault(path, f"it holds {len(pictures)} pictures and {len(flags)} truth values, expected two for one")
    return VerificationSet(path, pictures, np.array(flags, bool), img_size)


def write_verification_set(path: Path, pictures: Iterable[bytes], same: Sequence[bool]) -> None:
    """Writes a `.bin` that the readers of this field take, in Python 2 and 3; whole or not at all.

    Args:
        path: the file.
        pictures: 2N, in the bytes of their files; a picture that comes again as the same object is written once.
        same: N, whether pictures 2k and 2k + 1 show one person.

    Raises:
        ValueError: where there are no pairs, one is empty, or there are not two pictures for each truth value.
    """
    held, flags = list(pictures), [bool(flag) for flag in same]
    if not flags or len(held) != 2 * len(flags) or not all(held):
        raise ValueError(f"{len(held)} pictures ({held.count(b'')} empty) for {len(flags)} pairs, expected two each")
    with written_beside(path) as beside, beside.open("wb") as file:
        pickle.dump((held, flags), file, _PROTOCOL)


def _is_bytes(picture: Any) -> bool:
    if isinstance(picture, Stretch):
        return not picture.text
    return isinstance(picture, bytes) or (
        isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 1
    )


def _kind(value: Any) -> str:
    if isinstance(value, Stretch):
        return f"of type {'str' if value.text else 'bytes'}"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value}" if isinstance(value, bool | int) and abs(value) < 1 << 32 else f"of type {type(value).__name__}"


def _fault(path: Path, what: str) -> FacelineError:
    return FacelineError(
        f"{path} is no verification set (a list of pictures and a list of truth values). Make one with ./stage "
        f"preprocess bin, get it anew from its publisher, or take it out of {path.parent} ({what})"
    )
