"""A table about the entries of a registry, under their ids, is named with it; what only looks like one is a leak."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from heap import Heap, Thing

from leakhunt.snapshot import Snapshot

from .judging import accused, told

BOTH = {"shop.SOCKETS", "shop.ENVIRON"}
Fill = Callable[[Heap, Thing, Thing], None]


def grown(fill: Fill) -> list[Snapshot]:
    """A life in which `fill(heap, sockets, environ)` is called ten times between any two looks."""
    heap = Heap()
    registry, table = heap.dict(), heap.dict()
    heap.module("shop", SOCKETS=registry, ENVIRON=table)

    def serve(k: int) -> None:
        for _ in range(10):
            fill(heap, registry, table)

    return heap.live(serve)


# module shop -> SOCKETS -> sid: Socket .sid -> sid,   ENVIRON -> sid: dict -> Cycle
@pytest.mark.parametrize("separate_dict", [False, True], ids=["inline", "__dict__"])
def test_the_registry_of_what_the_ids_belong_to_comes_in_the_stead_of_a_larger_table_under_them(
    separate_dict: bool,
) -> None:
    def fill(heap: Heap, sockets: Thing, environ: Thing) -> None:
        sid = heap.string()
        sockets[sid] = heap.instance("shop.Socket", size=400, separate_dict=separate_dict, sid=sid)
        environ[sid] = heap.dict({"receive": heap.instance("shop.Cycle", size=900)})

    (verdict,) = accused(grown(fill))
    assert (verdict.type, verdict.owner, verdict.also_owned_by) == ("shop.Socket", "shop.SOCKETS", ("shop.ENVIRON",))
    assert verdict.reason.endswith("; shop.ENVIRON fills up under the same ids")


def under_ids_of_its_own(heap: Heap, sockets: Thing, environ: Thing) -> None:
    sid = heap.string()
    sockets[sid] = heap.instance("shop.Socket", size=400, sid=sid)
    environ.add(heap.dict({"receive": heap.instance("shop.Cycle", size=900)}))


def whose_entries_have_the_ids_too(heap: Heap, sockets: Thing, environ: Thing) -> None:
    sid = heap.string()
    sockets[sid] = heap.instance("shop.Socket", size=400, sid=sid)
    environ[sid] = heap.instance("shop.Cycle", size=900, sid=sid)


def beside_a_registry_whose_entries_know_no_ids(heap: Heap, sockets: Thing, environ: Thing) -> None:
    sid = heap.string()
    sockets[sid] = heap.instance("shop.Socket", size=400, name=heap.string())
    environ[sid] = heap.dict({"receive": heap.instance("shop.Cycle", size=900)})


def that_takes_most_of_the_memory(heap: Heap, sockets: Thing, environ: Thing) -> None:
    sid = heap.string()
    sockets[sid] = heap.instance("shop.Socket", size=400, sid=sid)
    environ[sid] = heap.dict({"receive": heap.instance("shop.Cycle", size=9000)})


def that_has_many_more_besides(heap: Heap, sockets: Thing, environ: Thing) -> None:
    sid = heap.string()
    sockets[sid] = heap.instance("shop.Socket", size=400, sid=sid)
    environ[sid] = heap.instance("shop.Cycle", size=200)
    environ.add(heap.instance("shop.Cycle", size=200))


@pytest.mark.parametrize(
    "fill",
    [
        under_ids_of_its_own, whose_entries_have_the_ids_too, beside_a_registry_whose_entries_know_no_ids,
        that_takes_most_of_the_memory, that_has_many_more_besides,
    ],
)  # fmt: skip
def test_a_table_is_a_leak_of_its_own(fill: Fill) -> None:
    assert {owner for _, _, owner in told(grown(fill))} == BOTH


def test_a_table_is_accused_where_the_registry_is_not() -> None:
    # SOCKETS loses its oldest, ENVIRON keeps what was said of them
    heap = Heap()
    sockets, environ = heap.dict(), heap.dict()
    heap.module("shop", SOCKETS=sockets, ENVIRON=environ)

    def serve(k: int) -> None:
        for _ in range(10):
            sid = heap.string()
            sockets[sid] = heap.instance("shop.Socket", size=400, sid=sid)
            environ[sid] = heap.dict({"receive": heap.instance("shop.Cycle", size=900)})
            if k > 2:
                sockets.pop_oldest()

    assert [owner for _, _, owner in told(heap.live(serve, moments=16))] == ["shop.ENVIRON"]
