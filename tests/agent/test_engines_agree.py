"""The C and the Python engine give the same rows, of random heaps and of this very test program."""

from __future__ import annotations

import collections
import functools
import gc
import random
import sys
import types
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leakhunt.agent import headroom, labels, native, schema, walk, write
from leakhunt.agent.engine import Engine
from leakhunt.snapshot import Snapshot

from .target import Heap

try:
    native.check_interpreter()
    native.check_file(str(Path(native.__file__).with_name(native.FILE)))
except native.Refused as refusal:
    pytest.skip(f"no C engine: {refusal}", allow_module_level=True)


class Plain:
    def __init__(self, *parts: Any) -> None:
        self.first, self.rest, self.maxsize = parts[0] if parts else None, parts, 10


class Slots:
    __slots__ = ("__weakref__", "one", "two")


class Both(Slots):
    pass


class Table(dict):  # type: ignore[type-arg]
    pass


class Row(tuple):  # type: ignore[type-arg]
    __slots__ = ()


class Number(int):
    pass


class Sized:
    def __sizeof__(self) -> int:
        raise RuntimeError("code of the program runs")


def heap(seed: int, size: int = 600) -> list[Any]:
    """A random heap of every shape that the plans know, with cycles, in one list."""
    source = random.Random(seed)
    made: list[Any] = []

    def some(most: int = 4) -> list[Any]:
        return [
            source.choice(made) if made and source.random() < 0.7 else source.random()
            for _ in range(source.randrange(most))
        ]

    def function(*held: Any) -> Any:
        def inner() -> Any:
            return held

        return inner

    def generator(*held: Any) -> Iterator[Any]:
        yield held

    def slots(kind: type) -> Any:
        item = kind()
        item.one = some()
        return item

    def grown(item: Any) -> Any:
        item.extra = some()
        return item

    makers = [
        lambda: some(6), lambda: tuple(some()), lambda: {source.random(): v for v in some()}, lambda: set(map(str, some())),
        lambda: frozenset(map(str, some())), lambda: {str(source.random()): v for v in some(8)}, lambda: Plain(*some()),
        lambda: grown(Plain()), lambda: slots(Slots), lambda: grown(slots(Both)), lambda: Table(a=some()),
        lambda: grown(Table({(1, source.random()): some()})), lambda: collections.OrderedDict(b=some()),
        lambda: collections.defaultdict(list, {n: some() for n in range(source.randrange(5))}), lambda: Row(some()),
        lambda: Number(source.randrange(1 << 70)), Sized, lambda: collections.deque(some(), maxlen=source.choice([None, 50])),
        lambda: function(*some()), lambda: generator(*some()), lambda: weakref.ref(slots(Slots)), lambda: "text" * source.randrange(9),
        lambda: bytearray(source.randrange(99)), lambda: b"bytes" * source.randrange(9), lambda: 1 << source.randrange(200),
        lambda: functools.partial(print, some()), lambda: functools.lru_cache(5)(function(*some())), lambda: types.ModuleType("m"),
        lambda: type("Made", (Plain,), {"attribute": some(), "__del__": lambda self: None}), lambda: Plain(*some()).__init__,
        lambda: iter(some()), lambda: memoryview(bytearray(9)), lambda: types.SimpleNamespace(n=some()), lambda: Exception(some()),
        lambda: range(source.randrange(99)), lambda: slice(some()), lambda: property(function()), lambda: staticmethod(function()),
    ]  # fmt: skip
    for _ in range(size):
        made.append(source.choice(makers)())
    for item in made:
        if type(item) is list:
            item.extend(some())
    return made


def taken(engine: str, folder: Path) -> Heap:
    return Heap(Snapshot.load(written(engine, folder)))


def written(engine: str, folder: Path) -> Path:
    path = folder / f"{engine}.leak"
    write.write_whole(str(path), write.pieces(*Engine("leakhunt.agent", engine).snapshot(True, {})))
    return path


