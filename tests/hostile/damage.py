"""Damages files of a run, each damage told by a number: bytes anywhere, or what a file says in its own terms."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from random import Random
from zlib import crc32

import numpy as np

from leakhunt.agent import schema
from leakhunt.snapshot import TAIL

Columns = dict[str, tuple[str, bytearray]]

NUMBERS = (
    0, 1, 2, 7, 8, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 28, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
    1 << 32, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1,
)  # fmt: skip
TEXTS = (
    "nan", "inf", "-inf", "-1", "1e400", "", "abc", "0", "9" * 20, "9" * 5000, "1e308", "1e-320", "-0", "\u202e", "1 2",
    "\u0663", "1_0", " 5 ", "5.0\0", "deep", "exit", "\x1b[31m", "x" * 5000,
)  # fmt: skip
DTYPES = ("|u1", "<u4", "<u8", "<f8", "<i4", ">u4", "|O", "|S8", "<U4", "u1", "V8", "<m8", "|V0")
COLUMN_NAMES = (
    "", "a.b.c", "object", "object.address", "reference.target", "reference.index", "label.position", "strings.end",
    "value.address", "value.text", "meta.x", "\u202e",
)  # fmt: skip
JSON = (None, True, 0, -1, 1 << 80, 1e308, float("nan"), float("inf"), "", "x", [], [[]], [None], {}, {"interval": {}})


def damaged(dice: Random, data: bytes) -> bytes:
    """A `.leak` file with something wrong in it, most often in what its columns say."""
    kind = dice.random()
    if kind < 0.12:
        return damaged_bytes(dice, data)
    if kind < 0.15:
        changed = bytearray(data)
        place, length = (dice.choice([*NUMBERS, len(data)]) for _ in range(2))
        struct.pack_into("<QQ", changed, len(changed) - TAIL.size, place, length)
        return bytes(changed)
    columns = parsed(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        if columns:
            dice.choices(WAYS, WEIGHTS)[0](dice, columns, dice.choice(list(columns)))
    return built(columns, dice if dice.random() < 0.15 else None)


def damaged_bytes(dice: Random, data: bytes) -> bytes:
    """Any file with bits changed, cut, or with a piece missing, doubled or moved."""
    changed = bytearray(data)
    kind = dice.randrange(5)
    first, second = sorted(dice.randrange(len(data) + 1) for _ in range(2))
    if kind == 0 or not data:
        for _ in range(dice.randint(1, 8) if data else 0):
            changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        return bytes(changed)
    if kind == 1:
        return data[:first]
    if kind == 2:
        return data[:first] + data[second:]
    if kind == 3:
        return data[:second] + data[first:]
    return data[:first] + dice.randbytes(second - first)[:64] + data[first:]


def parsed(data: bytes) -> Columns:
    offset, length, *_ = TAIL.unpack(data[-TAIL.size :])
    found: Columns = {}
    for line in data[offset : offset + length].decode().splitlines():
        name, dtype, start, count = line.split("\t")
        begin = int(start)
        found[name] = (dtype, bytearray(data[begin : begin + int(count) * int(dtype[2:])]))
    return found


def built(columns: Columns, dice: Random | None) -> bytes:
    """The file again, its table of contents damaged too where there are `dice`; the checksum is right."""
    head = (schema.MAGIC + struct.pack("<II", schema.VERSION, 0)).ljust(schema.ALIGNMENT, b"\0")
    data, table = bytearray(head), []
    for name, (dtype, content) in columns.items():
        table.append([name, dtype, str(len(data)), str(len(content) // _width(dtype))])
        data += content
        data += b"\0" * (-len(data) % schema.ALIGNMENT)
    if dice is not None and table:
        _damage_table(dice, table, len(data))
    text = "".join("\t".join(row) + "\n" for row in table).encode("utf-8", "surrogatepass")
    return bytes(data + text + TAIL.pack(len(data), len(text), crc32(text), schema.VERSION, schema.END_MAGIC))


def _damage_table(dice: Random, table: list[list[str]], size: int) -> None:
    row, kind = dice.choice(table), dice.randrange(6)
    if kind == 0:
        row[2] = str(dice.choice([*NUMBERS, -1, -64, size, size - 1, 3, 64]))
    elif kind == 1:
        row[3] = str(dice.choice([*NUMBERS, -1, -64, size]))
    elif kind == 2:
        row[0] = dice.choice(COLUMN_NAMES)
    elif kind == 3:
        table.append(list(row))
    elif kind == 4:
        row[dice.randrange(4)] = dice.choice(("", "x", "1e3", "0x10", "\u0663", "1_0", " 1", "+1", "-0", "\ud800"))
    else:
        table.remove(row)


def _width(dtype: str) -> int:
    return int(dtype[2:]) if dtype[2:].isdigit() and int(dtype[2:]) else 1


# Ways to damage a column


def _set(dice: Random, columns: Columns, name: str) -> None:
    dtype, data = columns[name]
    width, rows = _width(dtype), len(data) // _width(dtype)
    for _ in range(dice.choice((1, 1, 2, 5)) if rows else 0):
        value = dice.choice([*NUMBERS, dice.randrange(rows + 2), rows, rows - 1, dice.getrandbits(64)])
        row = dice.randrange(rows)
        data[row * width : (row + 1) * width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")


def _shift(dice: Random, columns: Columns, name: str) -> None:
    """Two values changed so that their sum stays."""
    dtype, data = columns[name]
    width, rows = _width(dtype), len(data) // _width(dtype)
    if rows < 2 or width not in (1, 4, 8):
        return
    amount, mask = dice.choice((1, 2, 3, 1 << 31, 1 << 32, 1 << 63)), (1 << 8 * width) - 1
    for row, sign in zip(dice.sample(range(rows), 2), (1, -1), strict=True):
        place = slice(row * width, (row + 1) * width)
        data[place] = ((int.from_bytes(data[place], "little") + sign * amount) & mask).to_bytes(width, "little")


def _call_otherwise(dice: Random, columns: Columns, name: str) -> None:
    columns[name] = (dice.choice(DTYPES), columns[name][1])


def _convert(dice: Random, columns: Columns, name: str) -> None:
    """The same numbers in another width, and one of them odd."""
    dtype, data = columns[name]
    kept = dtype if dtype in ("|u1", "<u4", "<u8") else "|u1"
    numbers = np.frombuffer(bytes(data[: len(data) // _width(kept) * _width(kept)]), dtype=kept)
    wanted = dice.choice(("|u1", "<u4", "<u8"))
    columns[name] = (wanted, bytearray(numbers.astype(wanted).tobytes()))
    if dice.random() < 0.7:
        _set(dice, columns, name)


def _remove(dice: Random, columns: Columns, name: str) -> None:
    del columns[name]


def _cut(dice: Random, columns: Columns, name: str) -> None:
    dtype, data = columns[name]
    columns[name] = (dtype, data[: dice.choice((0, dice.randrange(len(data) + 1)))])


def _lengthen(dice: Random, columns: Columns, name: str) -> None:
    dtype, data = columns[name]
    columns[name] = (dtype, data + dice.randbytes(_width(dtype) * dice.choice((1, 2, 64))))


def _cut_table(dice: Random, columns: Columns, name: str) -> None:
    rows = dice.choice((0, 0, 1, 2))
    for other in list(columns):
        if other.partition(".")[0] == name.partition(".")[0]:
            dtype, data = columns[other]
            columns[other] = (dtype, data[: _width(dtype) * rows])


def _damage_meta(dice: Random, columns: Columns, name: str) -> None:
    lines = bytes(columns.get("meta", ("|u1", b""))[1]).decode("utf-8", "replace").splitlines()
    if lines:
        row = dice.randrange(len(lines))
        lines[row] = lines[row].split("\t")[0] + "\t" + dice.choice(TEXTS)
        if dice.random() < 0.1:
            lines[row] = dice.choice(("\t", "", "a\tb\tc", "\\", "x\\\ty"))
        columns["meta"] = ("|u1", bytearray(("\n".join(lines) + "\n").encode("utf-8", "replace")))


WAYS: tuple[Callable[[Random, Columns, str], None], ...] = (
    _set, _shift, _call_otherwise, _convert, _remove, _cut, _lengthen, _cut_table, _damage_meta,
)  # fmt: skip
WEIGHTS = (6, 2, 1, 1, 1, 2, 1, 1, 2)


# The other files


def damaged_json(dice: Random, data: bytes) -> bytes:
    """`run.json` with a value of another kind somewhere, or with other bytes."""
    if dice.random() < 0.3:
        return damaged_bytes(dice, data)
    if dice.random() < 0.05:
        return b'{"options":' * 5000 + b"1" + b"}" * 5000
    info = json.loads(data)
    places = list(_places(info))
    for _ in range(dice.choice((1, 1, 2))):
        holder, key = dice.choice(places)
        if isinstance(holder, list) or dice.random() < 0.9:
            holder[key] = dice.choice((*JSON, *TEXTS))
        else:
            holder.pop(key, None)
    return json.dumps(dice.choice(JSON) if dice.random() < 0.05 else info).encode("utf-8", "surrogatepass")


def _places(holder: dict[str, object] | list[object]) -> Iterator[tuple[object, object]]:
    for key, value in list(holder.items()) if isinstance(holder, dict) else enumerate(list(holder)):
        yield holder, key
        if isinstance(value, dict | list):
            yield from _places(value)


def damaged_lines(dice: Random, data: bytes) -> bytes:
    """A `process` file with another value in a line, or with other bytes."""
    if dice.random() < 0.3 or b"\t" not in data:
        return damaged_bytes(dice, data)
    lines = data.decode("utf-8", "replace").splitlines()
    row = dice.randrange(len(lines))
    lines[row] = lines[row].split("\t")[0] + "\t" + dice.choice(TEXTS)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
