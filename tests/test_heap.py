"""The heaps that tests are made of live as CPython's do, and are written as the agent writes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.agent import write
from leakhunt.snapshot import Snapshot


def addresses(snapshot: Snapshot) -> set[int]:
    return set(snapshot.column("object.address").tolist())


def is_there(heap: Heap, thing: Thing) -> bool:
    return thing._address in addresses(heap.snapshot())


def columns_of_the_agent(deep: bool) -> dict[str, str]:
    """Names and dtypes of what the agent's Python engine gives of a small program."""
    program = (
        "import json; from leakhunt.agent.engine import Engine; "
        f"_, strings, columns = Engine('leakhunt.agent', 'python').snapshot({deep}, {{}}); "
        "columns.update(strings.columns()); "
        "print(json.dumps({n: c[0] if isinstance(c, tuple) else c.typecode for n, c in columns.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name: write.DTYPE_BY_CODE.get(kind, kind) for name, kind in json.loads(done.stdout).items()}


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "census"])
def test_it_has_the_columns_that_the_agent_writes(deep: bool) -> None:
    snapshot = Heap().snapshot(deep=deep)
    found = {name: column.dtype.newbyteorder("<") for name, column in snapshot._columns.items()}
    expected = {name: np.dtype(kind) for name, kind in columns_of_the_agent(deep).items()}
    expected.pop("object.place", None)  # as the C walker, it says in the meta data how its rows are in order
    if "reference.index" in expected:
        expected["reference.target"] = np.dtype("<u8")
        del expected["reference.index"]
    assert found == expected


def test_an_object_is_there_while_something_refers_to_it() -> None:
    heap = Heap()
    order = heap.instance("shop.Order")
    shop = heap.module("shop", ORDER=order)
    assert is_there(heap, order)
    del shop.ORDER
    assert not is_there(heap, order)


def test_what_hangs_on_it_goes_with_it() -> None:
    heap = Heap()
    line = heap.instance("shop.Line")
    shop = heap.module("shop", ORDER=heap.instance("shop.Order", lines=heap.list([line])))
    assert is_there(heap, line)
    del shop.ORDER
    assert not is_there(heap, line)


def test_a_cycle_stays_until_the_collector_comes() -> None:
    heap = Heap()
    ring = heap.instance("shop.Ring")
    ring.other = heap.instance("shop.Ring", other=ring)
    assert is_there(heap, ring)
    heap.collect()
    assert not is_there(heap, ring)


def test_what_c_code_holds_stays_until_it_gives_it_back() -> None:
    heap = Heap()
    token = heap.hold_by_c(heap.instance("shop.Token"))
    heap.collect()
    assert is_there(heap, token)
    heap.hold_by_c(token, -1)
    assert not is_there(heap, token)


def test_a_returned_function_lets_its_locals_go() -> None:
    heap = Heap()
    order = heap.instance("shop.Order")
    frame = heap.frame("shop.main", order=order)
    assert is_there(heap, order)
    heap.leave(frame)
    assert not is_there(heap, order)


def test_a_weak_reference_keeps_nothing_and_tells_of_the_dead() -> None:
    heap = Heap()
    order = heap.instance("shop.Order")
    shop = heap.module("shop", ORDER=order, WATCH=heap.weakref(order))
    assert heap.snapshot().column("weak.target").tolist() == [order._address]
    del shop.ORDER
    assert heap.snapshot().column("weak.target").tolist() == [0]


def test_an_address_is_given_again_only_where_that_is_asked_for() -> None:
    for reuse in (False, True):
        heap = Heap(reuse)
        first = heap.instance("shop.Order")._address
        heap.sweep()
        assert (heap.instance("shop.Order")._address == first) is reuse


def test_reference_counts_are_those_of_its_referrers_and_of_c_code() -> None:
    heap = Heap()
    order = heap.hold_by_c(heap.instance("shop.Order"), 2)
    heap.module("shop", ORDER=order, ORDERS=heap.list([order, order]))
    snapshot = heap.snapshot()
    row = snapshot.column("object.address").tolist().index(order._address)
    assert snapshot.column("object.refcount")[row] == 5


def test_an_lru_cache_drops_its_oldest_call_with_its_key() -> None:
    heap = Heap()
    cache = heap.lru_cache(3)
    heap.module("shop", price=cache)
    orders = [heap.instance("shop.Order") for _ in range(5)]
    for order in orders:
        cache.call([order], heap.string())
    assert [is_there(heap, order) for order in orders] == [False, False, True, True, True]
