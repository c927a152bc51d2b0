"""NumPy arrays of whole numbers and truth values as pickles describe them, made without calling what a pickle names.

NumPy writes an array as a call of `_reconstruct` and then its state (shape, type, order, bytes), or since protocol 5 as
a call of `_frombuffer`; a single number as a call of `scalar`; a type as a call of `dtype` and then its state.
"""

import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceline_core.data.stretch import Stretch


class NumberType:
    """A type of whole numbers or truth values: a code such as u1, then its state with the order of bytes."""

    __slots__ = ("code", "order")

    def __init__(self, code: str | bytes, *_align_and_copy: object):
        text = _text(code)
        if not re.fullmatch(r"b1|[iu][1248]", text):
            raise pickle.UnpicklingError(f"it holds an array of type {text[:20]!r}, expected whole numbers")
        self.code, self.order = text, "="

    def set_state(self, state: Any) -> None:
        order = _text(state[1])
        if order not in ("|", "<", ">", "=") or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("it holds an array of a compound type")
        self.order = order

    def array(self, raw: bytes | Stretch, shape: tuple[int, ...], order: str) -> NDArray[Any]:
        """An array over these bytes, which must be as many as it needs; read only, and no copy."""
        content = raw.read() if isinstance(raw, Stretch) and not raw.text else raw
        kind = np.dtype(np.uint8 if self.code == "b1" else self.order + self.code)
        fits = type(shape) is tuple and all(type(side) is int and side >= 0 for side in shape)
        if not isinstance(content, bytes) or not fits or math.prod(shape) * kind.itemsize != len(content):
            raise pickle.UnpicklingError("it holds an array whose bytes are not those of its shape")
        values: NDArray[Any] = np.frombuffer(content, kind)
        if self.code == "b1":
            if values.max(initial=0) > 1:
                raise pickle.UnpicklingError("it holds truth values that are neither 0 nor 1")
            values = values.view(np.bool_)
        return values.reshape(shape, order="F" if order == "F" else "C")


class Unfinished:
    """An array whose state is yet to come; then it is `array`."""

    __slots__ = ("array",)

    def __init__(self, *_class_shape_and_code: object):
        self.array: NDArray[Any] | None = None

    def set_state(self, state: Any) -> None:
        _version, shape, kind, fortran, raw = state
        self.array = _checked(kind).array(raw, shape, "F" if fortran else "C")


def _from_buffer(raw: bytes | Stretch, kind: NumberType, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    return _checked(kind).array(raw, shape, order)


def _scalar(kind: NumberType, raw: bytes | Stretch) -> bool | int:
    number: bool | int = _checked(kind).array(raw, (1,), "C").item()
    return number


def _ndarray(*_arguments: object) -> Any:
    raise pickle.UnpicklingError("it calls numpy.ndarray, which is only named where NumPy wrote an array")


def _checked(kind: object) -> NumberType:
    if not isinstance(kind, NumberType):
        raise pickle.UnpicklingError("it holds an array of no type")
    return kind


def _text(word: str | bytes) -> str:
    return word.decode("latin1") if isinstance(word, bytes) else word


ARRAY_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": NumberType,
    "numpy.ndarray": _ndarray,
    **{f"numpy.{core}.multiarray._reconstruct": Unfinished for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
}
"""What is done where a pickle calls one of these; NumPy renamed `core` in version 2."""
