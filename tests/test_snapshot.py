"""The reader of `.leak` files consumes any bytes and answers with columns or with one plain sentence."""

from __future__ import annotations

import os
import random
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from heap import Heap, save

from leakhunt.agent import schema
from leakhunt.agent.sampler import Options, Sampler
from leakhunt.analysis.heap.dominators import dominators
from leakhunt.analysis.heap.finalizers import finalizers
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.report.diff import diff
from leakhunt.errors import SnapshotError
from leakhunt.snapshot import TAIL, Snapshot


def a_snapshot(deep: bool = True) -> Snapshot:
    heap = Heap(note="tab\there, new\nline and back\\slash")
    heap.type("shop.Order", del_at="shop.py:40")
    orders = heap.list([heap.instance("shop.Order", text=heap.string()) for _ in range(33)])
    heap.module("shop", "shop.py", ORDERS=orders, WATCH=heap.weakref(orders[0]))
    return heap.snapshot(deep=deep)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return save(a_snapshot(), tmp_path_factory.mktemp("leak") / "s.leak").read_bytes()


def consume(snapshot: Snapshot) -> None:
    """Everything that is ever read of a snapshot, and what the analysis makes of it."""
    assert sum(count for count, _ in snapshot.census.values()) >= 0
    if snapshot.is_deep:
        graph = HeapGraph(snapshot)
        names = Names(graph)
        for index in range(graph.count):
            names.owners(index)
            names.chain(index)
        assert len(graph.garbage) == graph.count
        assert len(dominators(graph).idom) == graph.count
        assert len(finalizers(graph, np.arange(graph.count))) <= len(snapshot.type_names)
        assert [root for root in graph.roots if root.label is None] == []
        assert diff([snapshot, snapshot]).rows is not None


def read(path: Path, data: bytes) -> Snapshot:
    path.write_bytes(data)
    return Snapshot.load(path)


# What was written is read


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "census"])
def test_what_was_written_is_read(tmp_path: Path, deep: bool) -> None:
    before = a_snapshot(deep)
    after = Snapshot.load(save(before, tmp_path / "s.leak"))
    assert after.meta == before.meta
    assert after.meta["note"] == "tab\there, new\nline and back\\slash"
    assert after._columns.keys() == before._columns.keys()
    assert all((after.column(name) == before.column(name)).all() for name in before._columns)
    assert after.is_deep is deep
    assert after.strings == before.strings
    assert after.census == before.census
    assert after.census["shop.Order"][0] == 33


def test_columns_are_little_endian_and_lie_on_their_alignment(written: bytes, tmp_path: Path) -> None:
    snapshot = read(tmp_path / "s.leak", written)
    assert snapshot.column("object.address").dtype == np.dtype("<u8")
    offset, length = TAIL.unpack(written[-TAIL.size :])[:2]
    offsets = [int(line.split("\t")[2]) for line in written[offset : offset + length].decode().splitlines()]
    assert offsets
    assert not any(start % schema.ALIGNMENT for start in offsets)


def test_a_column_of_nothing_is_empty(tmp_path: Path) -> None:
    heap = Heap()
    snapshot = Snapshot.load(save(heap.snapshot(), tmp_path / "s.leak"))
    assert len(snapshot.column("weak.source")) == 0
    assert len(snapshot.column("bound.value")) == 0


def test_a_column_that_nobody_knows_is_no_hindrance(tmp_path: Path) -> None:
    snapshot = a_snapshot()
    more = Snapshot(snapshot.meta, {**snapshot._columns, "later.idea": np.arange(5, dtype="<u4")})
    assert Snapshot.load(save(more, tmp_path / "s.leak")).column("later.idea").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("text", ["a\tb", "a\nb\r\n", "\\t", "\\\\r", "back\\", "", "ä\udc80"])
def test_what_is_written_as_lines_is_read_back(text: str) -> None:
    read = schema.values_of(schema.lines({"first": text, "second": 1.5}))
    assert read == {"first": text.encode("utf-8", "backslashreplace").decode(), "second": "1.5"} or "\udc80" in text
    assert list(read) == ["first", "second"]


def test_a_key_of_an_earlier_version_has_its_name_of_today() -> None:
    assert schema.values_of(b"hold_ms\t1.5\n") == {"pause_ms": "1.5"}


@pytest.mark.parametrize("engine", ["c", "python"])
@pytest.mark.parametrize("deep", [False, True])
def test_every_key_of_a_snapshot_is_in_the_formats_text(engine: str, deep: bool, tmp_path: Path) -> None:
    sampler = Sampler("leakhunt.agent", str(tmp_path), Options(f"engine={engine}"))
    sampler._stop = False
    sampler._take(deep, "interval")
    (path,) = tmp_path.glob("*/*.leak")
    documented = set(re.findall(r"\w+", schema.__doc__.split("The keys of `meta`")[1]))
    found = {"agent_…" if key.startswith("agent_") else key for key in Snapshot.load(path).meta}
    assert found - {"agent_…"} <= documented
    assert set(schema.values_of((path.parent / "process").read_bytes())) <= documented


def test_names_that_are_no_text_are_read_all_the_same(tmp_path: Path) -> None:
    heap = Heap()
    heap.module("shop", ODD=heap.instance("shop.\udcff\u00e4\U0001f600\t\n"))
    names = Snapshot.load(save(heap.snapshot(), tmp_path / "s.leak")).type_names
    assert any("\u00e4\U0001f600\t\n" in name for name in names)


def test_files_are_private_to_the_user(tmp_path: Path) -> None:
    assert os.stat(save(a_snapshot(), tmp_path / "s.leak")).st_mode & 0o777 == 0o600


