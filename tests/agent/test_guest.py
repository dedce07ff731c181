"""What the program feels of the agent: nothing that it could trip over, and nothing that stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leakhunt.snapshot import Snapshot

from .target import Target, said


def test_snapshots_leave_nothing_behind(target: Target) -> None:
    """The gc objects, the blocks and the strings after a hundred snapshots are those before."""
    ran = target.run(
        """
        class Node:
            def __init__(self, n): self.n, self.me = n, self
            def __del__(self): pass
        kept = [Node(n) for n in range(50)]
        def figures():
            gc.collect()
            return len(gc.get_objects()), sys.getallocatedblocks()
        for n in range(70): take(n % 2 == 0)  # free lists and interned names fill up
        figures()
        before = figures()
        for n in range(100): take(n % 2 == 0)
        after = figures()
        print("objects", after[0] - before[0])
        print("blocks", after[1] - before[1])
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.disable()
        gc.collect()
        del gc.garbage[:]
        for n in range(10): take()
        gc.collect()
        print("cycles", len(gc.garbage))
        sys.stdout.flush()
        os._exit(0)
        """
    )
    seen = dict(said(ran))
    assert seen["objects"] <= 0
    assert seen["cycles"] == 0
    assert abs(seen["blocks"]) <= 40  # free lists breathe; one block left by each snapshot would make 100


def test_the_agent_is_not_in_its_own_results(target: Target) -> None:
    begin = "import time\nwhile not sys.modules['_leakhunt_agent']._sampler._tid: time.sleep(0.01)\ntime.sleep(0.1)\n"
    ran = target.run(begin + "kept = [[] for n in range(100)]\ntake()\ntake()\ntake()\nos._exit(0)")
    _, first, heap = ran.heaps
    # _ctypes makes prototypes of its own for each field's class, and refers to them past the collector.
    ours = [name for name in heap.snapshot.type_names if "leakhunt" in name and not name.endswith(".<locals>.Size")]
    assert not [name for name in ours if heap.of_type(name)]
    assert not [name for name in ours if heap.census.get(name, (0, 0))[0]]
    assert not [name for name in heap.name_by_address.values() if name.startswith("_leakhunt")]
    grown = {
        n: (c, first.census.get(n, (0, 0))[0])
        for n, (c, _) in heap.census.items()
        if c > first.census.get(n, (0, 0))[0]
    }
    assert not grown
    new = set(heap.row_by_address) - set(first.row_by_address)
    assert len(new) <= 10, sorted(heap.type_of(address) for address in new)


def test_counts_agree_with_the_collector(target: Target) -> None:
    """Taken of a class that nothing else makes, at the same moment, old and young apart."""
    ran = target.run(
        """
        class Old: pass
        class Young: pass
        gc.disable()
        old = [Old() for n in range(1000)]
        gc.collect()
        young = [Young() for n in range(500)]
        take(False)
        sys.stdout.flush()
        os._exit(0)
        """
    )
    snapshot = ran.heaps[0].snapshot
    rows = {snapshot.type_names[t]: n for n, t in enumerate(snapshot.column("census.type").tolist())}
    count, old = snapshot.column("census.count"), snapshot.column("census.old")
    assert count[rows["__main__.Old"]] == 1000
    assert count[rows["__main__.Young"]] == 500
    assert old[rows["__main__.Old"]] == 1000
    assert old[rows["__main__.Young"]] == 0


def test_larger_containers_tell_their_length(target: Target) -> None:
    ran = target.run(
        """
        held = [list(range(1000)), {n: [] for n in range(500)}, set(range(300)), []]
        for one in held: print(type(one).__name__, id(one))
        sys.stdout.flush()
        take(False)
        os._exit(0)
        """
    )
    snapshot = ran.heaps[0].snapshot
    lengths = dict(zip(*(snapshot.column(f"container.{n}").tolist() for n in ("address", "length")), strict=True))
    addresses = [number for _, number in said(ran)]
    assert [lengths.get(address) for address in addresses] == [1000, 500, 300, None]


def test_threading_does_not_see_the_thread(any_engine: Target) -> None:
    ran = any_engine.run(
        """
        import threading
        wait_for(3)
        print("threads", threading.active_count())
        print("enumerated", len(threading.enumerate()))
        """,
        interval=0.05,
    )
    assert set(dict(said(ran)).values()) == {1}
    assert len(ran.processes[0].snapshots) > 2


def test_the_process_ends_when_the_program_does(any_engine: Target) -> None:
    begun = time.monotonic()
    ran = any_engine.run("import time\ntime.sleep(0.4)", interval=60)
    assert ran.status == 0
    assert time.monotonic() - begun < 10
    assert [heap.meta["moment"] for heap in ran.heaps] == ["exit"]
    assert ran.err == ""


def test_a_forked_worker_does_not_wait_for_a_graph_at_its_end(any_engine: Target) -> None:
    # The nearest case that does: the first process, which has too few graphs for a trend.
    ran = any_engine.run(
        """
        import time
        sys.modules["_leakhunt_agent"]._sampler._graph_seconds = 1.0
        worker = os.fork()
        time.sleep(0.5)  # what ends sooner is not looked at
        if worker == 0:
            sys.exit()
        os.waitpid(worker, 0)
        """
    )
    kinds = {process.pid: Snapshot.load(process.snapshots[-1]).meta["kind"] for process in ran.processes}
    first = ran.processes[0].pid
    assert kinds.pop(first) == "deep"
    assert list(kinds.values()) == ["census"]


def test_a_program_that_ends_at_once_is_named_and_not_looked_at(any_engine: Target) -> None:
    ran = any_engine.run("pass", interval=60)
    assert (ran.status, ran.err) == (0, "")
    (process,) = ran.processes
    assert process.snapshots == ()
    assert process.problems == ""
    assert 0 < float(process.info["lived"]) < 60


def test_no_descriptor_is_held(any_engine: Target) -> None:
    source = "print('open', len(os.listdir('/proc/self/fd')))\n"
    ran = any_engine.run(source + "take()\ntake(False)\n" + source)
    numbers = [number for _, number in said(ran)]
    assert numbers[0] == numbers[1]


def test_a_monkeypatched_thread_module_does_not_matter(any_engine: Target) -> None:
    """As gevent does it: its own functions in `_thread`, `time` and `threading`, put there after the start."""
    ran = any_engine.run(
        """
        import _thread, time, threading
        def refuse(*args, **kwargs): print("called 1"); sys.stdout.flush(); raise RuntimeError
        for module, name in ((_thread, "start_new_thread"), (_thread, "allocate_lock"), (time, "sleep"), (threading, "Thread"),
                             (os, "fork"), (_thread, "get_ident")):
            setattr(module, name, refuse)
        wait_for(3)
        """,
        interval=0.05,
    )
    assert ran.status == 0, ran.err
    assert ran.out == ""
    assert len(ran.processes[0].snapshots) > 2


def test_a_killed_program_keeps_what_was_written(any_engine: Target) -> None:
    process = any_engine.start(
        "import time\nprint('up')\nsys.stdout.flush()\ntime.sleep(60)", interval=0.05, deep="every"
    )
    folder = any_engine.folder / "run"
    with process:
        deadline = time.monotonic() + 30
        while len(list(folder.glob("*/*.leak"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    from leakhunt.runfolder import read_run
    from leakhunt.snapshot import Snapshot

    (found,) = read_run(folder).processes
    assert len(found.snapshots) >= 3
    assert all(Snapshot.load(path).is_deep for path in found.snapshots)


FORKING = """
if {thread}:
    wait_for(1)
