"""Counts as objgraph's and sizes as guppy3's, of one process at one moment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from leakhunt.agent import native, schema

from .target import Target, said

PLANTED = """
class Session:
    def __init__(self, n): self.n, self.parts = n, [n]
class Slots:
    __slots__ = ("a", "b")
kept = [Session(n) for n in range(3000)] + [Slots() for n in range(2000)]
kept += [{n: [n]} for n in range(4000)] + [{str(n)} for n in range(1500)] + [(n, [n]) for n in range(2500)]
kept += ["text %d" % n for n in range(1000)] + [b"%d" % n for n in range(100)] + [1 << n for n in range(500)]
kept += [bytearray(n) for n in range(200)] + [list(range(n)) for n in range(50)] + [dict.fromkeys(range(n)) for n in range(50)]
kept += [frozenset(range(n)) for n in range(40)] + [1.5 * n for n in range(300)] + [len, print, Session.__init__, Session(1).__init__]
"""


@pytest.fixture(params=["python", "c"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """This interpreter, where objgraph and guppy3 are installed."""
    if request.param == "c" and not Path(native.__file__).with_name(native.FILE).exists():
        pytest.skip("the C engine is not built")
    return Target("%d.%d" % sys.version_info[:2], sys.executable, request.param, tmp_path)


def test_counts_agree_with_objgraph(here: Target) -> None:
    ran = here.run(
        PLANTED
        + """
import collections, objgraph
gc.collect()
gc.disable()
take(False)
own = sys.modules["_leakhunt_agent"]._sampler._engine._own
counted = objgraph.typestats(shortnames=False)
for name, count in counted.items():
    print(name, count)
for kind, count in collections.Counter(type(o) for o in own if gc.is_tracked(o)).items():
    print("own %s.%s" % (kind.__module__, kind.__name__), count)
sys.stdout.flush()
os._exit(0)
"""
    )
    census = {name: count for name, (count, _) in ran.heaps[0].census.items()}
    counted = {name: count for name, count in said(ran) if "leakhunt" not in name}
    own = {name.partition(" ")[2]: count for name, count in counted.items() if name.startswith("own ")}
    for name in ("__main__.Session", "__main__.Slots"):
        assert counted[name] == census[name], name
    for name in (
        "dict",
        "set",
        "tuple",
        "list",
        "frozenset",
        "type",
        "function",
        "cell",
        "property",
        "getset_descriptor",
    ):
        others = counted[f"builtins.{name}"] - own.get(f"builtins.{name}", 0)
        assert abs(census[f"builtins.{name}"] - others) <= 48, name  # what is made to look, by either
    exact = [name for name, count in census.items() if counted.get(name, 0) - own.get(name, 0) == count]
    assert len(exact) > 0.6 * len(census), sorted(set(census) - set(exact))


def test_sizes_agree_with_guppy3(here: Target) -> None:
    ran = here.run(
        PLANTED
        + """
from guppy import hpy
sized = hpy()
sized.heap()
take()
for item in kept:
    print(id(item), sized.iso(item).size)
sys.stdout.flush()
os._exit(0)
""",
    )
    heap = ran.heaps[0]
    kept = list(said(ran))
    assert len(kept) > 15_000
    for address, size in kept:
        row = heap.row_by_address[int(address)]
        name = heap.type_of(int(address))
        if name not in ("__main__.Session", "__main__.Slots"):  # guppy3 knows sizes of classes of its own accord
            assert heap.rows["size"][row] == size, name


def test_classes_of_an_extension_are_known_though_a_package_calls_them_its_own(here: Target) -> None:
    ran = here.run(
        """
import click, numpy
kept = [numpy.zeros(3), numpy.random.default_rng(), click.Option(["--n"])]
take(False)
os._exit(0)
"""
    )
    snapshot = ran.heaps[0].snapshot
    flags = dict(zip(snapshot.type_names, snapshot.column("type.flags").tolist(), strict=True))
    names = ("numpy.random._generator.Generator", "click.core.Option")
    assert [bool(flags[name] & schema.TYPE_EXTENSION) for name in names] == [True, False]


def test_a_view_leads_to_the_array_that_owns_its_memory(here: Target) -> None:
    # kept -> view -> frame, which nobody else refers to; numpy tells the collector of neither
    ran = here.run(
        """
import numpy
class Scan(numpy.ndarray): pass
kept = [numpy.zeros(20000)[:10], numpy.ones(30000).view(Scan), numpy.arange(5)]
take()
print(*[id(view.base) for view in kept[:2]], id(kept[2]), flush=True)
os._exit(0)
"""
    )
    (heap,) = ran.heaps
    first, second, whole = map(int, ran.out.split())
    assert [heap.rows["size"][heap.row_by_address[address]] // 1000 for address in (first, second)] == [160, 240]
    assert whole in heap.row_by_address


def test_what_python_says_of_its_allocator_is_in_the_ledger(here: Target) -> None:
    ran = here.run("take(False)\nprint(sys.getallocatedblocks())\nos._exit(0)")
    meta = ran.heaps[0].snapshot.meta
    blocks = sum(int(word.partition(":")[2]) for word in meta["pymalloc_blocks"].split())
    small = sum(int(size) * int(n) for size, _, n in (word.partition(":") for word in meta["pymalloc_blocks"].split()))
    assert abs(blocks - int(meta["allocated_blocks"])) < 0.05 * blocks
    assert int(meta["pymalloc_in_use_bytes"]) == small <= int(meta["pymalloc_arena_bytes"])
