"""What a notebook looks around in: pages that stand alone, and the views of objgraph and guppy3 on one object."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from heap import Heap, run_folder

import leakhunt
from leakhunt import this_process
from leakhunt.errors import RunError, SnapshotError, UsageError
from leakhunt.findings import ClassSeries, Findings, ProcessSummary, Retained, RunSummary
from leakhunt.notebook import HeapView, RunView
from leakhunt.render.explore import (
    AGES_MAX,
    CURVES_MAX,
    MOMENTS_MAX,
    POINTS_MAX,
    series_page,
    spectrum_page,
    treemap_page,
)
from leakhunt.snapshot import Snapshot

EVIL = "shop.</script><img src=x onerror=alert(1)>&amp;"


def data(page: str) -> Any:
    """The JSON that a page's script draws from."""
    found = re.search(r"<script>const \w+ = (.*);</script>", page)
    assert found
    return json.loads(found[1])


@pytest.fixture
def run(tmp_path: Path) -> RunView:
    # module shop -> .ORDERS -> list -> Order, Order, …
    heap = Heap()
    orders = heap.list()
    heap.module("shop", ORDERS=orders)
    snapshots = heap.live(lambda k: orders.extend(heap.instance("shop.Order") for _ in range(20)), 24)
    view = leakhunt.load(run_folder(tmp_path / "run", snapshots))
    assert isinstance(view, RunView)
    return view


def test_the_treemap_of_a_run_has_its_boxes_inside_one_another(run: RunView) -> None:
    page = run.treemap()
    whole = data(page.html)
    assert whole["told"] == "everything"
    assert whole["size"] >= sum(box["size"] for box in whole["inside"]) > 0
    assert "shop" in repr(page) and page._repr_html_().startswith("<iframe")
    assert data(run.deep[-1].treemap().html) == whole


def test_a_census_and_a_run_of_censuses_have_no_treemap_and_say_so(tmp_path: Path) -> None:
    heap = Heap()
    heap.module("shop", ORDERS=heap.list())
    with pytest.raises(SnapshotError, match="census"):
        HeapView(heap.snapshot(deep=False)).treemap()
    flat = run_folder(tmp_path / "run", heap.live(lambda k: None, 8, deep=lambda k: False))
    with pytest.raises(RunError, match="no object graph"):
        RunView(flat).treemap()


def test_curves_are_by_class_by_bytes_and_by_holder(run: RunView) -> None:
    by_class, by_bytes, by_holder = (data(run.series(by).html)["curves"] for by in ("class", "bytes", "holder"))
    orders = next(curve for curve in by_class if curve["name"] == "shop.Order")
    assert orders["ys"] == sorted(orders["ys"]) and len(orders["ys"]) == len(orders["xs"]) == 24
    sizes = next(curve for curve in by_bytes if curve["name"] == "shop.Order")["ys"]
    assert [size / sizes[0] for size in sizes] == [count / orders["ys"][0] for count in orders["ys"]]
    assert by_holder[0]["name"] == "shop.ORDERS"
    with pytest.raises(UsageError, match="no curves by 'size'"):
        run.series("size")


def test_the_spectrum_of_a_run_shows_the_growing_class_as_the_youngest_at_each_moment(run: RunView) -> None:
    page = run.spectrum()
    found = data(page.html)
    assert found["seconds"] == sorted(found["seconds"]) and len(found["seconds"]) == 24
    orders = next(one for one in found["classes"] if one["name"] == "shop.Order")["tenths"]
    assert [sum(tenths) for tenths in orders] == [20 * k for k in range(1, 25)]
    assert orders[-1][-1] > 0
    modules = next(one for one in found["classes"] if one["name"] == "builtins.module")["tenths"]
    assert sum(modules[-1][:2]) == 1  # there from the start
    assert "old to new" in repr(page) and "shop.Order: 480" in repr(page)
    of_one = data(run.snapshots[-1].spectrum().html)
    assert [one["tenths"][-1] for one in of_one["classes"]] == [one["tenths"][-1] for one in found["classes"]]
    assert len(of_one["seconds"]) == 1


def test_where_the_order_of_the_list_is_not_age_the_spectrum_says_so_and_draws_nothing(tmp_path: Path) -> None:
    heap = Heap()
    heap.module("shop", ORDERS=heap.list(heap.instance("shop.Order") for _ in range(20)))
    known = heap.snapshot()
    unknown = Snapshot(
        known.meta, {name: column for name, column in known._columns.items() if name != "spectrum.count"}
    )
    for view in (HeapView(unknown), leakhunt.load(run_folder(tmp_path / "run", [unknown]))):
        page = view.spectrum()
        assert "Ages are not known here" in repr(page) and "Ages are not known here" in page.html
        assert "getElementById" not in page.html and data(page.html)["classes"] == []
    assert "shop.Order" in repr(HeapView(known).spectrum())


