"""The tables of a run, read back by pyarrow and by DuckDB."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
from heap import Heap, Thing, run_folder, save

from leakhunt.analysis.heap.dominators import kept_dominators
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.errors import RunError, UsageError
from leakhunt.export import columns, parquet
from leakhunt.export.tables import Tables, run_identity
from leakhunt.runfolder import read_run
from leakhunt.snapshot import Snapshot

Rows = list[dict[str, object]]


def shop(pid: int = 4711) -> tuple[Heap, Thing]:
    heap = Heap(pid=pid)
    orders = heap.list()
    heap.module("shop", STORE=heap.instance("shop.Store", orders=orders, label=heap.string()))
    return heap, orders


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two workers over ten moments; the second one's orders grow."""
    workers = []
    for pid, gain in ((101, 0), (102, 20)):
        heap, orders = shop(pid)
        taken = []
        for _ in range(24):
            orders.extend(heap.instance("shop.Order", separate_dict=True, note=heap.string()) for _ in range(gain))
            taken.append(heap.snapshot())
        workers.append(taken)
    return run_folder(tmp_path / "run", *workers)


def rows(path: Path, table: str, **how: bool) -> Rows:
    found: Rows = Tables(path, **how).table(table).to_pylist()
    return found


def test_every_table_has_the_columns_that_are_documented_with_what_they_mean(run: Path, tmp_path: Path) -> None:
    parquet.write(Tables(run), tmp_path / "run.parquet")
    for table, documented in columns.TABLES.items():
        found = pyarrow.parquet.read_schema(tmp_path / "run.parquet" / f"{table}.parquet")
        assert [(field.name, field.metadata[b"means"].decode()) for field in found] == [
            (column.name, column.means) for column in documented
        ]


def test_duckdb_reads_what_pyarrow_wrote(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run.parquet"
    parquet.write(Tables(run), folder)
    for table in columns.TABLES:
        arrow = pyarrow.parquet.read_table(folder / f"{table}.parquet")
        assert arrow.to_pylist() == rows(run, table)
        counted = duckdb.connect().execute(f"SELECT count(*) FROM '{folder}/{table}.parquet'").fetchall()
        assert counted == [(arrow.num_rows,)], table
        assert arrow.num_rows > 0, table


def test_an_object_says_what_the_report_would_say_of_it(run: Path) -> None:
    taken = read_run(run).processes[1].snapshots[-1]
    graph = HeapGraph(Snapshot.load(taken))
    names, retained = Names(graph), kept_dominators(graph).retained_sizes
    found = [row for row in rows(taken, "objects") if row["type"] == "shop.Order"]
    assert len(found) == 480
    for row in found[:50]:
        index = int(str(row["object"]))
        assert row["holder"] == names.owners(index)[0] == "shop.Store.orders"
        assert row["root"] == names.root_of(index) == "module shop"
        assert row["retained_bytes"] == retained[index]
        assert row["state"] == "reached"
        assert graph.type_name(int(str(row["dominator"]))) == "builtins.list"


def test_what_is_garbage_or_held_by_c_says_so(tmp_path: Path) -> None:
    heap, _ = shop()
    cycle = heap.instance("shop.Cycle")
    cycle.itself = cycle
    heap.hold_by_c(heap.instance("shop.Handle"))
    path = save(heap.snapshot(), tmp_path / "s.leak")
    state_by_type = {row["type"]: (row["state"], row["holder"] is None) for row in rows(path, "objects")}
    assert state_by_type["shop.Cycle"] == ("garbage", True)
    assert state_by_type["shop.Handle"][0] == "outside"
    assert [row["retained_bytes"] for row in rows(path, "objects") if row["type"] == "shop.Cycle"] == [None]


def test_references_lead_from_object_to_object_weak_ones_last(tmp_path: Path) -> None:
    heap, _ = shop()
    session = heap.instance("shop.Session")
    heap.module("web", SESSION=session, WATCH=heap.weakref(session))
    path = save(heap.snapshot(), tmp_path / "s.leak")
    type_of = {row["object"]: row["type"] for row in rows(path, "objects")}
    told = [(type_of[r["source"]], r["kind"], r["name"], type_of[r["target"]]) for r in rows(path, "references")]
    assert ("shop.Store", "attribute", "orders", "builtins.list") in told
    assert ("builtins.module", "internal", "__dict__", "builtins.dict") in told
    assert told[-1] == ("weakref.ReferenceType", "weak", None, "shop.Session")


def test_the_newest_graph_of_each_process_is_taken_or_every_one(run: Path) -> None:
    newest = {(row["pid"], row["snapshot"]) for row in rows(run, "types")}
    assert newest == {(101, 24), (102, 24)}
    assert len({(row["pid"], row["snapshot"]) for row in rows(run, "types", every=True)}) == 48


def test_findings_and_growing_places_are_those_of_the_report(run: Path) -> None:
    (found,) = rows(run, "findings")
    assert (found["rank"], found["type"], found["holder"]) == (1, "shop.Order", "shop.Store.orders")
    assert found["pids"] == [102]
    assert {(row["pid"], row["place"]) for row in rows(run, "places")} >= {(102, "shop.Store.orders")}


def test_a_run_has_the_same_name_when_its_folder_is_called_otherwise(run: Path, tmp_path: Path) -> None:
    before = run_identity(read_run(run))
    run.rename(tmp_path / "other")
    assert run_identity(read_run(tmp_path / "other")) == before
    lone = read_run(tmp_path / "other").processes[0].snapshots[-1]
    assert Tables(lone).run == before


def test_a_snapshot_of_no_run_has_tables_but_no_findings(tmp_path: Path) -> None:
    heap, _ = shop()
    path = save(heap.snapshot(), tmp_path / "s.leak")
    assert rows(path, "findings") == rows(path, "places") == []
    assert {row["process"] for row in rows(path, "objects")} == {"pid-4711.0"}


def test_a_run_of_counts_alone_says_what_is_missing(tmp_path: Path) -> None:
    heap, _ = shop()
    folder = run_folder(tmp_path / "run", [heap.snapshot(deep=False)])
    assert rows(folder, "series")
    with pytest.raises(RunError, match="no object graph"):
        rows(folder, "objects")


def test_an_export_takes_the_place_of_an_export_and_of_nothing_else(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run.parquet"
    parquet.write(Tables(run), folder)
    parquet.write(Tables(run), folder)
    (folder / "mine.txt").write_text("dear to me")
    with pytest.raises(UsageError, match="not a leakhunt export"):
        parquet.write(Tables(run), folder)
    assert (folder / "mine.txt").exists()
    assert not list(tmp_path.glob(".run.parquet.*"))
