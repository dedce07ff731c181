"""What is left in a program after its agent has gone: nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from targets import Interpreter, hostile_target, interpreters

from leakhunt.attach import ARM, BY_NAME, DISARM, Request, attach
from leakhunt.attach.target import Target
from leakhunt.snapshot import Snapshot

ROUNDS_BY_NAME = {"3.12": 100, "3.8": 25, "3.11": 25, "3.11-static": 25, "3.14-chroot": 25}
WARM_UP_ROUNDS = 10
COLLECTED_EVERY = 5  # the agent's classes are cycles: they go when the program itself collects its oldest generation
FIRST_OBJECTS = 150  # C modules that stay loaded, with their classes: array, atexit, binascii, our own
OBJECTS_TOLERANCE = 3  # a tuple more or less on a free list
MEMORY_TOLERANCE_BYTES = 3 << 20  # holes between what lives; an agent that stays is 1 MB or more a round
MAPPINGS_TOLERANCE = 10

BY_VERSION = {interpreter.name: interpreter for interpreter in interpreters()}

# Tells on stdout, for each line on stdin, what somebody could find who looks for us.
LOOKING = """
import gc, os, sys
print("ready", flush=True)
for line in sys.stdin:
    names = [name for name in sys.modules if "leakhunt" in name]
    names += [name for name in vars(sys.modules["__main__"]) if not name.startswith("__")]
    names += [path for path in sys.path_importer_cache if "leakhunt" in path]
    names += [path for path in sys.path if "leakhunt" in path]
    print(sorted(names), len(os.listdir("/proc/self/task")), sys.dont_write_bytecode, flush=True)
"""


def one_round(pid: int, folder: str) -> None:
    assert attach(pid, Request(ARM, folder, "interval=0.02,deep=every,budget=1")).word == "started"
    time.sleep(0.03)
    assert attach(pid, Request(DISARM)).word == "stopped"


@pytest.mark.parametrize("name", [name for name in ROUNDS_BY_NAME if name in BY_VERSION])
def test_many_rounds_leave_objects_and_memory_where_they_began(name: str) -> None:
    interpreter: Interpreter = BY_VERSION[name]
    with hostile_target(interpreter, "breathing") as target:
        folder = f"/tmp/leakhunt-test-{target.pid}"
        (interpreter.root / folder[1:]).mkdir()
        began = settled(target)
        one_round(target.pid, folder)
        assert settled(target) - began <= FIRST_OBJECTS
        for _ in range(WARM_UP_ROUNDS):
            one_round(target.pid, folder)
        objects, memory, descriptors = settled(target), target.memory_bytes(), descriptor_count(target.pid)
        mappings, later = len(Target(target.pid).mappings), []
        for number in range(ROUNDS_BY_NAME[name] - WARM_UP_ROUNDS):
            one_round(target.pid, folder)
            if number % COLLECTED_EVERY == 0:
                target.objects()
                later.append(target.memory_bytes())
        subprocess.run(["rm", "-r", str(interpreter.root / folder[1:])], check=True)
        assert abs(settled(target) - objects) <= OBJECTS_TOLERANCE
        # The program breathes, by some MB; what stays is in the lowest of several moments, too.
        assert min(*later[-2:], target.memory_bytes()) - memory < MEMORY_TOLERANCE_BYTES
        assert descriptor_count(target.pid) == descriptors
        assert len(Target(target.pid).mappings) - mappings < MAPPINGS_TOLERANCE
        assert target.broken == 0, target.errors


def settled(target: object) -> int:
    """Objects of the target when the collector finds nothing more."""
    counts = [target.objects() for _ in range(3)]  # type: ignore[attr-defined]
    return min(counts)


def descriptor_count(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_no_name_no_thread_and_no_setting_stays(tmp_path: Path) -> None:
    words, pipe = [sys.executable, "-c", LOOKING], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, cwd="/") as program:  # not in a clone named leakhunt
        assert program.stdin is not None and program.stdout is not None
        program.stdout.readline()

        def look() -> bytes:
            assert program.stdin is not None and program.stdout is not None
            program.stdin.write(b"\n")
            program.stdin.flush()
            return program.stdout.readline()

        before = look()
        one_round(program.pid, str(tmp_path))
        assert look() == before
        program.stdin.close()


def test_the_machine_code_and_its_stack_are_unmapped(tmp_path: Path) -> None:
    with hostile_target(interpreters()[0], "breathing") as target:
        one_round(target.pid, str(tmp_path))
        anonymous = [mapping for mapping in Target(target.pid).mappings if mapping.is_code and not mapping.path]
        assert anonymous == []


def test_a_second_request_starts_no_second_agent(tmp_path: Path) -> None:
    with hostile_target(interpreters()[-1], "breathing") as target:
        folder = f"/tmp/leakhunt-test-{target.pid}"
        (target.interpreter.root / folder[1:]).mkdir()
        way, threads = BY_NAME["ptrace"], target.threads()
        assert way.inject(target.pid, Request(ARM, folder, "interval=60")).word == "started"
        again = way.inject(target.pid, Request(ARM, "/elsewhere", "interval=60"))
        assert (again.word, again.detail) == ("already", folder)
        assert target.threads() == threads + 1
        assert way.inject(target.pid, Request(DISARM)).word == "stopped"
        assert way.inject(target.pid, Request(DISARM)).word == "absent"
        (target.interpreter.root / folder[1:]).rmdir()


def test_a_detach_for_one_run_leaves_the_agent_of_another(tmp_path: Path) -> None:
    with hostile_target(interpreters()[0], "breathing") as target:
        assert attach(target.pid, Request(ARM, str(tmp_path), "interval=60")).word == "started"
        assert attach(target.pid, Request(DISARM, "/another/run")).word == "absent"
        assert attach(target.pid, Request(DISARM, str(tmp_path))).word == "stopped"


@pytest.mark.parametrize("engine", ["c", "python"])
@pytest.mark.skipif("3.12" not in BY_VERSION, reason="no Python 3.12 here")
def test_an_event_loop_survives_deep_snapshots(engine: str) -> None:
    """gh-122695: a walk over the _asyncio module of 3.12.0-3.12.5 ended such a loop within some ten snapshots."""
    interpreter = BY_VERSION["3.12"]
    options = f"interval=0.02,deep=every,budget=1,engine={engine}"
    with hostile_target(interpreter, "event_loop") as target:
        folder = f"/tmp/leakhunt-test-{target.pid}"
        (interpreter.root / folder[1:]).mkdir()
        written = (interpreter.root / folder[1:]).glob
        for number in range(10):
            assert attach(target.pid, Request(ARM, folder, options)).word == "started"
            until(lambda number=number: len(list(written(f"pid-*.{number}/*.leak"))) >= 2 or not target.is_alive)
            assert attach(target.pid, Request(DISARM)).word == "stopped", target.errors
            assert target.goes_on(), target.errors
        taken = [Snapshot.load(path) for path in written("pid-*/*.leak")]
        shutil.rmtree(interpreter.root / folder[1:])
        assert target.broken == 0, target.errors
    assert len(taken) >= 20 and all(snapshot.is_deep for snapshot in taken)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)
