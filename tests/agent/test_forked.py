"""`--fork-snapshot`: a twin of the program takes the graph, and the program can't tell."""

from __future__ import annotations

import collections
import textwrap
import time
from pathlib import Path

import pytest

from leakhunt.agent import forked
from leakhunt.agent import native as native_module

from .conftest import LIBRARY
from .target import Heap, Target, interpreters, said

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="the C engine is not built")

BUSY = """
import os, signal, socket, threading, time
class Marked:
    def __init__(self, other):
        self.other = other
ended, hooks = [], []
signal.signal(signal.SIGCHLD, lambda *_: ended.append(1))
os.register_at_fork(before=lambda: hooks.append(1), after_in_child=lambda: hooks.append(1))
def by_twin(number):
    wait_for(number)
"""


@pytest.fixture(params=[version for version in ("3.11", "3.12", "3.13", "3.14", "3.15") if version in interpreters()])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    return Target(request.param, interpreters()[request.param], "c", tmp_path)


def run(target: Target, source: str) -> tuple[dict[str, int], list[Heap]]:
    """What the program said, and its snapshots but for the one at its exit."""
    ran = target.run(BUSY + textwrap.dedent(source), interval=0.2, deep="every", fork_snapshot=True)
    return dict(said(ran)), [heap for heap in ran.heaps if heap.meta["moment"] == "interval"]


def test_the_program_sees_no_child_no_signal_and_no_fork(target: Target) -> None:
    words, heaps = run(
        target,
        """
        found = 0
        while sys.modules["_leakhunt_agent"]._sampler._sequence < 3:
            try:
                os.waitpid(-1, os.WNOHANG)
                found += 1
            except ChildProcessError:
                pass
        print("children", found)
        print("signals", len(ended))
        print("hooks", len(hooks))
        print("switch interval", int(sys.getswitchinterval() * 1e3))
        """,
    )
    assert words == {"children": 0, "signals": 0, "hooks": 0, "switch interval": 5}
    assert len(heaps) >= 3
    assert {heap.meta["kind"] for heap in heaps} == {"deep"}
    assert {heap.meta.get("fork_refused") for heap in heaps} == {None}


def test_the_twins_graph_is_that_of_the_program_at_that_moment(target: Target) -> None:
    words, heaps = run(
        target,
        """
        kept = []
        kept.extend([Marked(kept) for _ in range(100)])
        print("kept", id(kept))
        by_twin(2)
        """,
    )
    heap = heaps[-1]
    marked = heap.of_type("__main__.Marked")
    assert len(marked) == 100
    assert all(heap.labelled(address)[".other"] == words["kept"] for address in marked)
    assert heap.rows["refcount"][heap.row_by_address[words["kept"]]] == 101
    assert heap.meta["gc_enabled"] == "1"  # the figures are the program's, not its twin's


def test_a_socket_that_the_program_closes_is_closed(target: Target) -> None:
    words, _ = run(
        target,
        """
        kept = [[] for _ in range(300000)]  # so that the twin lives for some time
        one, other = socket.socketpair()
        other.settimeout(60)
        time.sleep(0.25)
        one.close()
        begun = time.monotonic()
        print("read", len(other.recv(1)))
        print("late", int(time.monotonic() - begun > 0.15))
        by_twin(1)
        """,
    )
    assert words == {"read": 0, "late": 0}


def test_no_code_of_the_program_runs_in_the_twin(target: Target) -> None:
    words, _ = run(
        target,
        """
        import atexit, gc
        home = os.getpid()
        class Noisy:
            def __init__(self): self.self = self
            def __del__(self):
                if os.getpid() != home: open("ran-in-twin", "w").close()
        atexit.register(lambda: os.getpid() == home or open("ran-in-twin", "w").close())
        gc.set_threshold(10)
        for _ in range(2000):
            Noisy()
            time.sleep(0.0005)
        by_twin(2)
        print("ran", int(os.path.exists("ran-in-twin")))
        """,
    )
    assert words == {"ran": 0}


def test_with_threads_the_graph_is_taken_in_the_program_and_it_is_said_why(target: Target) -> None:
    _, heaps = run(
        target,
        """
        for _ in range(2):
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        by_twin(2)
        os._exit(0)
        """,
    )
    assert all("3 threads" in heap.meta["fork_refused"] for heap in heaps)
    assert {heap.meta["kind"] for heap in heaps} == {"deep"}


def test_a_program_that_forks_does_not_wait_for_the_twin(target: Target) -> None:
    words, _ = run(
        target,
        """
        kept = [[] for _ in range(300000)]
        slowest = 0
        for _ in range(40):
            begun = time.monotonic()
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.05)
        print("slow", int(slowest > 5))
        """,
    )
    assert words == {"slow": 0}


def test_a_twin_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        native = native_module.load("twin_under_test")

        @staticmethod
        def figures() -> dict[str, int]:
            return {}

        @staticmethod
        def snapshot(*_: object) -> None:
            time.sleep(3600)

    monkeypatch.setattr(forked, "SECONDS_MAX", 1)
    begun = time.monotonic()
    with pytest.raises(forked.Lost, match="signal 14"):
        forked.snapshot(Hanging, {}, "nowhere", lambda: False)
    assert time.monotonic() - begun < 20
    with pytest.raises(forked.Interrupted):
        forked.snapshot(Hanging, {}, "nowhere", lambda: True)


@pytest.mark.parametrize("library", ["libcuda.so.1", "libibverbs.so"])
def test_devices_that_write_past_the_system_are_left_alone(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = collections.defaultdict(bytes, {"/proc/self/maps": f"7f00-7f01 r-xp /usr/lib/{library}\n".encode()})
    monkeypatch.setattr(forked.ledger, "read_file", lambda path, limit=0: files[path])
    assert library[:9] in forked.refusal(object())
    files.clear()
    assert forked.refusal(object()) == ""
    assert forked.refusal(None) == "it needs the C engine"
