"""Notebooks: `%%leakhunt` in a shell, and snapshots and runs that show themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from heap import Heap, run_folder, save
from IPython.core.interactiveshell import InteractiveShell

import leakhunt
from leakhunt.errors import RunError, SnapshotError, UsageError
from leakhunt.notebook import HeapView, RunView

# A shell


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An IPython shell in this process, with the extension loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        hook, main = sys.displayhook, sys.modules["__main__"]
        made = InteractiveShell()
        made.run_line_magic("load_ext", "leakhunt")
        made.run_cell("class Session:\n    def __init__(self): self.basket = []\nSESSIONS = []")
        yield made
        sys.displayhook, sys.modules["__main__"] = hook, main


def left(shell: Any, cell: str) -> dict[str, tuple[str, int]]:
    """(class, objects) by holder of what a cell left behind."""
    found = shell.run_cell_magic("leakhunt", "", cell)
    return {holder: (kind, count) for holder, kind, count, _ in found.rows}


def test_a_cell_s_variable_is_named_with_all_that_it_holds(shell: Any) -> None:
    found = left(shell, "visitors = [Session() for _ in range(40)]")
    (holder, (kind, count)), *others = found.items()
    assert (holder, kind, others) == ("__main__.visitors", "__main__.Session", [])
    assert count in (80, 81)  # the list itself may stand where a list stood before, which is no new object then


def test_what_goes_into_an_older_container_is_left_in_that(shell: Any) -> None:
    found = left(shell, "SESSIONS.extend(Session() for _ in range(10))")
    assert found == {"__main__.SESSIONS": ("__main__.Session", 20)}


def test_a_cell_that_cleans_up_leaves_nothing(shell: Any) -> None:
    assert left(shell, "a = [Session()]\na.append(a)\ndel a\nsum(range(10))") == {}


def test_the_value_of_the_last_line_is_kept_by_ipython_and_counts(shell: Any) -> None:
    (holder, (kind, count)), *others = left(shell, "[Session() for _ in range(10)]").items()
    assert holder.startswith("__main__._") and (kind, count) == ("__main__.Session", 21) and not others


def test_the_answer_can_be_kept_under_a_name(shell: Any) -> None:
    assert shell.run_cell_magic("leakhunt", "answer", "kept = Session()") is None
    assert [row[0] for row in shell.user_ns["answer"].rows] == ["__main__.kept"]
    assert "Left behind: 2 objects" in repr(shell.user_ns["answer"])


def test_a_cell_that_fails_shows_its_error_and_no_answer(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run_cell_magic("leakhunt", "", "1 / 0") is None
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_a_name_that_is_none_is_refused(shell: Any) -> None:
    with pytest.raises(UsageError, match="takes one name"):
        shell.run_cell_magic("leakhunt", "two names", "pass")


# Snapshots


def shop(sessions: int) -> tuple[Heap, Any]:
    # module shop -> .REGISTRY -> .sessions -> Session, Session, …
    heap = Heap()
    orders = heap.list(heap.instance("shop.Session") for _ in range(sessions))
    heap.module("shop", REGISTRY=heap.instance("shop.Registry", sessions=orders))
    return heap, orders


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Two snapshots of a shop that gained 5 sessions."""
    heap, orders = shop(3)
    folder = tmp_path / "pid-4711.0"
    folder.mkdir()
    paths = [folder / "000001.leak", folder / "000002.leak"]
    save(heap.snapshot(), paths[0])
    orders.extend(heap.instance("shop.Session") for _ in range(5))
    save(heap.snapshot(), paths[1])
    return paths


def test_a_snapshot_shows_its_classes(two: list[Path]) -> None:
    view = leakhunt.load(two[1])
    assert isinstance(view, HeapView)
    assert ("shop.Session", 8, 8 * 48) in view.top().rows
    assert "shop.Session" in view._repr_html_() and "Snapshot 2 of process 4711" in repr(view)
    assert view.plot().axes


def test_a_diff_counts_and_what_was_left_behind_is_named(two: list[Path]) -> None:
    before, after = map(leakhunt.load, two)
    rows = {row[0]: row[1:] for row in before.diff(after).rows}
    assert rows["shop.Session"] == (3, 8, 5, 5 * 48, 5, 0, 3)
    assert rows == {row[0]: row[1:] for row in before.diff(two[1]).rows}
    assert after.left_behind(before).rows == (("shop.Registry.sessions", "shop.Session", 5, 5 * 48),)


def test_chains_and_back_references_answer_for_a_class(two: list[Path]) -> None:
    view = leakhunt.load(two[1])
    assert [link.label for link in view.chains("shop.Session").chains[0].links][:3] == [
        "module shop",
        ".REGISTRY",
        ".sessions",
    ]
    assert b"<svg" in view.backrefs("shop.Session").draw("svg")
    assert "<svg" in view.backrefs("shop.Session")._repr_html_()
    with pytest.raises(UsageError, match=r"Did you mean shop\.Session"):
        view.chains("Session")


def test_snapshots_of_two_processes_are_not_compared(two: list[Path], tmp_path: Path) -> None:
    save(Heap(pid=9).snapshot(), tmp_path / "other.leak")
    with pytest.raises(UsageError, match="different processes"):
        leakhunt.load(two[0]).diff(tmp_path / "other.leak")


def test_a_census_has_no_chains_and_says_so(two: list[Path]) -> None:
    heap, _ = shop(1)
    view = HeapView(heap.snapshot(deep=False))
    assert "a census" in repr(view)
    with pytest.raises(SnapshotError, match="it is a census"):
        view.chains("shop.Session")


# Runs


@pytest.fixture
def run(tmp_path: Path) -> RunView:
    """A run in which a shop gains 20 sessions an interval."""
    heap, orders = shop(0)
    snapshots = heap.live(lambda k: orders.extend(heap.instance("shop.Session") for _ in range(20)), 24)
    return leakhunt.load(run_folder(tmp_path / "run", snapshots))


def test_a_run_shows_its_verdict_and_the_way_to_the_holder(run: RunView) -> None:
    html = run._repr_html_()
    assert "<b>LEAK</b>" in html and "shop.Registry.sessions" in html and "module shop" in html and "<details>" in html
    assert "LEAK" in repr(run)
    assert run.report()._repr_html_().startswith("<iframe")


def test_a_run_answers_as_its_newest_deep_snapshot_does(run: RunView) -> None:
    assert run.top().rows[0][0] in ("shop.Session", "builtins.list")
    assert run.diff().rows[0][3] > 0
    assert len(run.snapshots) == 24
    assert run.chains("shop.Session").chains and run.backrefs("shop.Session").graph.nodes
    assert run.plot()._repr_png_().startswith(b"\x89PNG")


def test_a_run_turns_into_a_data_frame_of_its_findings(run: RunView) -> None:
    frame = run.to_pandas()
    assert list(frame["class"]) == ["shop.Session"]
    assert list(frame["held by"]) == ["shop.Registry.sessions"]


def test_a_folder_that_is_no_run_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        repr(leakhunt.load(tmp_path))
