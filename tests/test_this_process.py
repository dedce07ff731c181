"""The running interpreter by objgraph and guppy3: one vocabulary, and results that show themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from leakhunt import this_process
from leakhunt.display import Chains, Table, bars
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.findings import Chain, Link
from leakhunt.snapshot import Snapshot


class Basket:
    def __del__(self) -> None:
        pass


class Slotted:
    __slots__ = ("held",)


class Registry:
    def __init__(self) -> None:
        self.sessions: dict[str, Any] = {}


REGISTRY = Registry()


@pytest.fixture
def registry() -> Iterator[Registry]:
    yield REGISTRY
    REGISTRY.sessions.clear()


def words(chains: Chains) -> list[str]:
    return [link.label for chain in chains.chains for link in chain.links]


# objgraph


def test_growth_counts_what_came_since_the_last_call(registry: Registry) -> None:
    this_process.growth()
    registry.sessions.update((str(n), Basket()) for n in range(7))
    rows = {name: change for name, _, change in this_process.growth(limit=200).rows}
    assert rows[f"{__name__}.Basket"] == 7
    assert f"{__name__}.Basket" not in {name for name, _, _ in this_process.growth(limit=200).rows}


def test_a_chain_leads_from_the_module_to_the_object_by_the_names_of_the_source(registry: Registry) -> None:
    registry.sessions["ada"] = [Basket()]
    found = this_process.chain(registry.sessions["ada"][0])
    assert words(found) == [f"module {__name__}", ".REGISTRY", ".sessions", "['ada']", "[0]"]
    assert found.chains[0].links[-1].finalizer == f"{__file__}:{Basket.__del__.__code__.co_firstlineno}"
    assert "! __del__ at" in repr(found)


def test_a_chain_may_begin_where_a_predicate_says(registry: Registry) -> None:
    basket = Basket()
    slotted = Slotted()
    slotted.held = basket
    registry.sessions["x"] = slotted
    assert words(this_process.chain(basket, lambda item: type(item) is Slotted))[1:] == [".held"]


def test_a_predicate_that_raises_says_no(registry: Registry) -> None:
    found = this_process.chain(registry.sessions, lambda item: item.no_such_thing, depth=2)
    assert len(found) == 0
    assert "begins where you asked" in found.title


def test_back_references_are_drawn_without_what_draws_them(registry: Registry) -> None:
    registry.sessions["ada"] = basket = Basket()
    found = this_process.backrefs(basket, depth=4, width=30)
    labels = {edge.label for edge in found.graph.edges}
    assert {"['ada']", ".REGISTRY"} <= labels
    assert not any(node.type.startswith("leakhunt.") for node in found.graph.nodes)
    ElementTree.fromstring(found.draw("svg"))


def test_a_class_that_has_no_instance_is_told_so() -> None:
    class Nobody:
        pass

    with pytest.raises(UsageError, match=r"There is no live object of class .*Nobody"):
        this_process.backrefs(Nobody)


# guppy3


def test_the_heap_is_counted_by_class_by_size_and_by_referrers(registry: Registry) -> None:
    registry.sessions.update((str(n), Basket()) for n in range(5))
    assert this_process.top(limit=3).rows[0][1] > 100
    by_size = this_process.sizes(Basket)
    assert sum(row[1] for row in by_size.rows) == 5
    assert [row[:2] for row in this_process.by_referrers(Basket).rows] == [("dict (no owner)", 5)]
    assert [row[:2] for row in this_process.by_referrers(f"{__name__}.Basket").rows] == [("dict (no owner)", 5)]


def test_sizes_of_extension_types_are_exact() -> None:
    import array

    import numpy

    packed, plain = array.array("I", range(1000)), numpy.zeros(1000)
    rows = this_process.size_of(packed, plain).rows
    assert rows[0][1] >= 4000
    assert rows[1][1] >= 8000


# SnapshotRecorder


def test_a_pin_is_a_snapshot_of_this_interpreter_with_a_note_of_what_was_looked_at(registry: Registry) -> None:
    registry.sessions.update((str(n), Basket()) for n in range(5))
    pinned = this_process.pin(this_process.sizes(Basket))
    assert isinstance(pinned, Snapshot)
    assert pinned.census[f"{__name__}.Basket"][0] == 5
    assert "Basket by size" in pinned.meta["note"]


# What they show


TABLE = Table(
    "Sizes <now>", ("class", "objects", "bytes", "change in bytes"), (("a<b>", 1234, 2_000_000, 12), ("c", 1, 0, -3))
)


def test_a_table_prints_with_units() -> None:
    text = repr(TABLE)
    assert "1,234" in text and "2.0 MB" in text and "+12 B" in text and "-3 B" in text


def test_a_table_s_html_escapes_names_and_is_well_formed() -> None:
    html = TABLE._repr_html_()
    assert "a&lt;b&gt;" in html and "<now>" not in html
    assert len(ElementTree.fromstring(html).findall(".//td")) == 8


def test_a_table_is_a_data_frame_with_numbers() -> None:
    assert TABLE.to_pandas()["bytes"].sum() == 2_000_000


def test_without_pandas_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LeakhuntError, match="pip install pandas"):
        TABLE.to_pandas()


def test_an_empty_table_and_a_long_one_say_so() -> None:
    assert "Nothing." in repr(Table("Empty", ("a",), ()))
    long = Table("Long", ("n",), tuple((n,) for n in range(30)), limit=10)
    assert "+ 20 more rows" in repr(long)
    assert "+ 20 more rows" in long._repr_html_()


def test_chains_turn_into_a_row_for_each_step() -> None:
    chain = Chain((Link("root", "module a", "builtins.module"), Link("attribute", ".b", "a.B", "a.py:3")))
    assert list(Chains("why", (chain, chain)).to_pandas()["chain"]) == [1, 1, 2, 2]


def test_bars_are_drawn_for_the_first_rows() -> None:
    figure = bars(TABLE, "class", "bytes")
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.0, 2_000_000.0]
