"""What a 64-bit ELF file says of itself: machine, sections, exported symbols. Bytes in, numbers out.

Layouts are those of elf(5). Addresses are relative to the lowest loaded page, so that adding the address at which
the file is mapped gives the address in a process, for fixed and for relocatable executables alike.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap

MACHINE_X86_64 = 62
MACHINE_AARCH64 = 183

_SHT_DYNSYM = 11
_PT_LOAD = 1
_PAGE_MASK = ~0xFFF
_SYMBOL = struct.Struct("<IBBHQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")


class NotElf(ValueError):
    """The bytes are no 64-bit little-endian ELF file, or a part of it is missing."""


_DAMAGED = (NotElf, IndexError, OverflowError, struct.error)


@dataclass(frozen=True)
class Section:
    name: str
    kind: int
    address: int
    offset: int
    size: int
    link: int


class Elf:
    """A view over the bytes of a file; nothing is read before it is asked for."""

    def __init__(self, data: bytes | mmap) -> None:
        if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01":
            raise NotElf("not a 64-bit little-endian ELF file")
        self._data = data

    @property
    def machine(self) -> int:
        return self._unpack("<H", 18)[0]

    @cached_property
    def base(self) -> int:
        """Address of the lowest loaded page, as the file was linked."""
        offset, size, count = *self._unpack("<Q", 32), *self._unpack("<HH", 54)
        headers = [self._unpack("<IIQQ", offset + size * i) for i in range(count)]
        loaded = [address for kind, _, _, address in headers if kind == _PT_LOAD]
        if not loaded:
            raise NotElf("nothing in it is loaded")
        return min(loaded) & _PAGE_MASK

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """In the file's order; empty when the section headers were cut off."""
        offset, (size, count, names) = self._unpack("<Q", 40)[0], self._unpack("<HHH", 58)
        if not offset or not count:
            return ()
        rows = [self._unpack(_SECTION.format, offset + size * i) for i in range(count)]
        texts = rows[names][4]
        return tuple(Section(self._text(texts + row[0]), row[1], row[3], row[4], row[5], row[6]) for row in rows)

    def section(self, name: str) -> Section | None:
        """None for a damaged file, too."""
        with contextlib.suppress(*_DAMAGED):
            return next((section for section in self.sections if section.name == name), None)
        return None

    def symbols(self, wanted: Collection[str]) -> dict[str, int]:
        """Offsets from the mapped start of those `wanted` symbols that the file exports (defines in .dynsym).

        A damaged file exports what can be read of it: the target chose the file.
        """
        found: dict[str, int] = {}
        with contextlib.suppress(*_DAMAGED):
            for name, value in self._exported({name.encode() for name in wanted}):
                found.setdefault(name, value - self.base)
        return found

    def _exported(self, wanted: set[bytes]) -> Iterator[tuple[str, int]]:
        for table in self.sections:
            if table.kind != _SHT_DYNSYM:
                continue
            texts = self.sections[table.link].offset
            rows = self._data[table.offset : table.offset + table.size // _SYMBOL.size * _SYMBOL.size]
            for name, _, _, home, value, _ in _SYMBOL.iter_unpack(rows):
                if home and value:
                    text = self._data[texts + name : self._data.find(b"\0", texts + name)]
                    if text in wanted:
                        yield text.decode(), value

    def _text(self, offset: int) -> str:
        return self._data[offset : self._data.find(b"\0", offset)].decode("ascii", "replace")

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(layout, self._data, offset)
        except struct.error:
            raise NotElf("the file is cut short") from None
