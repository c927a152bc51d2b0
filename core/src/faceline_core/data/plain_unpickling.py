"""Reads pickles of plain values: bytes, str, bool, int, list, tuple and NumPy arrays of whole numbers; nothing else.

No class or function that a file names is imported or called. Of the pickle machine's instructions only those are known
that make plain values. The few calls by which NumPy writes arrays, and Python 3 writes bytes for Python 2, are told by
their names and done by functions of ours. A file that holds anything else is refused at the first such instruction.

Byte strings and texts of 1,000 bytes and more are left in the file: in their place stands a Stretch.
"""

import os
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from faceline_core.data.plain_arrays import ARRAY_CALLS, NumberType, Unfinished
from faceline_core.data.stretch import Source, Stretch

_PLAIN = (
    *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK),
    *(pickle.NEWTRUE, pickle.NEWFALSE, pickle.NONE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG, pickle.LONG1, pickle.LONG4),
    *(pickle.STRING, pickle.SHORT_BINSTRING, pickle.UNICODE, pickle.SHORT_BINUNICODE, pickle.SHORT_BINBYTES),
    *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE),
    *(pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL),
)
"""Instructions that are done as Python's own unpickler does them."""

_LONG = (pickle.BINSTRING, pickle.BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES, pickle.BINBYTES8)
"""Likewise, and what they make may be left in the file."""

_LEFT_FROM = 1000
"""Bytes. A face has 2,000 to 9,000."""

_FREE, _BYTES_EACH = 100_000, 32
"""An instruction of one byte can make an object of fifty: a file may hold so many, and one more for so many bytes."""

_FAULTS = (  # what damage looks like to the unpickler
    pickle.UnpicklingError,
    EOFError,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
)


def read_plain(path: Path) -> Any:
    """What a pickle of plain values holds. Byte strings of Python 2 come as bytes, long ones as Stretch.

    Raises:
        NotPlainError: where it is damaged, is no pickle, or holds anything else. It names the byte; nothing that the
            file says has been run.
    """
    source = Source(path)
    with open(source.descriptor, "rb", closefd=False) as opened:
        file = _File(opened, source)
        try:
            return _Unpickler(file).load()
        except _FAULTS as error:
            what = str(error) if isinstance(error, pickle.UnpicklingError) else "it is damaged, or no pickle"
            raise NotPlainError(f"before byte {file.tell()} {what}; nothing of it was run") from None


class NotPlainError(Exception):
    """A file is no pickle of plain values; the message goes on from its name."""


class _File:
    """A file of which no more is read than it has: a damaged one asks for memory that nobody has."""

    def __init__(self, file: BinaryIO, source: Source):
        self._file, self.source, self.size = file, source, os.fstat(source.descriptor).st_size
        self.readline, self.tell = file.readline, file.tell

    def read(self, size: int) -> bytes:
        if size > self.size - self._file.tell():
            raise pickle.UnpicklingError("the file ends early")
        return self._file.read(size)


class _Call:
    """Stands for a function that a file names: it can be called, and not be changed."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]):
        self.function = function


def _latin1(text: str | Stretch, encoding: str) -> bytes | Stretch:
    """Bytes as Python 3 writes them for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes in {encoding!r:.40}, which Python does not write")
    return text.as_latin1() if isinstance(text, Stretch) else text.encode("latin1")


_CALLS = ARRAY_CALLS | {"_codecs.encode": _latin1}


class _Memo(dict[int, Any]):
    """Values that come back. An array is put down here before its state is known, and comes back with it."""

    def __getitem__(self, key: int) -> Any:
        value = super().__getitem__(key)
        return value.array if isinstance(value, Unfinished) and value.array is not None else value


class _Actions(dict[int, Callable[[Any], None]]):
    """What is done at each instruction, `left` times at most."""

    def __init__(self, left: int):
        super().__init__(_ACTIONS)
        self.left = left

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.left -= 1
        if self.left < 0:
            raise pickle.UnpicklingError("it holds far more pieces than faces and flags have")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> Callable[[Any], None]:
        names = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
        what = f"the instruction {names[code]}, which makes no plain value" if code in names else "what no pickle holds"
        raise pickle.UnpicklingError(f"it holds {what}")


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler: the C one reserves as much memory as a damaged file asks for."""

    def __init__(self, file: _File):
        super().__init__(file, encoding="bytes")
        self.file = file
        self.memo = _Memo()
        self.dispatch = _Actions(_FREE + file.size // _BYTES_EACH)  # type: ignore[misc]

    def find_class(self, module: str, name: str, /) -> Any:
        function = _CALLS.get(f"{module}.{name}")
        if function is None:
            raise pickle.UnpicklingError(f"it names {f'{module}.{name}'[:60]!r}, which makes no plain value")
        return _Call(function)


def _leaving(load: Callable[[Any], None]) -> Callable[[Any], None]:
    """As `load`, which ends with the last byte of what it makes; where that is long, it gives way to a Stretch."""

    def loaded(unpickler: Any) -> None:
        load(unpickler)
        value = unpickler.stack[-1]
        if len(value) >= _LEFT_FROM:
            text = isinstance(value, str)
            size = len(value.encode("utf-8", "surrogatepass")) if text else len(value)
            unpickler.stack[-1] = Stretch(unpickler.file.source, unpickler.file.tell() - size, size, text)

    return loaded


def _reduce(unpickler: Any) -> None:
    arguments = unpickler.stack.pop()
    call = unpickler.stack[-1]
    if not isinstance(call, _Call):
        raise pickle.UnpicklingError("it calls what is no function")
    unpickler.stack[-1] = call.function(*arguments)


def _build(unpickler: Any) -> None:
    state = unpickler.stack.pop()
    value = unpickler.stack[-1]
    if not isinstance(value, NumberType | Unfinished):
        raise pickle.UnpicklingError("it changes what is no array")
    value.set_state(state)
    if isinstance(value, Unfinished):
        unpickler.stack[-1] = value.array


def _pass_over(unpickler: Any) -> None:
    """The length of a frame, which is there for those who read ahead."""
    unpickler.read(8)


_ACTIONS: dict[int, Callable[[Any], None]] = {
    **{code[0]: pickle._Unpickler.dispatch[code[0]] for code in _PLAIN},
    **{code[0]: _leaving(pickle._Unpickler.dispatch[code[0]]) for code in _LONG},
    pickle.FRAME[0]: _pass_over,
    pickle.BYTEARRAY8[0]: _leaving(pickle._Unpickler.dispatch[pickle.BINBYTES8[0]]),
    pickle.REDUCE[0]: _reduce,
    pickle.BUILD[0]: _build,
}
