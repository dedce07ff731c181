"""Names of the last graph are used again where they are right, and nowhere else."""

from __future__ import annotations

import gc
import random
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from leakhunt.agent import native, write
from leakhunt.agent.engine import Engine
from leakhunt.snapshot import Snapshot

from .test_engines_agree import heap  # skips where there is no C engine

Text = tuple[Any, ...]


def graph(engine: Engine, folder: Path) -> Snapshot:
    path = folder / "x.leak"
    write.write_whole(str(path), write.pieces(*engine.snapshot(True, {})))
    return Snapshot.load(path)


def named(snapshot: Snapshot) -> tuple[Counter[Text], Counter[Text], Counter[Text]]:
    """What a graph says by names: (address, name, file, line); (source, target, label); (object, bound)."""
    texts, addresses = snapshot.strings, snapshot.column("object.address").tolist()
    names = zip(*(snapshot.column(f"name.{n}").tolist() for n in ("address", "text", "file", "line")), strict=True)
    targets = snapshot.column("reference.index").tolist()
    sources = [i for i, n in enumerate(snapshot.column("reference.count").tolist()) for _ in range(n)]
    positions, labels = (snapshot.column(f"label.{n}").tolist() for n in ("position", "name"))
    bounds = zip(*(snapshot.column(f"bound.{n}").tolist() for n in ("object", "value")), strict=True)
    return (
        Counter((a, texts[t], texts[f], n) for a, t, f, n in names),
        Counter((addresses[sources[p]], targets[p], texts[t]) for p, t in zip(positions, labels, strict=True)),
        Counter((addresses[o], v) for o, v in bounds),
    )


def of(found: Counter[Text], item: object) -> list[Text]:
    return sorted(rest for address, *rest in found if address == id(item))


@pytest.fixture
def engine() -> Engine:
    return Engine("leakhunt.agent", "c")


def known_and_new(engine: Engine, folder: Path) -> tuple[Any, Any]:
    """Names of one moment: by an engine that knows some already, and by one that knows none."""
    gc.collect()
    gc.disable()
    try:
        return named(graph(engine, folder)), named(graph(Engine("leakhunt.agent", "c"), folder))
    finally:
        gc.enable()


@pytest.mark.parametrize("seed", range(4))
def test_a_heap_that_stands_still_has_the_same_names_at_every_graph(engine: Engine, seed: int, tmp_path: Path) -> None:
    made = heap(seed)
    graph(engine, tmp_path)
    known, new = known_and_new(engine, tmp_path)
    ids = set(map(id, made))
    for again, first in zip((known[0], known[2]), (new[0], new[2]), strict=True):
        assert {r: n for r, n in again.items() if r[0] in ids} == {r: n for r, n in first.items() if r[0] in ids}
    labels = [Counter({(r[0], r[2]): n for r, n in side[1].items() if r[0] in ids}) for side in (known, new)]
    assert labels[0] == labels[1]
    assert sum(map(len, labels)) > 100


def test_a_second_graph_names_next_to_nothing_anew(engine: Engine, tmp_path: Path, monkeypatch: Any) -> None:
    calls: list[int] = []
    whole = native.name_object
    monkeypatch.setattr(native, "name_object", lambda *a: (calls.append(1), whole(*a))[1])
    graph(engine, tmp_path)
    first = len(calls)
    graph(engine, tmp_path)
    assert first > 5000
    assert len(calls) - first < first / 20


class Holder:
    def __init__(self) -> None:
        self.early: Any = []
        self.late: Any = None

    def method(self) -> None:
        """Only here to have a line."""


def test_what_changed_is_named_again(engine: Engine, tmp_path: Path) -> None:
    # holder -> early, then holder -> late; a class, a module and a function that get another name in their place
    holder, module = Holder(), types.ModuleType("before")
    sys.modules["before"] = module
    kind = type("Before", (), {"maxsize": 3})

    def function() -> None:
        pass

    graph(engine, tmp_path)
    holder.late, holder.early = [holder.early], None
    module.added = kind  # type: ignore[attr-defined]
    module.__name__ = "after"
    function.__qualname__ = "after"
    kind.__name__ = kind.__qualname__ = "After"
    kind.method = lambda self: None  # type: ignore[attr-defined]
    try:
        known, new = known_and_new(engine, tmp_path)
    finally:
        del sys.modules["before"]
    for item in (holder, module, kind, function, module.__dict__):
        assert of(known[0], item) == of(new[0], item)
        assert sorted(t for _, t in of(known[1], item)) == sorted(t for _, t in of(new[1], item))
    assert [name for name, *_ in of(known[0], module)] == ["after"]
    assert [label for _, label in of(known[1], holder)] == [".late"]
    assert of(known[0], function)[0][0].endswith(".after")


def test_another_function_at_the_address_of_an_old_one_has_its_own_name(engine: Engine, tmp_path: Path) -> None:
    made: dict[str, Any] = {}
    exec("def first(): pass", made)
    address = id(made["first"])
    graph(engine, tmp_path)
    for number in range(5000):
        made.clear()
        exec(f"def other_{number}(): pass", made)
        function = made[f"other_{number}"]
        if id(function) == address:
            break
    names = named(graph(engine, tmp_path))[0]
    assert of(names, function)[0][0].endswith(function.__qualname__)


def test_strings_do_not_pile_up_over_many_graphs(engine: Engine, tmp_path: Path) -> None:
    source, kept = random.Random(7), []
    sizes = []
    for _ in range(12):
        kept[:] = [type(f"K{source.random()}", (), {}) for _ in range(300)]
        gc.collect()
        sizes.append(len(graph(engine, tmp_path).column("strings.end")))
    assert max(sizes) <= 2 * sizes[0] + 20000 + 2000
    assert sizes[-1] - sizes[2] < 9 * 2000


def test_the_kept_names_are_no_rows(engine: Engine, tmp_path: Path) -> None:
    graph(engine, tmp_path)
    addresses = set(graph(engine, tmp_path).column("object.address").tolist())
    assert not addresses & set(map(id, engine._strings.parts()))
    assert id(engine._known) not in addresses
