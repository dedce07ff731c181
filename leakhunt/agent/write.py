"""Rows to bytes: a `.leak` file that is whole or absent (format: schema.py)."""

import os
from array import array
from binascii import crc32  # builtin nearly everywhere, unlike zlib

from . import __builtins__, schema

DTYPE_BY_CODE = {"B": "|u1", "I": "<u4", "Q": "<u8"}


class Strings:
    """Interned texts; `id_of` takes exact `str` only and gives the row that columns refer to."""

    def __init__(self):
        self._ids = {"": 0}
        self._texts = [b""]

    def id_of(self, text):
        number = self._ids.get(text)
        if number is None:
            number = self._ids[text] = self._number_of(text)
        return number

    def _number_of(self, text):
        self._texts.append(text.encode("utf-8", "backslashreplace"))
        return len(self._texts) - 1

    def columns(self):
        ends, end = [], 0
        for text in self._texts:
            end += len(text)
            ends.append(end)
        return {"strings.bytes": ("|u1", b"".join(self._texts)), "strings.end": array("Q", ends)}


class LastingStrings(Strings):
    """Texts of several graphs, of which each has all: what was named once keeps its number.

    Between graphs nothing is kept of the program's own strings but those that were asked for at the last graph and not
    at the first, for they will be again; what is asked for again later has a second number.
    """

    def __init__(self):
        Strings.__init__(self)
        self._texts, self._bytes, self._ends = [], b"", array("Q", (0,))
        self._last, self._is_first = {}, True

    def __len__(self):
        return len(self._ends) + len(self._texts)

    def parts(self):
        """What is made for this object, which the agent keeps out of its graphs."""
        return self, self._ids, self._last, self._texts, self._ends

    def _number_of(self, text):
        number = self._last.get(text)
        if number is None:
            number = len(self)
            self._texts.append(text.encode("utf-8", "backslashreplace"))
        return number

    def columns(self):
        """Columns with all texts so far; a graph is over with this."""
        ends, end = [], self._ends[-1]
        for text in self._texts:
            end += len(text)
            ends.append(end)
        self._ends.extend(ends)
        self._bytes += b"".join(self._texts)
        self._last = {} if self._is_first else self._ids
        self._ids, self._texts, self._is_first = {"": 0}, [], False
        return {"strings.bytes": ("|u1", self._bytes), "strings.end": self._ends}


def pieces(meta, strings, columns):
    """The file's bytes in order, as an iterator of buffers.

    `meta` maps str to printable values; `columns` maps a name to an `array` of typecode B, I or Q or to a pair
    (dtype, bytes). Arrays are written from their own memory, without a copy.
    """
    sections = {schema.META_TEXT: ("|u1", schema.lines(meta))}
    for name, column in {**strings.columns(), **columns}.items():
        sections[name] = column if isinstance(column, tuple) else (DTYPE_BY_CODE[column.typecode], column)
    head = schema.MAGIC + little(schema.VERSION, 4) + little(0, 4)
    yield head.ljust(schema.ALIGNMENT, b"\0")
    offset, toc = schema.ALIGNMENT, []
    for name, (dtype, data) in sections.items():
        view = memoryview(data).cast("B")
        toc.append("%s\t%s\t%d\t%d\n" % (name, dtype, offset, len(view) // int(dtype[2:])))
        yield view
        yield b"\0" * (schema.padded(len(view)) - len(view))
        offset += schema.padded(len(view))
    table = "".join(toc).encode()
    yield table
    yield (
        little(offset, 8)
        + little(len(table), 8)
        + little(crc32(table), 4)
        + little(schema.VERSION, 4)
        + schema.END_MAGIC
    )


def little(number, size):
    """Little-endian bytes; `struct.pack` would leave its compiled format in a cache that the program shares."""
    return number.to_bytes(size, "little")


def is_there(path):
    """Whether there is such a file; `os.path` is Python code, and would need the program's builtins."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def write_whole(path, buffers):
    """Write `buffers` to `path` so that the file is there whole or not at all; returns its size.

    Raises OSError when that is impossible (disk full, folder gone); nothing is left behind then.
    """
    temporary = path + ".part"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            size = 0
            for buffer in buffers:
                view = memoryview(buffer)
                while len(view):
                    written = os.write(descriptor, view[: 1 << 22])
                    size += written
                    view = view[written:]
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return size
