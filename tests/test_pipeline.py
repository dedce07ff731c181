"""From a run folder to findings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from heap import Heap, run_folder, save

from leakhunt import load, pipeline
from leakhunt.analysis.growth.known import BUILT_IN
from leakhunt.errors import RunError, SnapshotError, UsageError
from leakhunt.findings import Finding, Findings
from leakhunt.pipeline import hunt
from leakhunt.snapshot import Snapshot


def leaking(
    pid: int = 4711, moments: int = 20, batch: int = 10, deep: Callable[[int], bool] | None = None
) -> list[Snapshot]:
    # module shop -> STORE -> Store .orders -> dict -> Order
    heap = Heap(pid=pid)
    heap.type("shop.Order", del_at="/app/shop.py:20")
    orders = heap.dict()
    heap.class_("shop.Store", "/app/shop.py", 3)
    heap.module("shop", "/app/shop.py", STORE=heap.instance("shop.Store", orders=orders))

    def serve(k: int) -> None:
        for _ in range(batch):
            orders.add(heap.instance("shop.Order"))

    return heap.live(serve, moments, deep)


def healthy(pid: int = 4712, moments: int = 20) -> list[Snapshot]:
    heap = Heap(pid=pid)
    recent = heap.deque(maxlen=50)
    heap.module("shop", RECENT=recent)

    def serve(k: int) -> None:
        for _ in range(30):
            recent.append(heap.instance("shop.Order"))

    return heap.live(serve, moments)


def only(findings: Findings) -> Finding:
    (found,) = findings.findings
    return found


# The verdict


def test_a_leak_is_found_in_a_run_folder(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", leaking()))
    assert found.verdict == "leak"
    finding = only(found)
    assert (finding.rank, finding.kind, finding.type) == (1, "python-leak", "shop.Order")
    assert finding.confidence >= 0.9
    assert finding.holder is not None
    assert finding.holder.owner == "shop.Store.orders"
    assert finding.holder.aliases == ("shop.STORE.orders",)
    assert finding.holder.path == ("module shop", ".STORE", "shop.Store", ".orders", "[*]")
    assert finding.growth.per_minute == pytest.approx(120)
    assert found.summary.startswith("shop.Order held by shop.Store.orders: ")


def test_what_the_project_says_counts_for_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_folder(tmp_path / "run", leaking())
    (tmp_path / "leakhunt.toml").write_text('[[harmless]]\nowner = "Store.orders"\nwhy = "archived at night"\n')
    monkeypatch.chdir(tmp_path)
    assert hunt(run).verdict == "healthy"
    assert load(run).findings.verdict == "healthy"
    assert hunt(run, known=BUILT_IN).verdict == "leak"


def test_a_run_where_nothing_only_grows_is_healthy(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", healthy()))
    assert (found.verdict, found.findings) == ("healthy", ())


@pytest.mark.parametrize(
    "process",
    [healthy(moments=3), healthy(moments=1), leaking(moments=2), []],
    ids=["three", "one", "two that grow", "none"],
)
def test_too_little_is_inconclusive_and_it_is_said_how_long_to_run(tmp_path: Path, process: list[Snapshot]) -> None:
    found = hunt(run_folder(tmp_path / "run", process))
    assert (found.verdict, found.findings) == ("inconclusive", ())
    assert "Run it for 120 s or more" in found.summary


def test_what_grew_for_less_than_eighteen_intervals_is_told_but_not_accused(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", leaking(moments=17)))
    assert (found.verdict, found.findings) == ("inconclusive", ())
    assert found.summary.startswith("Too little was seen to accuse shop.Order in shop.Store.orders. Run it for 120 s")
    assert "Worth watching, not sure enough to accuse: shop.Order in shop.Store.orders" in found.processes[0].notes[0]
    assert hunt(run_folder(tmp_path / "longer", leaking(moments=18))).verdict == "leak"


def test_a_run_with_something_worth_watching_is_not_called_healthy(tmp_path: Path) -> None:
    # module shop -> PAGES -> Page, Page, …, fewer new ones each time
    heap = Heap()
    pages = heap.dict()
    heap.module("shop", PAGES=pages)

    def serve(k: int) -> None:
        while len(pages) < 400 * (1 - math.exp(-k / 12)):
            pages.add(heap.instance("shop.Page"))

    found = hunt(run_folder(tmp_path / "run", heap.live(serve, 22)))
    assert (found.verdict, found.findings) == ("inconclusive", ())
    assert found.summary.startswith("Too little was seen to accuse shop.Page in shop.PAGES. Run it for 220 s or more")


def test_what_no_age_explains_is_accused_at_once(tmp_path: Path) -> None:
    # gc.garbage -> Row, Row, ...
    heap = Heap()

    def fail(k: int) -> None:
        for _ in range(10):
            heap.garbage.append(heap.instance("db.Row"))

    assert only(hunt(run_folder(tmp_path / "run", heap.live(fail, 12)))).kind == "uncollectable"


def test_a_run_without_any_process_is_inconclusive(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run"))
    assert found.verdict == "inconclusive"
    assert "No Python process reported in" in found.summary


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        hunt(tmp_path)


# What is in the findings


def test_findings_go_through_json_and_come_back(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", leaking(), healthy()))
    assert found.findings[0].graph is not None
    assert found.findings[0].chain is not None
    assert Findings.from_json(found.to_json()) == found


def test_the_chain_leads_to_the_leaked_class_and_the_picture_marks_the_reference_to_cut(tmp_path: Path) -> None:
    finding = only(hunt(run_folder(tmp_path / "run", leaking())))
    assert finding.chain is not None
    assert [link.label for link in finding.chain.links] == ["module shop", ".STORE", ".orders", "[*]"]
    assert finding.chain.links[-1].type == "shop.Order"
    assert finding.graph is not None
    (holder,) = [node.id for node in finding.graph.nodes if node.role == "holder"]
    assert {edge.source for edge in finding.graph.edges if edge.faulty} == {holder}


def test_places_are_shown_below_the_programs_path(tmp_path: Path) -> None:
    source = tmp_path / "app"
    source.mkdir()
    (source / "shop.py").write_text("class Store:\n    def __init__(self):\n        self.orders = {}\n")
    heap = Heap()
    heap.type("shop.Order", del_at=f"{source}/shop.py:20")
    orders = heap.dict()
    heap.module("shop", f"{source}/shop.py", Store=heap.class_("shop.Store", f"{source}/shop.py", 2))
    heap.frame("shop.main", store=heap.instance("shop.Store", orders=orders))

    def serve(k: int) -> None:
        for _ in range(10):
            orders.add(heap.instance("shop.Order"))

    finding = only(
        hunt(run_folder(tmp_path / "run", heap.live(serve, 20), path=f"/usr/lib\x1f{source}", cwd=str(tmp_path)))
    )
    assert finding.holder is not None
    assert (finding.holder.owner, finding.holder.file, finding.holder.line) == ("shop.Store.orders", "shop.py", 3)
    assert [(f.type, f.file, f.line) for f in finding.finalizers] == [("shop.Order", "shop.py", 20)]


def test_a_process_is_summed_up(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", leaking(moments=20, deep=lambda k: k % 2 == 1)))
    (process,) = found.processes
    assert (process.pid, process.snapshots, process.findings) == (4711, 20, (1,))
    assert len(process.seconds) == len(process.rss_bytes) == len(process.gc_objects) == 20
    assert len(process.deep_seconds) == 10
    series = {row.type: row.counts for row in process.classes}
    assert series["shop.Order"] == tuple(range(10, 210, 10))
    assert found.run.command == ("python", "shop.py")
    assert (found.run.exit_status, found.run.snapshots) == (0, 20)


def test_the_ledger_of_malloc_is_in_the_summary_where_the_target_could_tell_it(tmp_path: Path) -> None:
    heap = Heap()
    told = heap.live(lambda k: {"malloc_in_use_bytes": 1000 + k, "malloc_free_bytes": 7}, 3)
    (with_it, without) = hunt(run_folder(tmp_path / "run", told, healthy(moments=3))).processes
    assert (with_it.malloc_in_use_bytes, with_it.malloc_free_bytes) == ((1000, 1001, 1002), (7, 7, 7))
    assert (without.malloc_in_use_bytes, without.malloc_free_bytes) == ((), ())


def test_the_places_that_grow_are_in_the_summary_with_what_they_held_when(tmp_path: Path) -> None:
    (process,) = hunt(run_folder(tmp_path / "run", leaking(moments=24))).processes
    (series,) = process.holders
    assert series.owner == "shop.Store.orders"
    assert series.seconds[-1] == process.seconds[-1] and len(series.seconds) == len(series.items)
    assert series.items[-1] == 240
    assert {b - a for a, b in itertools.pairwise(series.items)} == {10}


def test_of_too_many_classes_the_quieter_ones_are_kept_by_their_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = hunt(run_folder(tmp_path / "run", leaking())).processes
    monkeypatch.setattr(pipeline, "CLASSES_MAX", 1)
    (process,) = hunt(run_folder(tmp_path / "again", leaking())).processes
    assert whole.quieter == () and len(process.classes) == 1
    assert [one.type for one in process.quieter] == [one.type for one in whole.classes[1:]]
    assert all(len(one.counts) == len(one.bytes) == 2 for one in process.quieter)


def test_the_memory_at_the_newest_graph_is_told_by_who_keeps_it(tmp_path: Path) -> None:
    (process,) = hunt(run_folder(tmp_path / "run", leaking())).processes
    assert process.retained is not None
    (shop,) = (box for box in process.retained.inside if box.name == "shop")
    assert shop.size_bytes > process.retained.size_bytes / 2


def test_progress_goes_up_to_its_end(tmp_path: Path) -> None:
    shares: list[float] = []
    hunt(run_folder(tmp_path / "run", leaking(), healthy()), lambda text, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_fingerprint_is_that_of_the_leak_not_of_the_run(tmp_path: Path) -> None:
    one = only(hunt(run_folder(tmp_path / "one", leaking())))
    other = only(hunt(run_folder(tmp_path / "other", leaking(pid=99, moments=20, batch=33))))
    assert one.fingerprint == other.fingerprint
    assert one.growth != other.growth


# Several processes


def test_a_leak_that_only_a_child_has_is_found_there(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", healthy(1), leaking(2)))
    assert only(found).pids == (2,)
    assert [process.findings for process in found.processes] == [(), (1,)]


def test_the_same_leak_in_several_processes_is_one_finding(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", leaking(1, batch=10), leaking(2, batch=30), healthy(3)))
    finding = only(found)
    assert sorted(finding.pids) == [1, 2]
    assert finding.growth.per_minute == pytest.approx(360)
    assert [process.findings for process in found.processes] == [(1,), (1,), ()]


def test_one_process_that_was_seen_long_enough_makes_it_healthy(tmp_path: Path) -> None:
    assert hunt(run_folder(tmp_path / "run", healthy(1), healthy(2, moments=1))).verdict == "healthy"


# What is broken


def test_a_cut_snapshot_is_left_out_and_told(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", leaking())
    cut = run / "pid-4711.0" / "000005.leak"
    cut.write_bytes(cut.read_bytes()[:1000])
    found = hunt(run)
    assert found.verdict == "leak"
    assert found.processes[0].snapshots == 19
    assert any("000005.leak" in note and "cut short" in note for note in found.processes[0].notes)


def test_a_process_of_which_no_snapshot_can_be_read_says_so(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", leaking(moments=2))
    for file in (run / "pid-4711.0").glob("*.leak"):
        file.write_bytes(b"")
    found = hunt(run)
    assert found.verdict == "inconclusive"
    assert any("no snapshot that can be read" in note for note in found.processes[0].notes)


def test_what_the_agent_lost_is_told(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", healthy())
    (run / "pid-4712.0" / "problems").write_text("3 snapshots lost: No space left on device   ")
    assert any("No space left on device" in note for note in hunt(run).processes[0].notes)


def test_of_very_many_graphs_a_few_are_compared(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", leaking(moments=40)))
    assert only(found).type == "shop.Order"
    assert len(found.processes[0].deep_seconds) >= 14
    assert found.processes[0].snapshots == 40


def test_a_run_of_censuses_alone_is_not_called_healthy(tmp_path: Path) -> None:
    assert hunt(run_folder(tmp_path / "run", leaking(deep=lambda k: False))).verdict == "inconclusive"


# Single snapshots


@pytest.fixture
def saved(tmp_path: Path) -> list[Path]:
    return [save(snapshot, tmp_path / f"{n}.leak") for n, snapshot in enumerate(leaking(moments=3))]


def test_a_diff_is_in_order_of_time_however_it_is_asked_for(saved: list[Path]) -> None:
    forth, back = pipeline.diff(saved[:2]), pipeline.diff([saved[1], saved[0]])
    assert forth == back
    assert {row.type: row.births for row in forth.rows}["shop.Order"] == 10


def test_a_diff_of_three_knows_the_middle(saved: list[Path]) -> None:
    found = pipeline.diff([saved[2], saved[0], saved[1]])
    assert found.middle == str(saved[1])
    assert {row.type: row.alive_from_middle for row in found.rows}["shop.Order"] == 10


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_diff_wants_two_or_three(saved: list[Path], number: int) -> None:
    with pytest.raises(UsageError, match="two or three"):
        pipeline.diff((saved * 2)[:number])


def test_snapshots_of_different_processes_are_not_compared(tmp_path: Path, saved: list[Path]) -> None:
    other = save(leaking(pid=5)[0], tmp_path / "other.leak")
    with pytest.raises(UsageError, match=r"different processes \(4711 and 5\)"):
        pipeline.diff([saved[0], other])


def test_a_missing_snapshot_is_told(tmp_path: Path, saved: list[Path]) -> None:
    with pytest.raises(SnapshotError, match="There is no file"):
        pipeline.diff([saved[0], tmp_path / "none.leak"])


def test_chains_and_back_references_come_from_a_snapshot_or_from_the_last_of_a_run(
    tmp_path: Path, saved: list[Path]
) -> None:
    run = run_folder(tmp_path / "run", leaking(deep=lambda k: k < 6))
    for place, orders in ((saved[1], 20), (run, 60), (run / "pid-4711.0", 60)):
        assert pipeline.chains(place, "shop.Order")[0].links[-1].type == "shop.Order"
        assert pipeline.backrefs(place, "shop.Order").nodes[0].count == orders


def test_the_moment_at_exit_is_not_the_one_to_show(tmp_path: Path) -> None:
    heap = Heap()
    orders = heap.list()
    main = heap.frame("shop.main", orders=orders)
    moments = heap.live(lambda k: orders.append(heap.instance("shop.Order")), moments=3)
    heap.leave(main)
    run = run_folder(tmp_path / "run", [*moments, heap.snapshot(moment="exit")])
    assert pipeline.chains(run, "shop.Order")[0].links[0].label == "frame shop.main (MainThread)"


def test_of_several_processes_the_one_that_has_most_of_the_class_is_shown(tmp_path: Path) -> None:
    # The master's graph is the newest, and has no Order: the leak is in the worker.
    run = run_folder(tmp_path / "run", leaking(pid=1, moments=6), healthy(pid=2, moments=20))
    assert pipeline.chains(run, "shop.Order")[0].links[0].label == "module shop"
    assert pipeline.backrefs(run, "shop.Store").nodes[0].count == 1
    with pytest.raises(UsageError, match=r"No object of class shop\.Nothing"):
        pipeline.chains(run, "shop.Nothing")


def test_a_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", leaking(moments=6))
    sorted(run.glob("pid-*/*.leak"))[-1].write_bytes(b"LEAKHUNT and no more")
    assert pipeline.backrefs(run, "shop.Order").nodes[0].count == 50


def test_a_run_without_a_graph_has_no_chains(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no deep snapshot"):
        pipeline.chains(run_folder(tmp_path / "run", leaking(deep=lambda k: False)), "shop.Order")


# Workers that are recycled


def recycled(pid: int, leaks: bool, moments: int = 4) -> list[Snapshot]:
    heap = Heap(pid=pid, process_cpu_seconds=8.0)
    kept = heap.list()
    heap.module("shop", KEPT=kept)

    def serve(k: int) -> None:
        for _ in range(5 if leaks else 0):
            kept.append(heap.instance("shop.Order"))

    return heap.live(serve, moments)


def idle_master(moments: int = 30) -> list[Snapshot]:
    heap = Heap(pid=1, process_cpu_seconds=0.5)
    heap.module("shop", KEPT=heap.list())
    return heap.live(lambda k: None, moments)


def test_workers_that_are_recycled_are_judged_together(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", *(recycled(100 + n, leaks=True) for n in range(8)), ppid=1))
    finding = only(found)
    assert found.verdict == "leak"
    assert (finding.type, finding.holder and finding.holder.owner) == ("shop.Order", "shop.KEPT")
    assert len(finding.pids) == 8


def test_healthy_workers_that_are_recycled_are_healthy_together(tmp_path: Path) -> None:
    found = hunt(run_folder(tmp_path / "run", *(recycled(100 + n, leaks=False) for n in range(8)), ppid=1))
    assert (found.verdict, found.findings) == ("healthy", ())


def test_a_master_that_waits_says_nothing_of_its_workers(tmp_path: Path) -> None:
    workers = [recycled(100 + n, leaks=True, moments=2) for n in range(3)]
    run = run_folder(tmp_path / "run", idle_master(), *workers)
    for folder in run.glob("pid-1.0/process"):
        folder.write_text(folder.read_text() + "ppid\t7\n")
    found = hunt(run)
    assert found.verdict == "inconclusive"
    assert "Its workers lived for" in found.summary
    assert hunt(run_folder(tmp_path / "alone", idle_master())).verdict == "healthy"
