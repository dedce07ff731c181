"""What a program may do to itself: the agent neither dies silently nor speaks on its stderr; what is lost is reported."""

from __future__ import annotations

import os
import resource
import subprocess

import pytest
from agent.conftest import any_engine, target  # noqa: F401
from agent.target import Target, said

from leakhunt.command import AgentOptions, armed_environment
from leakhunt.runfolder import read_run

AUDITED = """
import time
def hook(event, arguments):
    if event in {events}:
        raise {error}("refused by the program")
time.sleep(0.2)
sys.addaudithook(hook)
sampler = sys.modules["_leakhunt_agent"]._sampler
seconds = {seconds}
while not (sampler._lost or sampler._is_over) and seconds > 0:
    seconds -= 0.02
    time.sleep(0.02)
print("lives 1")
sys.stdout.flush()
"""


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit", "KeyboardInterrupt", "PermissionError"])
@pytest.mark.parametrize("events", [("open",), ("open", "os.mkdir", "os.rename"), ("gc.get_objects",)], ids="-".join)
def test_an_audit_hook_that_raises_is_told_in_the_report(
    events: tuple[str, ...],
    error: str,
    any_engine: Target,  # noqa: F811
) -> None:
    ran = any_engine.run(AUDITED.format(events=events, error=error, seconds=60), interval=0.05)
    assert dict(said(ran)) == {"lives": 1}
    # The program's own hook may break its own exit, and that is said there; the agent is not.
    assert "leakhunt" not in ran.err and "Traceback" not in ran.err, ran.err
    assert any("lost" in process.problems or "stopped" in process.problems for process in ran.processes)


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("events", [("open",), ("gc.get_objects",)], ids="-".join)
def test_an_audit_hook_that_raises_at_the_last_snapshot_is_told_in_the_report(
    events: tuple[str, ...],
    error: str,
    any_engine: Target,  # noqa: F811
) -> None:
    """The agent's thread has not met it before; what leaves a callback of atexit would be printed."""
    ran = any_engine.run("take(False)\n" + AUDITED.format(events=events, error=error, seconds=0))
    assert (ran.status, dict(said(ran))) == (0, {"lives": 1})
    assert "leakhunt" not in ran.err and "Traceback" not in ran.err, ran.err
    assert any("lost" in process.problems or "stopped" in process.problems for process in ran.processes)


def test_an_audit_hook_that_only_listens_changes_nothing(any_engine: Target) -> None:  # noqa: F811
    """The nearest healthy case."""
    ran = any_engine.run("heard = []\nsys.addaudithook(lambda *event: heard.append(1))\nwait_for(3)", interval=0.05)
    assert (ran.status, ran.err) == (0, "")
    assert ran.processes[0].problems == ""


def test_builtins_that_are_gone_are_not_missed(target: Target) -> None:  # noqa: F811
    """A program may set any of them to None: the agent has the ones that it began with."""
    ran = target.run(
        """
        import builtins, time
        agent, wait = sys.modules["_leakhunt_agent"], time.sleep
        kept = [[] for _ in range(100)]
        saved = dict(builtins.__dict__)
        for name in saved:
            if name[:1] != "_" and name not in ("print",):
                builtins.__dict__[name] = None
        while agent._sampler._sequence < 3: wait(0.02)
        builtins.__dict__.update(saved)
        print("seen 1")
        """,
        interval=0.1,
    )
    assert dict(said(ran)) == {"seen": 1}, ran.err
    assert ran.err == ""
    assert ran.processes[0].problems == ""


def test_a_file_larger_than_the_process_may_write_does_not_end_it(any_engine: Target) -> None:  # noqa: F811
    ran = any_engine.run(
        """
        import resource, signal, time
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        time.sleep(0.4)
        print("ends 1")
        """
    )
    assert dict(said(ran)) == {"ends": 1}
    assert ran.err == ""
    (process,) = ran.processes
    assert "1 snapshots lost: File too large" in process.problems