def test_a_name_of_the_target_s_neither_ends_the_script_nor_becomes_markup() -> None:
    box = Retained("", "", 100, inside=(Retained(EVIL, EVIL, 90),))
    process = ProcessSummary(1, "x", 2, seconds=(0.0, 1.0), classes=(ClassSeries(EVIL, (1, 2), (3, 4)),))
    findings = Findings(RunSummary(("x",), 1.0, 2, "3.11"), "healthy", processes=(process,))
    pages = treemap_page(box, EVIL), series_page(findings, "class"), spectrum_page([(1.0, {EVIL: [0, 1]})], EVIL)
    for page in pages:
        assert "<img" not in page
        assert page.count("<script>") == page.count("</script>") == 2
        assert data(page)


def test_a_long_run_of_many_classes_makes_a_page_of_bounded_size() -> None:
    long = tuple(range(5000))
    rows = tuple(ClassSeries(f"shop.C{n}", tuple(n * k for k in long), long) for n in range(200))
    process = ProcessSummary(1, "x", 5000, seconds=tuple(map(float, long)), classes=rows)
    findings = Findings(RunSummary(("x",), 1.0, 2, "3.11"), "healthy", processes=(process, replace(process, pid=2)))
    curves = data(series_page(findings, "class"))["curves"]
    assert len(curves) == CURVES_MAX
    assert max(len(curve["xs"]) for curve in curves) <= POINTS_MAX
    assert curves[0]["name"] == "shop.C199"
    ages = data(spectrum_page([(1.0, {f"shop.C{n}": [n] for n in range(200)})], "many"))["classes"]
    assert len(ages) == AGES_MAX
    assert ages[0]["name"] == "shop.C199"


def test_the_spectrum_of_a_long_run_has_a_bounded_number_of_moments_the_newest_among_them(tmp_path: Path) -> None:
    heap = Heap()
    heap.module("shop", ORDERS=heap.list())
    snapshots = heap.live(lambda k: None, 3 * MOMENTS_MAX - 1, deep=lambda k: False)
    view = leakhunt.load(run_folder(tmp_path / "run", snapshots))
    assert isinstance(view, RunView)
    seconds = data(view.spectrum().html)["seconds"]
    assert len(seconds) <= MOMENTS_MAX
    assert seconds[-1] == snapshots[-1].number("elapsed")


def test_a_run_of_one_snapshot_says_that_there_is_nothing_to_draw() -> None:
    process = ProcessSummary(1, "x", 1, seconds=(0.0,), classes=(ClassSeries("shop.Order", (1,), (2,)),))
    page = series_page(Findings(RunSummary(("x",), 1.0, 1, "3.11"), "inconclusive", processes=(process,)), "class")
    assert "Nothing to draw" in page and "getElementById" not in page


def test_a_graph_is_explored_in_a_page_of_its_own(run: RunView, tmp_path: Path) -> None:
    page = run.backrefs("shop.Order").explore()
    assert "srcdoc" in page._repr_html_() and "shop.Order" in repr(page)
    page.save(str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text() == page.html


# One object, all views


class Basket:
    """Of which the tests here have a few."""

    def __init__(self) -> None:
        self.items = ["x"]


KEPT = [Basket() for _ in range(5)]


@pytest.mark.parametrize("what", [Basket, "Basket", KEPT], ids=["class", "name", "list"])
def test_an_object_has_the_views_of_objgraph_and_guppy(what: Any) -> None:
    look = this_process.look(what)
    assert "5 objects" in repr(look)
    assert [link.label for link in look.chain().chains[0].links][-2:] == [".KEPT", "[0]"]
    assert look.backrefs().graph.nodes
    assert len(look.size_of().rows) == 5
    assert sum(row[1] for row in look.sizes().rows) == sum(row[1] for row in look.by_referrers().rows) == 5
    assert look.guppy().count == 5


def test_a_look_at_nothing_says_so() -> None:
    with pytest.raises(UsageError, match="There is no live object of class"):
        this_process.look("NoSuchClassAnywhere").chain()


def test_this_interpreter_has_a_treemap() -> None:
    assert data(this_process.treemap().html)["size"] > 1_000_000
