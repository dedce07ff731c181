"""Graphs of large heaps: rows for what is young and what leads to it, and counts for the rest."""

from __future__ import annotations

import gc
import itertools
import random
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leakhunt.agent import engine as module
from leakhunt.agent import schema, write
from leakhunt.agent.engine import Engine
from leakhunt.analysis.growth.age import places
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.snapshot import Snapshot
from tests.analysis.judging import accused

from .target import Heap
from .test_engines_agree import heap  # skips where there is no C engine

pytestmark = pytest.mark.hostile  # minutes; with the rest of the long part

if not module.listing.is_in_order_of_birth():
    pytest.skip("the collector of this Python has no order of birth", allow_module_level=True)

HELD: dict[str, Any] = {}  # what the tests make hangs on this, as on a module of a program
ROWS = 12000  # a bulk container has 10,000 items or more


class Row:
    __slots__ = ("__weakref__", "child", "number")

    def __init__(self, number: int) -> None:
        self.number, self.child = number, None


class Session:
    def __init__(self, number: int) -> None:
        self.number, self.cart, self.user = number, [number], f"user {number}"


@pytest.fixture(params=["at once", "slices"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """One that has looked at a process with a table in it, and takes each heap for a large one."""
    monkeypatch.setattr(module, "FRONTIER_MIN", 0)
    if request.param == "slices":
        monkeypatch.setattr(module, "SLICED_MIN", 0)
    HELD["rows"] = [Row(n) for n in range(ROWS)]
    gc.collect()  # one for both would put the youngest rows behind these
    HELD["between"] = [[] for _ in range(len(gc.get_objects()) // 50)]  # nothing of the table is next to the line
    gc.collect()
    made = Engine("leakhunt.agent", "c")
    made.snapshot(False, {})
    yield made
    HELD.clear()


_moments = itertools.count(1)


def taken(engine: Engine, folder: Path, deep: bool = True, **meta: Any) -> Snapshot:
    path = folder / f"{next(_moments)}.leak"
    write.write_whole(str(path), write.pieces(*engine.snapshot(deep, meta)))
    return Snapshot.load(path)


def whole(folder: Path) -> Snapshot:
    return taken(Engine("leakhunt.agent", "c"), folder)


def flags(found: Heap, item: object) -> int:
    return int(found.rows["flags"][found.row_by_address[id(item)]])


def test_the_first_graph_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "FRONTIER_MIN", 0)
    assert not whole(tmp_path).is_frontier


def test_a_small_heap_has_whole_graphs(tmp_path: Path) -> None:
    engine = Engine("leakhunt.agent", "c")
    engine.snapshot(False, {})
    assert not taken(engine, tmp_path).is_frontier


def test_an_old_table_is_one_row_of_its_true_length(engine: Engine, tmp_path: Path) -> None:
    # module -> HELD -> rows -> [Row, Row, …]
    found = Heap(taken(engine, tmp_path))
    table = found.row_by_address[id(HELD["rows"])]
    assert found.rows["length"][table] == ROWS
    assert found.references(id(HELD["rows"])) == []
    assert id(HELD["rows"][5]) not in found.row_by_address
    assert int(found.meta["left_out"]) >= ROWS
    assert flags(found, HELD["rows"]) & schema.OBJECT_OLD


def test_what_is_young_has_rows_as_in_a_whole_graph(engine: Engine, tmp_path: Path) -> None:
    # HELD -> sessions -> Session -> cart, and one in the old table
    HELD["sessions"] = {f"s{n}": Session(n) for n in range(50)}
    HELD["rows"].append(Row(-1))
    gc.collect()
    gc.disable()
    try:
        some, every = Heap(taken(engine, tmp_path)), Heap(whole(tmp_path))
    finally:
        gc.enable()
    young = [
        HELD["sessions"],
        *HELD["sessions"].values(),
        *(s.cart for s in HELD["sessions"].values()),
        HELD["rows"][-1],
    ]
    for item in young:
        rows = [found.row_by_address[id(item)] for found in (some, every)]
        for column in ("size", "length", "refcount", "flags"):
            assert some.rows[column][rows[0]] == every.rows[column][rows[1]], column
        assert some.references(id(item)) == every.references(id(item))
    assert [target for _, target in some.references(id(HELD["rows"]))] == [id(HELD["rows"][-1])]
    assert some.has_path(id(HELD), id(HELD["sessions"]["s7"].cart))


@pytest.mark.parametrize("seed", range(3))
def test_any_young_heap_has_the_rows_of_a_whole_graph(engine: Engine, seed: int, tmp_path: Path) -> None:
    made = HELD["made"] = heap(seed)
    gc.collect()
    gc.disable()
    try:
        some, every = HeapGraph(taken(engine, tmp_path)), HeapGraph(whole(tmp_path))
    finally:
        gc.enable()
    listed = [item for item in made if gc.is_tracked(item) and type(item) not in (tuple, frozenset)]
    ids = np.array(list(map(id, listed)), dtype=np.uint64)
    here, there = some.index_of(ids), every.index_of(ids)
    assert (here >= 0).all()
    assert (some.sizes[here] == every.sizes[there]).all()
    assert (some.lengths[here] == every.lengths[there]).all()
    assert (some.surplus[here] == every.surplus[there]).all()
    assert (some.in_degrees[here] == every.in_degrees[there]).all()
    assert [some.type_name(i) for i in here] == [every.type_name(i) for i in there]


def test_the_census_counts_what_has_no_row(engine: Engine, tmp_path: Path) -> None:
    HELD["sessions"] = [Session(n) for n in range(20)]
    gc.collect()
    gc.disable()
    try:
        some, every = taken(engine, tmp_path), taken(engine, tmp_path, deep=False)
    finally:
        gc.enable()
    for kind in ("Row", "Session"):
        assert some.census[f"{__name__}.{kind}"] == every.census[f"{__name__}.{kind}"]
    assert (some.column("spectrum.count") > 0).any()


def test_an_old_object_in_a_table_that_holds_a_young_one_has_a_row(engine: Engine, tmp_path: Path) -> None:
    # rows -> [Row] -> child: the old row is a holder, and the table shows it from the next graph on
    holder = HELD["rows"][77]
    holder.child = Session(1)
    first = HeapGraph(taken(engine, tmp_path))
    index = first.index_of(np.array([id(holder), id(holder.child)], dtype=np.uint64))
    assert (index >= 0).all()
    assert first.is_old[index].tolist() == [True, False]
    assert int(first.targets[first.offsets[index[0]] : first.offsets[index[0] + 1]].tolist().count(int(index[1]))) == 1
    assert first.kept_tree[0][index].all()
    assert not first.garbage[index].any()
    assert not first.held_outside[index].any()
    second = HeapGraph(taken(engine, tmp_path))
    index = second.index_of(np.array([id(holder), id(holder.child)], dtype=np.uint64))
    assert second.tree[0][index].all()


def test_an_old_object_is_not_new_where_it_has_a_row_for_the_first_time(engine: Engine, tmp_path: Path) -> None:
    from leakhunt.analysis.heap.lineage import Lineage

    before = HeapGraph(taken(engine, tmp_path))
    holder = HELD["rows"][77]
    holder.child = Session(1)
    lineage = Lineage([before, HeapGraph(taken(engine, tmp_path))])
    index = lineage.last.index_of(np.array([id(holder), id(holder.child)], dtype=np.uint64))
    assert lineage.is_new(0)[index].tolist() == [False, True]


def test_what_is_old_has_no_reference_count(engine: Engine, tmp_path: Path) -> None:
    found = Heap(taken(engine, tmp_path))
    row = found.row_by_address[id(HELD)]
    assert found.rows["refcount"][row] == schema.SATURATED


def test_young_is_what_came_after_the_first_look_however_many_followed(engine: Engine, tmp_path: Path) -> None:
    HELD["first"] = Session(1)
    taken(engine, tmp_path)
    HELD["second"] = Session(2)
    gc.collect()
    for _ in range(200):
        engine._known.mark_line()
    assert len(engine._known.line_marks()) <= 64
    found = Heap(taken(engine, tmp_path))
    assert not flags(found, HELD["first"]) & schema.OBJECT_OLD
    assert not flags(found, HELD["second"]) & schema.OBJECT_OLD


def test_nothing_of_the_agent_is_in_it(engine: Engine, tmp_path: Path) -> None:
    taken(engine, tmp_path)
    marks = {id(engine._known), *map(id, engine._known.line_marks())}
    found = Heap(taken(engine, tmp_path))
    assert not marks & set(found.row_by_address)


def run(engine: Engine, folder: Path, step: Any, looks: int = 8) -> list[Verdict]:
    """What is accused of what `HELD` leads to, after a look behind each step; the rest is this test suite."""
    paths = []
    for number in range(looks):
        step(number)
        gc.collect()
        meta = {"elapsed": number + 1.0, "interval": 1.0, "moment": "interval", "sequence": number + 1, "pid": 1}
        paths.append(folder / f"{number}.leak")
        write.write_whole(str(paths[-1]), write.pieces(*engine.snapshot(True, meta)))
    found = accused([Snapshot.load(path) for path in paths])
    return [verdict for verdict in found if verdict.type.startswith(__name__) or "HELD" in str(verdict.owner)]


def test_a_leak_beside_a_table_is_named_as_in_whole_graphs(engine: Engine, tmp_path: Path) -> None:
    HELD["sessions"] = {}

    def step(number: int) -> None:
        HELD["sessions"].update({(number, n): Session(n) for n in range(20)})

    (verdict,) = run(engine, tmp_path, step)
    assert (verdict.kind, verdict.type) == ("python-leak", f"{__name__}.Session")


def test_a_leak_into_an_old_table_is_named(engine: Engine, tmp_path: Path) -> None:
    (verdict,) = run(engine, tmp_path, lambda number: HELD["rows"].extend(Session(n) for n in range(20)))
    assert (verdict.kind, verdict.type) == ("python-leak", f"{__name__}.Session")


@pytest.mark.parametrize("kind", ["turnover", "replaced", "mutated"])
def test_a_busy_program_with_a_table_is_healthy(engine: Engine, kind: str, tmp_path: Path) -> None:
    source = random.Random(3)
    HELD["window"] = []

    def step(number: int) -> None:
        if kind == "turnover":
            HELD["window"] = [*HELD["window"], *(Session(n) for n in range(20))][-100:]
        elif kind == "replaced":
            for n in source.sample(range(ROWS), 200):
                HELD["rows"][n] = Row(n)
        else:
            for n in source.sample(range(300), 100):
                HELD["rows"][n].child = Session(n)

    assert run(engine, tmp_path, step, 10) == []


def test_a_dead_row_is_let_go_after_the_look(engine: Engine, tmp_path: Path) -> None:
    seen = weakref.ref(HELD["rows"][3])
    taken(engine, tmp_path)
    HELD["rows"][3] = None
    assert seen() is None


def test_places_in_the_list_are_those_of_a_whole_graph(engine: Engine, tmp_path: Path) -> None:
    HELD["sessions"] = [Session(n) for n in range(50)]
    gc.collect()
    gc.disable()
    try:
        some, every = HeapGraph(taken(engine, tmp_path)), HeapGraph(whole(tmp_path))
    finally:
        gc.enable()
    ids = np.array([id(HELD), id(HELD["rows"]), *map(id, HELD["sessions"])], dtype=np.uint64)
    orders = []
    for graph in (some, every):
        found = places(graph)
        assert found is not None
        rows = graph.index_of(ids)
        assert (found[rows] >= 0).all()
        orders.append(np.argsort(found[rows]).tolist())
    assert orders[0] == orders[1]


def test_the_program_runs_while_a_large_heap_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that makes, fills and drops tuples and objects all the time goes on, and sees nothing of the looks."""
    monkeypatch.setattr(module, "FRONTIER_MIN", 0)
    monkeypatch.setattr(module, "SLICED_MIN", 0)
    stop, problems, turns = threading.Event(), [], [0]
    kept: dict[int, Any] = {}

    def busy() -> None:
        number = 0
        while not stop.is_set():
            try:
                number += 1
                parts = tuple(Session(n) for n in range(20))
                kept[number % 500] = [parts, frozenset(map(str, range(5))), {number: parts[0]}]
                del kept[number % 500][1]
                kept[number % 500].append(type("Made", (Session,), {"x": number})(number) if number % 50 == 0 else None)
                gc.get_referrers(parts[0])[:0] if number % 200 == 0 else None
                turns[0] += 1
            except BaseException as problem:
                problems.append(problem)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    engine = Engine("leakhunt.agent", "c")
    for thread in threads:
        thread.start()
    try:
        for deep in (False, True, True, False, True):
            before = turns[0]
            engine.snapshot(deep, {})
            assert turns[0] > before
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert gc.isenabled()


def test_a_look_in_slices_is_given_up_when_the_agent_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICED_MIN", 0)
    asked = itertools.count()
    engine = Engine("leakhunt.agent", "c")
    with pytest.raises(module.Interrupted):
        engine.snapshot(False, {}, lambda: next(asked) > 20)
    assert gc.isenabled()
    assert engine.snapshot(False, {})[0]["kind"] == "census"
