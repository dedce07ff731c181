"""What stands on the screen, in words: the memory, the state of the run, the rows, and why something is alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt import runfolder
from leakhunt.tui.follow import WatchedRun
from leakhunt.tui.rows import Row
from leakhunt.tui.scene import Choice, Scene, scene
from leakhunt.tui.why import why

from .shop import HOLDER, ORDER, Shop, empty_run

BEGUN = 1.7e9  # the time at which the clock of the tests' heaps stands at 0
FIRST = Choice()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return empty_run(tmp_path / "run")


def watched(run: Path) -> WatchedRun:
    found = WatchedRun(run)
    found.refresh()
    return found


def seen(run: WatchedRun | Path, choice: Choice = FIRST, now: float = BEGUN, is_over: bool = False) -> Scene:
    return scene(run if isinstance(run, WatchedRun) else watched(run), choice, now, is_over)


def test_a_run_that_begins_waits_and_one_that_ended_does_not(run: Path) -> None:
    assert seen(run).lines[1] == "Waiting for the first snapshot: no Python process reported in."
    runfolder.finish(run, 0)
    assert seen(run).lines[1] == "The run has ended: no Python process reported in."


def test_a_process_waits_for_its_first_snapshot(run: Path) -> None:
    Shop(run)
    assert seen(run).lines == ("process 4711  python shop.py 4711", "Waiting for its first snapshot.")
    assert seen(run, is_over=True).lines[1] == "It ended before its first snapshot."


def test_memory_and_objects_are_shown_now_and_since_the_start_and_the_mark(run: Path) -> None:
    shop = Shop(run, orders=0)
    shop.write(rss_bytes=20_000_000)
    shop.order(5)
    shop.write(rss_bytes=23_000_000)
    found = watched(run)
    assert seen(found).lines[1].startswith("RSS 23 MB  +3.0 MB since start  ▁")
    found.set_mark()
    shop.order(2)
    shop.write(rss_bytes=22_000_000)
    found.refresh()
    assert seen(found).lines[1].startswith("RSS 22 MB  +2.0 MB since start, -1.0 MB since mark  ▁")
    assert seen(found).lines[2].endswith("objects under gc  +7 since start, +2 since mark")
    assert seen(found, now=BEGUN + 18.2).lines[3] == "3 snapshots in 15 s · mark set at 10 s · the last 3 s ago"


def test_the_rows_say_what_grows_by_how_much_and_where_it_is_held(run: Path) -> None:
    shop = Shop(run)
    shop.serve(12)
    shop.serve(1, deep=True)
    found = watched(run)
    found.set_mark()
    shop.serve(6, batch=20)
    found.refresh()
    screen = seen(found)
    (orders,) = screen.classes
    curve = "▁▁▂▂▂▃▃▃▄▄▅▅▆▆▇█"
    assert screen.cells(orders) == (ORDER, curve, "290", "+240", "+120", "+240")
    assert screen.cells(screen.holders[0]) == (HOLDER, curve, "290", "+240", "+120", "+240")


def test_bytes_are_shown_as_sizes_and_holders_go_on_in_items(run: Path) -> None:
    Shop(run).serve(3, batch=1000)
    screen = seen(run, Choice(in_bytes=True))
    assert {row.name: screen.cells(row)[3] for row in screen.classes}[ORDER] == "+128 kB"
    assert screen.cells(screen.holders[0])[3] == "+2,000"


def test_a_holder_without_a_name_is_told_by_its_class(run: Path) -> None:
    Shop(run).serve(3)
    screen = seen(run)
    assert screen.cells(screen.holders[0])[0] == "a list without a name yet"


def test_one_process_after_the_other_is_shown(run: Path) -> None:
    for pid in (4711, 4712):
        Shop(run, pid).serve(2)
    titles = [seen(run, Choice(number)).lines[0] for number in range(3)]
    assert titles[:2] == ["process 4711 (1 of 2)  python shop.py 4711", "process 4712 (2 of 2)  python shop.py 4712"]
    assert titles[2] == titles[0]


def state(run: Path, now: float = BEGUN + 11.0, is_over: bool = False) -> str:
    return seen(run, now=now, is_over=is_over).lines[3].rpartition(" · ")[2]


def test_a_program_that_ended_is_told_however_that_is_known(run: Path) -> None:
    shop = Shop(run)
    shop.serve(2)
    assert state(run) == "the last 1 s ago"
    assert state(run, is_over=True) == "the program has ended"
    shop.write(moment="exit")
    assert state(run) == "the program has ended"
    runfolder.finish(run, 3)
    assert state(run) == "the program has ended with status 3"


def test_a_run_that_nobody_writes_any_more_is_told_from_one_that_is_slow(run: Path) -> None:
    Shop(run).serve(2)
    assert state(run, BEGUN + 10 + 29) == "the last 29 s ago"
    assert state(run, BEGUN + 10 + 31) == "nothing new for 31 s: it is paused, or was killed"


def test_what_is_broken_is_told(run: Path) -> None:
    shop = Shop(run)
    shop.serve(2)
    shop.write().write_bytes(b"")
    (shop.place / "problems").write_text("3 snapshots lost: No space left on device   ")
    assert seen(run).lines[4] == "The agent reports: 3 snapshots lost: No space left on device."
    assert seen(run).lines[5].startswith("1 snapshot left out: ")


def test_no_name_of_the_program_gets_to_the_terminal_raw(run: Path) -> None:
    shop = Shop(run)
    shop.write()
    shop.orders.extend(shop.heap.instance("shop.\x1b[31mRed\u202e") for _ in range(3))
    shop.write()
    screen = seen(run)
    assert screen.cells(screen.classes[0])[0] == "shop.\\x1b[31mRed\\u202e"


# Why it is alive


def explained(run: WatchedRun, row: Row) -> str:
    return why(run, run.processes[0], row, 100).text


def row_of(screen: Scene, name: str) -> Row:
    return next(row for row in (*screen.classes, *screen.holders) if row.name == name)


def test_a_class_is_explained_by_its_chain_from_the_root(run: Path) -> None:
    Shop(run).serve(3, deep=True)
    found = watched(run)
    answer = why(found, found.processes[0], row_of(seen(found), ORDER), 100)
    assert answer.title == f"What keeps {ORDER} alive: the whole graph of 15 s into the run"
    assert answer.text.splitlines() == [
        "module shop",
        "└── .STORE  shop.Store",
        "    └── .orders  list",
        "        └── [*]  shop.Order",
    ]
    assert answer.hint == f"leakhunt backrefs {run / 'pid-4711.0'} --type {ORDER} -o graph.svg"


def test_a_holder_is_explained_by_the_chain_to_its_container(run: Path) -> None:
    Shop(run).serve(3, deep=True)
    found = watched(run)
    assert explained(found, row_of(seen(found), HOLDER)).splitlines()[-1] == "    └── .orders  list"


@pytest.mark.parametrize(("deep", "told"), [("auto", "The first comes after"), ("never", "--deep never")])
def test_without_a_graph_it_is_said_plainly_why_there_is_no_chain(deep: str, told: str, tmp_path: Path) -> None:
    run = empty_run(tmp_path / "run", deep)
    Shop(run).serve(3)
    found = watched(run)
    text = explained(found, row_of(seen(found), ORDER))
    assert text.startswith("No chain can be shown") and told in text


def test_a_graph_that_was_left_out_to_spare_the_program_is_told(run: Path) -> None:
    shop = Shop(run)
    shop.serve(2)
    shop.write(graph_refused="pause")
    found = watched(run)
    assert "stopped the program for longer than --pause" in explained(found, row_of(seen(found), ORDER))


def test_what_came_after_the_newest_graph_is_not_in_it(run: Path) -> None:
    shop = Shop(run)
    shop.serve(1, deep=True)
    later = shop.heap.root(shop.heap.list(shop.heap.instance("shop.New") for _ in range(40)), "interpreter", "x")
    shop.write()
    later.append(shop.heap.instance("shop.New"))
    shop.write()
    found = watched(run)
    assert explained(found, row_of(seen(found), "shop.New")) == "No object of class shop.New is in this snapshot."
    assert explained(found, row_of(seen(found), "")) == "This container was not there yet."