def test_numbers_of_the_ledger_that_are_missing_or_odd_have_a_default() -> None:
    snapshot = Snapshot({"rss_bytes": "12", "elapsed": "soon"}, {})
    assert snapshot.number("rss_bytes") == 12
    assert snapshot.number("elapsed", 7) == 7
    assert snapshot.number("swap_bytes") == 0


def test_a_census_of_a_deep_snapshot_has_no_graph() -> None:
    census = a_snapshot().without_graph()
    assert not census.is_deep
    assert census.census["shop.Order"][0] == 33
    with pytest.raises(SnapshotError, match="it is a census"):
        census.column("object.address")


# What is no snapshot is told in a sentence


def test_a_file_cut_at_any_length_is_told_to_be_cut(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.leak"
    for length in [*range(200), *range(200, len(written) - 200, 37), *range(len(written) - 200, len(written))]:
        with pytest.raises(SnapshotError) as raised:
            read(path, written[:length])
        assert str(path) in str(raised.value)
        assert raised.value.exit_code == 3


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bytes_give_columns_or_a_sentence(written: bytes, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(10):
        data = bytearray(written)
        for _ in range(dice.choice([1, 1, 1, 2, 8, 64])):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        try:
            consume(read(tmp_path / "s.leak", bytes(data)))
        except SnapshotError as problem:
            assert str(problem)


def test_each_flipped_byte_of_the_frame_gives_columns_or_a_sentence(written: bytes, tmp_path: Path) -> None:
    """The head and the tail byte by byte, and every third of the table of contents."""
    offset = TAIL.unpack(written[-TAIL.size :])[0]
    for place in [*range(16), *range(offset, len(written) - 40, 3), *range(len(written) - 40, len(written))]:
        data = bytearray(written)
        data[place] ^= 0xFF
        try:
            consume(read(tmp_path / "s.leak", bytes(data)))
        except SnapshotError as problem:
            assert str(problem)


def test_a_flipped_byte_of_the_table_is_found_by_its_checksum(written: bytes, tmp_path: Path) -> None:
    data = bytearray(written)
    data[TAIL.unpack(written[-TAIL.size :])[0] + 3] ^= 1
    with pytest.raises(SnapshotError, match="checksum of its table of contents"):
        read(tmp_path / "s.leak", bytes(data))


@pytest.mark.parametrize(
    "data",
    [b"", b"L", b"PK\x03\x04" + b"x" * 500, b"LEAKHUN", b"\0" * 4096, b"LEAKHUNT" * 100, b"x" * 3 + schema.END_MAGIC],
    ids=["empty", "a letter", "a zip", "half a word", "zeros", "the word again and again", "the end alone"],
)
def test_a_foreign_file_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SnapshotError, match=r"s\.leak"):
        read(tmp_path / "s.leak", data)


def test_a_newer_format_is_named_and_the_way_to_read_it(written: bytes, tmp_path: Path) -> None:
    tail = list(TAIL.unpack(written[-TAIL.size :]))
    tail[3] = schema.VERSION + 1
    with pytest.raises(SnapshotError, match=r"newer leakhunt \(format 2\).*pip install -U"):
        read(tmp_path / "s.leak", written[: -TAIL.size] + TAIL.pack(*tail))


def test_a_table_that_lies_about_its_place_is_refused(written: bytes, tmp_path: Path) -> None:
    tail = list(TAIL.unpack(written[-TAIL.size :]))
    for offset, length in [(len(written), tail[1]), (1 << 63, tail[1]), (tail[0], (1 << 64) - 1), (0, 0)]:
        changed = TAIL.pack(offset, length, *tail[2:])
        with pytest.raises(SnapshotError):
            consume(read(tmp_path / "s.leak", written[: -TAIL.size] + changed))


def with_table(written: bytes, table: bytes) -> bytes:
    import zlib

    offset = TAIL.unpack(written[-TAIL.size :])[0]
    return written[:offset] + table + TAIL.pack(offset, len(table), zlib.crc32(table), schema.VERSION, schema.END_MAGIC)


@pytest.mark.parametrize(
    "table",
    [
        b"meta\t|u1\t64\t99999999999\n",
        b"meta\t|u1\t-5\t3\n",
        b"meta\t|u1\t64\t-7\n",
        b"meta\t|O\t64\t3\n",
        b"meta\tnonsense\t64\t3\n",
        b"meta\t<u8\t64\tmany\n",
        b"meta\t|u1\t64\n",
        b"meta\t|u1\t64\t3\tmore\n",
        b"\xff\xfe\t|u1\t64\t3\n",
        b"meta\t|V0\t64\t3\n",
        b"meta\t|u1\t99999999999999999999999\t3\n",
    ],
)
def test_a_table_that_checks_and_makes_no_sense_is_refused(written: bytes, tmp_path: Path, table: bytes) -> None:
    with pytest.raises(SnapshotError):
        read(tmp_path / "s.leak", with_table(written, table))


def test_a_missing_file_a_folder_and_a_forbidden_file_are_told_apart(written: bytes, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="There is no file"):
        Snapshot.load(tmp_path / "none.leak")
    with pytest.raises(SnapshotError, match="Is a directory"):
        Snapshot.load(tmp_path)
    if os.geteuid():
        path = tmp_path / "s.leak"
        path.write_bytes(written)
        path.chmod(0)
        with pytest.raises(SnapshotError, match="Permission denied"):
            Snapshot.load(path)


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("needs /dev/null to behave as on Linux")
    with pytest.raises(SnapshotError):
        Snapshot.load("/dev/null")


def test_the_head_is_as_the_schema_says(written: bytes) -> None:
    assert written[:8] == schema.MAGIC
    assert struct.unpack("<II", written[8:16]) == (schema.VERSION, 0)
    assert written[-8:] == schema.END_MAGIC
