"""pprof: retained bytes by path as a profile, for `go tool pprof`, Speedscope and others.

The format is a gzipped protocol buffer (google/pprof, proto/profile.proto). Eight message types of plain numbers are
written here by hand: a runtime for protocol buffers and generated code would be more than they are.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import IO

from leakhunt.analysis.heap.graph import HeapGraph

from .paths import Paths, paths

# Numbers of fields in profile.proto.
SAMPLE_TYPE, SAMPLE, LOCATION, FUNCTION, STRING_TABLE = 1, 2, 4, 5, 6
TIME_NANOS, COMMENT, DEFAULT_SAMPLE_TYPE = 9, 13, 14
VALUES = (("objects", "count"), ("space", "bytes"))


def write(graph: HeapGraph, file: IO[bytes]) -> None:
    """Write the profile: one sample for each path, its frames from the object up to the root."""
    found, taken = paths(graph), graph.snapshot
    strings: dict[str, int] = {"": 0}

    def row(text: str) -> int:
        return strings.setdefault(text, len(strings))

    comment = f"leakhunt: snapshot {taken.meta.get('sequence', '?')} of process {taken.meta.get('pid', '?')}"
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        for kind, unit in VALUES:
            packed.write(_message(SAMPLE_TYPE, _number(1, row(kind)) + _number(2, row(unit))))
        for sample in _samples(found):
            packed.write(sample)
        for number, (text, place) in enumerate(zip(found.texts, found.files, strict=True), 1):
            packed.write(_message(LOCATION, _number(1, number) + _message(4, _number(1, number))))
            names = _number(2, row(text)) + _number(3, row(text)) + _number(4, row(place))
            packed.write(_message(FUNCTION, _number(1, number) + names))
        packed.write(_number(TIME_NANOS, int(taken.number("time") * 1e9)))
        packed.write(_number(COMMENT, row(comment)) + _number(DEFAULT_SAMPLE_TYPE, row("space")))
        for text in strings:
            packed.write(_message(STRING_TABLE, text.encode("utf-8", "replace")))


def _samples(found: Paths) -> Iterable[bytes]:
    """Samples with what they have in common side by side: some viewers draw them in the order of the file."""
    stacks: list[tuple[int, ...]] = []
    for above, frame in zip(found.parents.tolist(), found.frames.tolist(), strict=True):
        stacks.append((*(stacks[above] if above >= 0 else ()), frame + 1))
    objects, sizes = found.objects.tolist(), found.sizes.tolist()
    for path in sorted(range(len(stacks)), key=stacks.__getitem__):
        if objects[path]:
            values = _varints((objects[path], sizes[path]))
            yield _message(SAMPLE, _message(1, _varints(reversed(stacks[path]))) + _message(2, values))


def _varints(numbers: Iterable[int]) -> bytes:
    """
    >>> _varints([1, 300]).hex()
    '01ac02'
    """
    found = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            found.append(rest & 0x7F | 0x80)
            rest >>= 7
        found.append(rest)
    return bytes(found)


def _number(field: int, value: int) -> bytes:
    return _varints((field << 3, value))


def _message(field: int, content: bytes) -> bytes:
    return _varints((field << 3 | 2, len(content))) + content