pid = os.fork()
if pid == 0:
    wait_for(3)
    kept = [[] for n in range(10)]
    sys.exit(7)
_, status = os.waitpid(pid, 0)
print("status", os.WEXITSTATUS(status) if hasattr(os, "WEXITSTATUS") else status >> 8)
wait_for(3)
"""


@pytest.mark.parametrize("busy", [True, False], ids=["thread-running", "at-once"])
def test_a_fork_starts_anew_in_a_folder_of_its_own(any_engine: Target, busy: bool) -> None:
    ran = any_engine.run(FORKING.format(thread=busy), interval=0.05, flags=("-W", "error"))
    assert dict(said(ran)) == {"status": 7}
    assert ran.err == ""  # 3.12+ would warn here of a fork with threads
    parent, child = ran.processes
    assert parent.pid != child.pid
    assert len(parent.snapshots) >= 3
    assert len(child.snapshots) >= 3
    assert {process.problems for process in ran.processes} == {""}


def test_many_forks_in_a_row(any_engine: Target) -> None:
    ran = any_engine.run(
        """
        for n in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        """,
        interval=0.02,
        flags=("-W", "error"),
    )
    assert (ran.status, ran.err) == (0, "")


def test_a_full_disk_stops_snapshots_not_the_program(any_engine: Target) -> None:
    ran = any_engine.run(
        """
        import resource, signal, time
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        take()
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        take()
        take()
        print("done 1")
        """
    )
    assert dict(said(ran)) == {"done": 1}
    assert ran.err == ""
    (process,) = ran.processes
    assert [path.name for path in process.snapshots] == ["000001.leak"]
    assert ran.heaps[0].row_by_address
    assert "File too large" in process.problems
    assert "3 snapshots lost" in process.problems
    assert not list(process.path.glob("*.part"))


def test_a_run_folder_that_is_gone_does_not_matter(any_engine: Target) -> None:
    ran = any_engine.run(
        """
        import time
        folder = os.environ["LEAKHUNT_RUN"]
        take()
        os.rename(folder, folder + ".gone")
        take()
        time.sleep(0.2)
        os.mkdir(folder)
        print("done 1")
        """,
        interval=0.05,
    )
    assert dict(said(ran)) == {"done": 1}
    assert ran.err == ""


def test_files_are_private(any_engine: Target) -> None:
    ran = any_engine.run("os.umask(0)\ntake()")
    (process,) = ran.processes
    assert process.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in process.path.iterdir()} == {0o600}


# `array` registers itself with collections.abc when it is loaded, and that brings the package.
ALLOWED = {
    "_collections", "_ctypes", "_functools", "_operator", "_struct", "_weakref", "array", "atexit", "binascii", "gc", "itertools",
    "collections", "collections.abc", "keyword", "operator", "reprlib", "struct",
}  # fmt: skip


def test_the_cost_of_starting_is_small(any_engine: Target) -> None:
    """The modules that the agent brings into the program, besides its own."""
    source = "import sys\nfor name in sorted(sys.modules): print(name, 1)"
    bare = subprocess.run([any_engine.python, "-c", source], capture_output=True, text=True, check=True).stdout
    ran = any_engine.run(source)
    brought = {name for name, _ in said(ran)} - {line.split()[0] for line in bare.splitlines()}
    brought = {name for name in brought if not name.startswith("_leakhunt_agent")}
    assert brought <= ALLOWED, brought


def test_the_program_changes_while_it_is_walked(target: Target) -> None:
    """Threads that grow, shrink and rebind everything; the snapshots stay whole and the program right."""
    ran = target.run(
        """
        import threading, time, random
        stop, shared = [], {}
        class Item:
            def __init__(self, n): self.n, self.items = n, [n]
        def churn(seed):
            source = random.Random(seed)
            while not stop:
                key = source.randrange(2000)
                shared[key] = Item(key)
                shared.pop(source.randrange(2000), None)
                shared[key, "list"] = [Item(n) for n in range(5)]
                setattr(Item, "attribute_%d" % (key % 50), key)
        threads = [threading.Thread(target=churn, args=(n,)) for n in range(3)]
        for thread in threads: thread.start()
        for n in range(4): take()
        stop.append(1)
        for thread in threads: thread.join()
        sys.stdout.flush()
        os._exit(0)
        """
    )
    assert ran.status == 0, ran.err
    (process,) = ran.processes
    assert process.problems == ""
    assert len(ran.heaps) == 4
    for heap in ran.heaps:
        assert heap.row_by_address
        assert heap.first_reference


def test_a_program_that_dies_in_the_middle_leaves_no_half_file(any_engine: Target) -> None:
    ran = any_engine.run(
        "import time\nkept = [[n] for n in range(200000)]\ntime.sleep(0.5)\nos._exit(3)", interval=0.05, deep="every"
    )
    assert ran.status == 3
    assert [heap for heap in ran.heaps if heap.snapshot.is_deep] == ran.heaps


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs root")
def test_a_small_disk_fills_up(any_engine: Target) -> None:
    run = any_engine.folder / "run"
    run.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(run)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        ran = any_engine.run("for n in range(40): take()\nprint('done 1')")
        assert dict(said(ran)) == {"done": 1}
        (process,) = ran.processes
        assert "No space left on device" in process.problems
        assert ran.heaps and all(heap.row_by_address for heap in ran.heaps)
        assert not list(Path(process.path).glob("*.part"))
    finally:
        subprocess.run(["umount", "--lazy", str(run)], check=True)
