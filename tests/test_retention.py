"""A run folder keeps to its limit, and what is removed is what tells least."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from heap import Heap, run_folder, save

from leakhunt import retention
from leakhunt.pipeline import hunt
from leakhunt.retention import Retention, Stored, crowded, parse_size
from leakhunt.runfolder import note_removed, read_run

NOW = 1_800_000_000.0


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A census and a deep snapshot, as files."""
    heap = Heap()
    heap.module("shop", ORDERS=heap.list())
    taken = heap.snapshot()
    save(taken.without_graph(), tmp_path / "census.leak")
    save(taken, tmp_path / "deep.leak")
    return tmp_path / "census.leak", tmp_path / "deep.leak"


def process(run: Path, small: tuple[Path, Path], pid: int, censuses: int, graphs: int, ended_ago: float = 0.0) -> Path:
    """A process folder with a snapshot a second, graphs spread evenly between censuses."""
    folder = run / f"pid-{pid}.0"
    folder.mkdir(parents=True)
    (folder / "process").write_text(f"pid\t{pid}\n")
    count = censuses + graphs
    deep = {round(number * (count - 1) / max(1, graphs - 1)) for number in range(graphs)}
    for number in range(count):
        path = folder / f"{number + 1:06d}.leak"
        path.write_bytes(small[number in deep].read_bytes())
        seconds = NOW - ended_ago - (count - 1 - number)
        os.utime(path, (seconds, seconds))
    return folder


def kinds(folder: Path) -> tuple[int, int]:
    """(censuses, graphs) that are left."""
    files = sorted(folder.glob("*.leak"))
    deep = sum(retention.is_deep(file) for file in files)
    return len(files) - deep, deep


def size_of(run: Path) -> int:
    return sum(file.stat().st_size for file in run.rglob("*.leak"))


def test_a_graph_is_known_by_its_table_of_contents(small: tuple[Path, Path], tmp_path: Path) -> None:
    assert [retention.is_deep(path) for path in small] == [False, True]
    (tmp_path / "cut.leak").write_bytes(small[1].read_bytes()[:100])
    (tmp_path / "empty.leak").write_bytes(b"")
    assert not any(retention.is_deep(tmp_path / name) for name in ("cut.leak", "empty.leak", "none.leak"))


def test_below_its_limits_a_run_is_left_alone(small: tuple[Path, Path], tmp_path: Path) -> None:
    folder = process(tmp_path / "run", small, 1, censuses=100, graphs=8)
    Retention(tmp_path / "run").prune(NOW)
    assert kinds(folder) == (100, 8)


def test_what_is_crowded_goes_and_first_and_last_stay() -> None:
    files = [Stored(Path(str(n)), float(n * n), 1, True) for n in range(11)]
    gone = crowded(files, 5)
    kept = [file.seconds for file in files if file not in gone]
    assert kept[0] == 0 and kept[-1] == 100
    assert len(kept) == 5
    assert max(later - earlier for earlier, later in itertools.pairwise(kept)) <= 40


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_at_least_two_stay(keep: int) -> None:
    files = [Stored(Path(str(n)), float(n), 1, True) for n in range(5)]
    assert [file for file in files if file not in crowded(files, keep)] == [files[0], files[-1]]


def test_graphs_make_room_before_censuses_do(small: tuple[Path, Path], tmp_path: Path) -> None:
    folder = process(tmp_path / "run", small, 1, censuses=100, graphs=20)
    limit = size_of(tmp_path / "run") - 6 * small[1].stat().st_size
    watched = Retention(tmp_path / "run", limit)
    watched.prune(NOW)
    censuses, graphs = kinds(folder)
    assert censuses == 100
    assert retention.GRAPHS_MIN <= graphs < 15
    assert size_of(tmp_path / "run") <= limit
    assert watched.removed == 20 - graphs


def test_a_long_run_keeps_a_bounded_number_of_snapshots(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CENSUSES_MAX", 100)
    monkeypatch.setattr(retention, "CENSUSES_RECENT", 20)
    folder = process(tmp_path / "run", small, 1, censuses=301, graphs=60)
    names = {path.name for path in folder.glob("*.leak")}
    Retention(tmp_path / "run").prune(NOW)
    left = {path.name for path in folder.glob("*.leak")}
    censuses, graphs = kinds(folder)
    assert censuses <= 50
    assert graphs == retention.GRAPHS_MAX // 2
    assert {min(names), max(names)} <= left


def test_of_recycled_workers_the_oldest_go_whole(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ENDED_MAX", 5)
    run = tmp_path / "run"
    master = process(run, small, 1, censuses=3000, graphs=4)
    workers = [process(run, small, 100 + n, 6, 2, ended_ago=2000.0 - n) for n in range(12)]
    living = process(run, small, 900, 6, 2)
    Retention(run).prune(NOW)
    assert master.is_dir() and living.is_dir()
    assert [worker.is_dir() for worker in workers] == [False] * 7 + [True] * 5


def test_a_limit_that_leaves_no_room_keeps_what_is_newest(small: tuple[Path, Path], tmp_path: Path) -> None:
    folder = process(tmp_path / "run", small, 1, censuses=300, graphs=20)
    Retention(tmp_path / "run", 1).prune(NOW)
    censuses, graphs = kinds(folder)
    assert (censuses, graphs) == (retention.CENSUSES_MIN, 2)
    assert (folder / "000320.leak").exists()


def test_a_leak_is_found_in_what_is_left(tmp_path: Path) -> None:
    heap = Heap()
    orders = heap.list()
    heap.module("shop", ORDERS=orders)
    heap.class_("shop.Order", "/app/shop.py", 3)

    def serve(k: int) -> None:
        for _ in range(10):
            orders.append(heap.instance("shop.Order"))

    run = run_folder(tmp_path / "run", heap.live(serve, moments=60))
    begun = NOW - 60 * 5
    for number, file in enumerate(sorted(run.rglob("*.leak"))):
        os.utime(file, (begun + 5 * number, begun + 5 * number))
    limit = size_of(run) // 3
    watched = Retention(run, limit)
    watched.prune(NOW)
    note_removed(run, watched.removed)
    assert size_of(run) <= limit
    assert f"{watched.removed} snapshots were removed" in hunt(run).notes[0]
    (finding,) = hunt(run).findings
    assert (finding.type, finding.holder and finding.holder.owner) == ("shop.Order", "shop.ORDERS")
    assert read_run(run).processes


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("500M", 500_000_000), ("1GB", 10**9), ("2.5 g", 2_500_000_000), ("10k", 10_000)]
)
def test_sizes_as_people_type_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-5M", "much", "5 apples", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text or "^$"):
        parse_size(text)
