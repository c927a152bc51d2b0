"""Bytes that stay in their file until somebody asks for them."""

import os
import weakref
from pathlib import Path


class Source:
    """An open file; threads and forked processes may read at the same time. It is closed with the last who needs it."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)


class Stretch:
    """A run of bytes of a file, or of a text in UTF-8.

    Args:
        source: the file.
        start: its first byte.
        size: how many.
        text: whether they stand for a text.
    """

    __slots__ = ("_latin1", "size", "source", "start", "text")

    def __init__(self, source: Source, start: int, size: int, text: bool):
        self.source, self.start, self.size, self.text = source, start, size, text
        self._latin1 = False

    def read(self) -> bytes:
        raw = os.pread(self.source.descriptor, self.size, self.start)
        return raw.decode().encode("latin1") if self._latin1 else raw

    def as_latin1(self) -> "Stretch":
        """The bytes that a text stands for, in which Python 3 writes bytes for Python 2.

        Raises:
            UnicodeError: where it stands for none.
        """
        found = Stretch(self.source, self.start, self.size, text=False)
        found._latin1 = True
        found.read()
        return found