def test_the_programs_own_signal_for_a_large_file_still_ends_it(any_engine: Target) -> None:  # noqa: F811
    """What the agent holds back is its own alone: also after the last snapshot."""
    ran = any_engine.run(
        """
        import atexit, resource, signal, time
        def too_large():
            file = os.open("large", os.O_WRONLY | os.O_CREAT)
            os.write(file, b"x" * 20000)
            os.write(file, b"x")
        atexit._clear()
        atexit.register(too_large)
        atexit.register(sys.modules["_leakhunt_agent"]._at_exit)  # runs first
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        time.sleep(0.4)
        """
    )
    assert ran.status == -25  # SIGXFSZ


def test_no_descriptor_left(any_engine: Target) -> None:  # noqa: F811
    ran = any_engine.run(
        """
        import resource, time
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        held = []
        try:
            while True: held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        time.sleep(0.4)
        for descriptor in held: os.close(descriptor)
        os._exit(0)
        """,
        interval=0.05,
    )
    assert (ran.status, ran.err) == (0, "")
    assert any("lost: Too many open files" in process.problems for process in ran.processes)


def test_no_thread_can_be_started(any_engine: Target) -> None:  # noqa: F811
    """After a fork: the child is not measured, and lives."""
    ran = any_engine.run(
        """
        sampler = sys.modules["_leakhunt_agent"]._sampler
        def refuse(*arguments): raise RuntimeError("can't start new thread")
        sys.modules["_leakhunt_agent.sampler"].start_new_thread = refuse
        pid = os.fork()
        if pid == 0: os._exit(7)
        print("status", os.waitpid(pid, 0)[1] >> 8)
        """
    )
    assert dict(said(ran)) == {"status": 7}
    assert ran.err == ""
    assert any("can't start new thread" in process.problems for process in ran.processes)


@pytest.mark.parametrize("children", [20, pytest.param(200, marks=pytest.mark.hostile)])
def test_many_children_at_once(children: int, any_engine: Target) -> None:  # noqa: F811
    ran = any_engine.run(
        f"""
        import subprocess
        children = [subprocess.Popen([sys.executable, "-c", "pass"], stderr=subprocess.PIPE) for _ in range({children})]
        errors = b"".join(child.communicate()[1] for child in children)
        print("failed", sum(child.returncode != 0 for child in children))
        print("said", len(errors))
        """
    )
    assert dict(said(ran)) == {"failed": 0, "said": 0}
    assert len(ran.processes) == children + 1
    assert {process.problems for process in ran.processes} == {""}


def processor_seconds(command: list[str], environment: dict[str, str], times: int = 9) -> float:
    """The least of some runs: what the machine does besides only adds."""
    found = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


@pytest.mark.hostile
@pytest.mark.parametrize("dont_write", ["", "1"], ids=["bytecode", "no-bytecode"])
def test_a_child_that_runs_pass_costs_little_more(dont_write: str, any_engine: Target) -> None:  # noqa: F811
    run = any_engine.folder / "run"
    run.mkdir(0o700)
    command = [any_engine.python, "-c", "pass"]
    plain = {**os.environ, "PYTHONDONTWRITEBYTECODE": dont_write}
    armed = armed_environment(plain, run, AgentOptions())
    assert processor_seconds(command, armed) - processor_seconds(command, plain) <= 0.015
    assert len(read_run(run).processes) == 9


def test_a_socket_name_taken_by_another_user_does_not_stop_the_program_that_arms(tmp_path: object) -> None:
    """`leakhunt.arm()` raised into the program where somebody squatted on the name of its socket."""
    import sys

    source = """
import socket
from pathlib import Path
started = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
import os
taken = socket.socket(socket.AF_UNIX)
taken.bind("\\0leakhunt-%d-%d" % (os.getpid(), started))
import leakhunt
print(leakhunt.arm())
taken.close()
print(leakhunt.arm(), leakhunt.arm())
"""
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "False\nTrue False\n", "")
