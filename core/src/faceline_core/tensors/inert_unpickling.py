"""A pickle module for torch.load that builds tensors and plain values, and nothing else.

Checkpoints of Lightning hold objects of their writers' classes beside the weights (argparse.Namespace, a configuration
class, a callback's state). Each such object becomes an inert placeholder: no class or function that a file names is
imported or called, except those of `_BUILDERS`, whose arguments are plain values.
"""

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from io import SEEK_END
from typing import Any, BinaryIO, ClassVar

import numpy as np
import torch


class Placeholder:
    """Stands for an object of a class that is not loaded. It takes whatever a pickle does to it, and keeps nothing."""

    __slots__ = ()

    def __new__(cls, *_arguments: Any, **_named: Any) -> "Placeholder":
        return super().__new__(cls)

    def __call__(self, *_arguments: Any, **_named: Any) -> "Placeholder":
        return self

    def __setstate__(self, _state: Any = None) -> None: ...
    def __setitem__(self, _key: Any, _value: Any) -> None: ...
    def append(self, _item: Any) -> None: ...
    def extend(self, _items: Any) -> None: ...
    def add(self, _item: Any) -> None: ...


class _Builder:
    """A function that a file may call; unlike the function itself, nothing in a file can change it."""

    __slots__ = ("_function",)

    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]):
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("the file changes a function")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("the file changes a function")


class _ScalarType:
    """A NumPy dtype as a pickle describes it: a code such as f8, then a state with the byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_align_and_copy: Any):
        if not re.fullmatch(r"[biufc]\d{1,2}", code):
            raise pickle.UnpicklingError(f"{code!r} is no type of a number")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="


def _scalar(kind: _ScalarType, data: bytes) -> Any:
    return np.frombuffer(data, np.dtype(kind.order + kind.code), count=1)[0].item()


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding}, which PyTorch does not write")
    return text.encode("latin1")


_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor": torch._utils._rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,
    "torch.Size": torch.Size,
    "torch.device": torch.device,
    "numpy.dtype": _ScalarType,
    "_codecs.encode": _latin1,
    **{f"{module}.set": set for module in ("builtins", "__builtin__")},
    **{f"{module}.complex": complex for module in ("builtins", "__builtin__")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
}


class _Bounded:
    """A file of which no more is read than it has: a damaged one asks for memory that nobody has."""

    def __init__(self, file: BinaryIO):
        self._file, here = file, file.tell()
        self._end = file.seek(0, SEEK_END)
        file.seek(here)
        self.readline = file.readline

    def read(self, size: int) -> bytes:
        if size > self._end - self._file.tell():
            raise pickle.UnpicklingError("the file ends early")
        return self._file.read(size)


class Unpickler(pickle._Unpickler):
    """Python's own unpickler: the C one reserves as much memory as a damaged file asks for."""

    dispatch: ClassVar = {code: do for code, do in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]}

    def __init__(self, file: BinaryIO, **arguments: Any):
        super().__init__(_Bounded(file), **arguments)

    def find_class(self, module: str, name: str, /) -> Any:
        if f"{module}.{name}" in _BUILDERS:
            return _Builder(_BUILDERS[f"{module}.{name}"])
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return Placeholder


def load(file: BinaryIO, **arguments: Any) -> Any:
    return Unpickler(file, **arguments).load()
