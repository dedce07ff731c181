"""A run folder that is written while it is watched: what is new is read, once, and what is broken is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from leakhunt.errors import RunError
from leakhunt.snapshot import Snapshot
from leakhunt.tui.follow import WatchedRun
from leakhunt.tui.history import MOMENTS_MAX
from leakhunt.tui.rows import growing_classes, growing_holders

from .shop import HOLDER, ORDER, Shop, empty_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return empty_run(tmp_path / "run")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the snapshot files that are read from now on."""
    names: list[str] = []
    load = Snapshot.load.__func__  # type: ignore[attr-defined]

    def counting(cls: type[Snapshot], path: Path) -> Snapshot:
        names.append(Path(path).name)
        return load(cls, path)  # type: ignore[no-any-return]

    monkeypatch.setattr(Snapshot, "load", classmethod(counting))
    return names


def refreshed(watched: WatchedRun) -> WatchedRun:
    watched.refresh()
    return watched


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        WatchedRun(tmp_path)


def test_processes_and_snapshots_are_met_as_they_come(run: Path) -> None:
    watched = refreshed(WatchedRun(run))
    assert watched.processes == []
    shop = Shop(run)
    refreshed(watched)
    assert [len(process.history.moments) for process in watched.processes] == [0]
    shop.serve(2)
    Shop(run, pid=4712).serve(1)
    refreshed(watched)
    assert [(p.folder.pid, len(p.history.moments)) for p in watched.processes] == [(4711, 2), (4712, 1)]


def test_no_snapshot_is_read_twice(run: Path, loaded: list[str]) -> None:
    shop, watched = Shop(run), WatchedRun(run)
    for _ in range(3):
        shop.serve(2)
        refreshed(refreshed(watched))
    assert loaded == [f"{number:06d}.leak" for number in range(1, 7)]


def test_of_a_long_run_an_even_choice_is_read(run: Path, loaded: list[str]) -> None:
    shop = Shop(run, orders=0)
    shop.serve(3 * MOMENTS_MAX + 7, batch=1)
    history = refreshed(WatchedRun(run)).processes[0].history
    assert len(set(loaded[: len(history.moments)])) <= MOMENTS_MAX
    assert history.moments[0].seconds == 5.0 and history.last.seconds == 5.0 * (3 * MOMENTS_MAX + 7)
    assert growing_classes(history)[0].since_start == 3 * MOMENTS_MAX + 6


def test_the_newest_graph_of_a_long_run_is_found_between_the_chosen_ones(run: Path) -> None:
    shop = Shop(run, orders=0)
    for number in range(3 * MOMENTS_MAX):
        shop.order(1)
        shop.write(deep=number in (10, 401))
    shop.write(deep=True, moment="exit")
    deep = refreshed(WatchedRun(run)).processes[0].deep
    assert deep is not None and deep.seconds == 5.0 * 402


def test_holders_have_names_from_the_first_graph_on(run: Path) -> None:
    shop, watched = Shop(run), WatchedRun(run)
    shop.serve(2)
    (process,) = refreshed(watched).processes
    assert [row.name for row in growing_holders(process.history, process.owner)] == [""]
    shop.serve(1, deep=True)
    refreshed(watched)
    assert [row.name for row in growing_holders(process.history, process.owner)] == [HOLDER]


def test_chains_are_of_the_newest_graph(run: Path) -> None:
    shop, watched = Shop(run), WatchedRun(run)
    shop.serve(1, deep=True)
    (process,) = refreshed(watched).processes
    assert process.deep is not None and process.deep.seconds == 5.0
    shop.serve(1, deep=True)
    refreshed(watched)
    assert process.deep.seconds == 10.0
    assert [link.label for link in process.deep.chains(ORDER)[0].links] == ["module shop", ".STORE", ".orders", "[*]"]


def test_the_graph_at_exit_is_shown_only_where_there_is_no_other(run: Path) -> None:
    with_one, without = Shop(run, pid=1), Shop(run, pid=2)
    with_one.serve(1, deep=True)
    without.serve(1)
    for shop in (with_one, without):
        shop.write(deep=True, moment="exit")
    deep = [process.deep for process in refreshed(WatchedRun(run)).processes]
    assert [view and view.seconds for view in deep] == [5.0, 10.0]


def test_a_snapshot_that_cannot_be_read_is_left_out_and_told_once(run: Path) -> None:
    shop, watched = Shop(run), WatchedRun(run)
    shop.serve(1)
    shop.write().write_bytes(b"LEAKHUNT cut short")
    shop.serve(1)
    (process,) = refreshed(refreshed(watched)).processes
    assert len(process.history.moments) == 2
    assert list(process.problem_by_file) == ["000002.leak"]


def test_a_folder_that_goes_away_is_told_and_what_was_read_stays(run: Path) -> None:
    watched = WatchedRun(run)
    Shop(run).serve(2)
    refreshed(watched)
    shutil.rmtree(run)
    refreshed(watched)
    assert "There is no run folder" in watched.problem
    assert growing_classes(watched.processes[0].history)[0].name == ORDER


def test_the_mark_is_set_in_every_process(run: Path) -> None:
    for pid in (1, 2):
        Shop(run, pid).serve(2)
    watched = refreshed(WatchedRun(run))
    watched.set_mark()
    assert [p.history.mark is p.history.last for p in watched.processes] == [True, True]


def test_a_process_is_found_by_its_pid(run: Path) -> None:
    for pid in (4711, 4712):
        Shop(run, pid)
    watched = WatchedRun(run)
    assert [watched.number_of(pid) for pid in (4711, 4712, 1)] == [0, 1, 0]