def described(heap: Heap, address: int) -> dict[str, Any]:
    """All that the snapshot says of one object, without its row's number."""
    row = heap.row_by_address[address]
    found: dict[str, Any] = {
        name: column[row] for name, column in heap.rows.items() if name not in ("type", "refcount")
    }
    found["type"] = heap.type_of(address)
    found["references"] = [(label, target) for label, target in heap.references(address)]
    found["name"] = heap.name_by_address.get(address)
    found["bound"] = heap.bound_by_address.get(address)
    return found


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No collection between two snapshots, nothing of a test that failed before, and names for all objects of a class.

    Of very many each engine names those that it comes to first, and with all tests in one process there are very many.
    """
    monkeypatch.setattr(labels, "LABELLED_MAX", sys.maxsize)
    monkeypatch.setattr(walk, "LABELLED_MAX", sys.maxsize)
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        sys.__dict__.pop(name, None)
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def reachable(heap: Heap, address: int) -> set[int]:
    """What a list made by `heap()` leads to, but for what every program holds anyway."""
    seen, pending = {address}, [address]
    stop = {id(sys.modules), id(globals())}
    while pending:
        item = pending.pop()
        if item in stop or heap.type_of(item) in ("builtins.frame", "builtins.module"):
            continue
        following = {t for _, t in heap.references(item) if t in heap.row_by_address} - seen
        seen |= following
        pending += following
    return seen - stop


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_a_random_heap(seed: int, tmp_path: Path, quiet: None) -> None:
    made = heap(seed)
    python, c = taken("python", tmp_path), taken("c", tmp_path)
    assert (python.meta["engine"], c.meta["engine"]) == ("python", "c")
    mine = reachable(c, id(made))
    assert len(mine) > len(made)
    assert set(map(id, made)) <= mine
    assert not [c.type_of(address) for address in mine - set(python.row_by_address)]
    for address in mine:
        expected, found = described(python, address), described(c, address)
        gone = {t for _, t in expected["references"] if t not in c.row_by_address}
        expected["references"] = [(label, 0 if t in gone else t) for label, t in expected["references"]]
        assert found == expected, expected["type"]


@pytest.mark.parametrize("seed", range(3))
def test_refcounts_of_a_random_heap(seed: int, tmp_path: Path, quiet: None) -> None:
    """What is held from the heap alone has as many references in it as it counts."""
    made = heap(seed)
    python, c = taken("python", tmp_path), taken("c", tmp_path)
    for address in map(id, made):
        of_python, of_c = (h.rows["refcount"][h.row_by_address[address]] for h in (python, c))
        if of_python != schema.SATURATED:  # a tuple's is not known there: it can't be held without harm
            assert of_c == of_python, c.type_of(address)


def test_rows_of_a_real_program(tmp_path: Path, quiet: None) -> None:
    """This one, with pytest and numpy in it."""
    python, c = taken("python", tmp_path), taken("c", tmp_path)
    both = set(python.row_by_address) & set(c.row_by_address)
    assert len(both) > 0.98 * max(len(python.row_by_address), len(c.row_by_address))
    differing = [a for a in both if python.type_of(a) != c.type_of(a) and "leakhunt" not in python.type_of(a)]
    assert len(differing) < 50  # addresses that came back as another object
    sizes = [
        (python.type_of(a), h) for a in both if a not in set(differing) for h in [_sizes(python, c, a)] if h[0] != h[1]
    ]
    assert len(sizes) < 0.001 * len(both), sizes[:10]


def _sizes(python: Heap, c: Heap, address: int) -> tuple[tuple[int, int], tuple[int, int]]:
    rows = python.row_by_address[address], c.row_by_address[address]
    pairs = [(h.rows["size"][row], h.rows["length"][row]) for h, row in zip((python, c), rows, strict=True)]
    return pairs[0], pairs[1]


def test_names_and_finalizers_of_types(tmp_path: Path, quiet: None) -> None:
    made = heap(99)
    tables = []
    for engine in ("python", "c"):
        snapshot = taken(engine, tmp_path).snapshot
        strings = snapshot.strings
        columns = [
            snapshot.column(f"type.{n}").tolist() for n in ("address", "name", "flags", "file", "del_file", "del_line")
        ]
        tables.append(
            {a: (strings[n], f, strings[p], strings[d], line) for a, n, f, p, d, line in zip(*columns, strict=True)}
        )
    python, c = tables
    assert {a: c[a] for a in c if a in python} == {a: python[a] for a in python if a in c}
    assert len(set(python) & set(c)) > 0.8 * len(c)  # each also has those of what it made itself
    del made


def test_the_census_of_both(tmp_path: Path, quiet: None) -> None:
    made = heap(7)
    paths = [written(engine, tmp_path) for engine in ("python", "c")]  # reading the first makes objects
    python, c = (Snapshot.load(path).census for path in paths)
    for name in ("list", "dict", "set", "function", "collections.deque"):
        full = name if "." in name else f"builtins.{name}"
        assert abs(python[full][0] - c[full][0]) <= 12, full
    for kind in (Plain, Slots, Both, Table, Row, Sized):
        assert python[f"{kind.__module__}.{kind.__qualname__}"] == c[f"{kind.__module__}.{kind.__qualname__}"]
    del made


def test_a_memory_limit_is_kept(quiet: None) -> None:
    made = heap(1)
    walk = native.load("leakhunt.agent")
    with pytest.raises(MemoryError):
        native.take(walk, True, [], [], 1 << 20)
    del made


@pytest.mark.parametrize("engine", ["c", "python"])
def test_a_graph_that_memory_does_not_allow_is_left_out(
    engine: str, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = heap(1)
    monkeypatch.setattr(headroom, "limit_bytes", lambda: 8 << 20)
    meta, _, columns = Engine("leakhunt.agent", engine).snapshot(True, {})
    assert (meta["kind"], meta["graph_refused"]) == ("census", "memory")
    assert "object.address" not in columns
    assert len(columns["census.count"]) > 10
    del made


def test_a_library_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / native.FILE
    whole = Path(native.__file__).with_name(native.FILE).read_bytes()
    for place, value in ((4, 1), (18, 3)):  # 32 bits; another machine
        other.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        with pytest.raises(native.Refused, match="another platform"):
            native.check_file(str(other))
    with pytest.raises(native.Refused, match="no C library"):
        native.check_file(str(tmp_path / "missing.so"))
    monkeypatch.setattr(sys, "abiflags", "t")
    with pytest.raises(native.Refused, match="free-threaded"):
        native.check_interpreter()
    engine = Engine("leakhunt.agent", "auto")
    assert engine.name == "python"
    assert engine.snapshot(False, {})[0]["engine_refusal"] == "a free-threaded interpreter"
