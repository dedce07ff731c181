"""What a module made in C holds has the name that a person finds in source."""

from __future__ import annotations

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.owners import owners_of

from .test_graph import index_of
from .test_naming import owners, path


def in_c(heap: Heap, name: str, state: Thing | None = None, **attributes: Thing) -> Thing:
    """A module made in C, which may refer to `state` without a name."""
    made = heap.module(name, f"{name}.cpython-313-x86_64-linux-gnu.so", **attributes)
    if state is not None:
        heap.refer(made, state)
    return made


@pytest.mark.parametrize("is_state", [True, False], ids=["state", "global"])
def test_what_a_private_module_holds_has_the_name_that_the_public_one_gives_it(is_state: bool) -> None:
    # module _codec -> dict,   module _codec .cache -> dict,   module codec .cache -> dict,   module shop .mine -> dict
    heap = Heap()
    cache = heap.dict()
    in_c(heap, "_codec", cache if is_state else None, cache=cache)
    heap.module("shop", "shop.py", mine=cache)
    heap.module("codec", "codec.py", cache=cache)
    assert owners(heap, cache) == ["codec.cache"]
    assert path(heap, cache) == ("module codec", ".cache", "[*]")


def test_who_holds_it_is_the_same_for_all_objects_at_once() -> None:
    heap = Heap()
    cache = heap.dict({"key": heap.instance("shop.Order")})
    in_c(heap, "_codec", cache)
    heap.module("codec", "codec.py", cache=cache)
    graph = HeapGraph(heap.snapshot())
    names = Names(graph)
    called = owners_of(graph, names)
    for thing in (cache, cache["key"]):
        index = index_of(graph, thing)
        assert called.texts[called.rows[index]] == names.owners(index)[0] == "codec.cache"


def test_a_public_module_made_in_c_names_what_it_gives_out() -> None:
    # module codecs .hooks -> list   and   module shop .hooks -> the same list
    heap = Heap()
    hooks = heap.list()
    in_c(heap, "codecs", hooks=hooks)
    heap.module("shop", "shop.py", hooks=hooks)
    assert owners(heap, hooks) == ["codecs.hooks"]


def test_a_private_module_names_what_strangers_import_of_it() -> None:
    heap = Heap()
    cache = heap.dict()
    in_c(heap, "_codec", cache, cache=cache)
    heap.module("shop", "shop.py", mine=cache)
    assert owners(heap, cache) == ["_codec.cache"]


def test_a_private_module_with_source_names_its_own() -> None:
    heap = Heap()
    cache = heap.dict()
    heap.module("_codec", "_codec.py", cache=cache)
    heap.module("codec", "codec.py", cache=cache)
    assert owners(heap, cache) == ["_codec.cache"]


def test_what_a_module_keeps_in_c_has_the_name_of_whoever_gives_it_one() -> None:
    # module codec -> dict   and   module shop .CACHE -> the same dict
    heap = Heap()
    cache, unknown = heap.dict(), heap.dict()
    heap.refer(in_c(heap, "codec"), cache, unknown)
    heap.module("shop", "shop.py", CACHE=cache)
    assert owners(heap, cache) == ["shop.CACHE"]
    assert owners(heap, unknown) == ["codec"]


def test_a_module_is_not_made_in_c_because_its_file_is_not_known() -> None:
    # module _frozen -> (namespace) <- (globals) function: it has code
    heap = Heap()
    blocking = heap.dict()
    frozen = heap.module("_frozen", blocking=blocking)
    lookup = heap.function("_frozen.lookup")
    lookup._others.append((frozen._namespace, "-__globals__"))
    frozen.lookup = lookup
    heap.module("frozen", "frozen.py", blocking=blocking)
    assert owners(heap, blocking) == ["_frozen.blocking"]


def test_every_way_still_begins_at_a_root() -> None:
    heap = Heap()
    inner = heap.dict()
    state = heap.dict({"inner": inner})
    codec = in_c(heap, "_codec", state, table=state)
    heap.module("codec", "codec.py", table=state, itself=codec)
    graph = HeapGraph(heap.snapshot())
    parents = Names(graph).parents
    at = np.arange(graph.count)
    for _ in range(graph.count):
        inside = (at >= 0) & (at < graph.count)
        at[inside] = parents[at[inside]]
    assert set(at.tolist()) <= {-1, graph.count}
