"""What `leakhunt attach` says while it measures."""

from __future__ import annotations

import time
from pathlib import Path

from heap import Heap, run_folder, save

from leakhunt.analysis.growth.known import BUILT_IN
from leakhunt.cli.thinking import Thinking, thought
from leakhunt.pipeline import hunt


def thinking_to_its_end(thinking: Thinking) -> None:
    thinking()
    for _ in range(3000):
        if thinking._thread is None or not thinking._thread.is_alive():
            return
        time.sleep(0.01)
    raise AssertionError("it thinks for ever")


# module shop -> SESSIONS -> Session, Session, …
def test_it_speaks_from_the_second_look_on_and_again_when_it_is_surer(tmp_path: Path) -> None:
    heap = Heap()
    sessions = heap.dict()
    heap.module("shop", SESSIONS=sessions)
    snapshots = []
    for k in range(212):
        for _ in range(4):
            sessions.add(heap.instance("shop.Session"))
        if k >= 200 and k % 3 == 0:
            snapshots.append(heap.snapshot(elapsed=5.0 * (k - 200), process_seconds=5.0 * (k + 1)))
    folder = run_folder(tmp_path / "run", snapshots[:1])
    said: list[str] = []
    thinking = Thinking(folder, BUILT_IN, said.append)
    thinking_to_its_end(thinking)
    assert said == []
    for number, snapshot in enumerate(snapshots[1:], 2):
        save(snapshot, folder / "pid-4711.0" / f"{number:06d}.leak")
        thinking_to_its_end(thinking)
    assert ["surely" in line for line in said] == [False, True]
    assert all("shop.Session held by shop.SESSIONS" in line for line in said)
    thinking_to_its_end(thinking)
    assert len(said) == 2


def test_of_a_process_that_holds_still_it_says_that_there_is_nothing(tmp_path: Path) -> None:
    heap = Heap()
    heap.module("shop", CATALOGUE=heap.list([heap.instance("shop.Product") for _ in range(40)]))
    folder = run_folder(tmp_path / "run", [heap.snapshot(process_seconds=900.0 + k) for k in range(2)])
    assert "nothing to accuse" in thought(hunt(folder))[1]
