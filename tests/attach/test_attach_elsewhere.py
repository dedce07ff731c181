"""Into another root, another pid namespace, another user's process, and by the socket of an armed program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from targets import CHROOT, hostile_target, interpreters

from leakhunt.attach import BY_NAME, DISARM, Request, attach, attachment, procfs
from leakhunt.attach.process_tree import ProcessTree, nobody
from leakhunt.attach.stage import place_in
from leakhunt.attach.target import Target
from leakhunt.cli.doctor import place_check
from leakhunt.errors import AttachError
from leakhunt.runfolder import create, read_run

SOURCE = Path(attachment.__file__).parents[2]
OPTIONS = "interval=0.1,deep=auto,budget=1"
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextmanager
def program(code: str, *before: str, **how: object) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program; `before` is what starts it (unshare …)."""
    python = os.path.realpath(sys.executable) if not before else "/usr/bin/python3"
    process = subprocess.Popen([*before, python, "-c", textwrap.dedent(code)], **how)  # type: ignore[call-overload]
    try:
        time.sleep(0.5)
        yield process
    finally:
        for pid in (*children(process.pid), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def children(pid: int) -> list[int]:
    """Its descendants, the youngest generation first."""
    return [child for child, _ in procfs.descendants(pid)][::-1]


WAITING = "import time\nwhile True: time.sleep(0.05)"


def measure(pid: int, folder: Path, processes: int = 1) -> Path:
    """Measure until each of so many processes has three snapshots, or a minute is over; the run folder."""
    run_folder = create(folder / "run", ["test"])
    measured = attachment.begin(pid, run_folder, OPTIONS)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.05)
        measured.fetch()
        found = read_run(run_folder).processes
        if len(found) == processes and all(len(process.snapshots) >= 3 for process in found):
            break
    assert measured.end() is None
    return run_folder


@pytest.mark.skipif(not any(i.root != Path("/") for i in interpreters()), reason=f"no chroot in {CHROOT}")
def test_snapshots_come_out_of_another_root(tmp_path: Path) -> None:
    interpreter = next(i for i in interpreters() if i.root != Path("/"))
    staged = (interpreter.root / "tmp").glob
    with hostile_target(interpreter, "breathing") as target:
        before = set(staged("leakhunt-*"))
        run = read_run(measure(target.pid, tmp_path))
        assert len(run.processes) == 1 and len(run.processes[0].snapshots) >= 3
        deadline = time.monotonic() + 10  # other tests may be in this root at the same time
        while set(staged("leakhunt-*")) - before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not set(staged("leakhunt-*")) - before
        assert target.is_alive and target.broken == 0


@as_root
def test_snapshots_come_out_of_another_users_process(tmp_path: Path) -> None:
    with program(WAITING, "setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups") as process:
        run = read_run(measure(process.pid, tmp_path))
        assert len(run.processes[0].snapshots) >= 3
        assert all(path.stat().st_uid == 0 for path in run.processes[0].snapshots)


UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--mount", "--net", "--ipc"]


def can_unshare() -> bool:
    """Whether namespaces can be made here: root in a chroot or in a container may not."""
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


@as_root
def test_a_container_is_entered_by_the_hosts_pid(tmp_path: Path) -> None:
    if not can_unshare():
        pytest.skip("no namespaces can be made here")
    with program(WAITING, *UNSHARE) as process:
        pid = children(process.pid)[-1]
        run = read_run(measure(pid, tmp_path))
        assert [found.pid for found in run.processes] == [1]
        assert len(run.processes[0].snapshots) >= 3
        os.kill(pid, 0)


@as_root
def test_a_process_of_a_container_is_called_by_the_pid_that_the_host_knows(tmp_path: Path) -> None:
    if not can_unshare():
        pytest.skip("no namespaces can be made here")
    with program(WAITING, *UNSHARE) as process:
        pid = children(process.pid)[-1]
        folder = create(tmp_path / "run", ["test"])
        attachment.begin(pid, folder, OPTIONS).end()
        tree = ProcessTree(pid, folder, OPTIONS, nobody)
        tree.look()
        (found,) = read_run(folder).processes
        assert (found.pid, found.path.name) == (pid, "pid-1.0")


@as_root
@pytest.mark.parametrize("other", ["/var/tmp", ""])
def test_a_small_tmp_is_passed_over_and_where_all_are_small_the_next_step_is_told(tmp_path: Path, other: str) -> None:
    if not can_unshare():
        pytest.skip("no namespaces can be made here")
    small = " && ".join(
        f"mount -t tmpfs -o size=300k small {place}"
        for place in ("/tmp", "/var/tmp", "/dev/shm", "/run")
        if place != other
    )
    with program(WAITING, *UNSHARE, "sh", "-c", f'{small} && exec "$0" "$@"') as process:
        pid = children(process.pid)[-1]
        if other:
            assert place_in(Target(pid)) == other
            measure(pid, tmp_path)
        else:
            with pytest.raises(AttachError, match=r"/tmp of process .* less than 2 MB free.*size=64m"):
                attachment.begin(pid, create(tmp_path / "run", ["test"]), OPTIONS)
            assert not place_check(pid).works


def test_doctor_finds_the_place_that_an_attach_would_use() -> None:
    with program(WAITING) as process:
        assert place_check(process.pid).works
        assert place_in(Target(process.pid)) == "/tmp"


def test_children_that_it_forks_are_measured_and_freed_again(tmp_path: Path) -> None:
    code = """
        import os, time
        time.sleep(1)
        os.fork()
        while True: time.sleep(0.05)
    """
    with program(code) as process:
        run = read_run(measure(process.pid, tmp_path, processes=2))
        assert len(run.processes) == 2
        child = children(process.pid)[-1]
        for pid in (process.pid, child):
            assert attach(pid, Request(DISARM)).word == "absent"
            assert len(os.listdir(f"/proc/{pid}/task")) == 1


def test_a_measured_process_is_not_measured_twice(tmp_path: Path) -> None:
    with program(WAITING) as process:
        folder = create(tmp_path / "one", [])
        first = attachment.begin(process.pid, folder, OPTIONS)
        with pytest.raises(Exception, match=f"being measured already, into {folder}"):
            attachment.begin(process.pid, create(tmp_path / "two", []), OPTIONS)
        assert first.end() is None


ARMED = f"""
    import sys, time
    sys.path.insert(0, {str(SOURCE)!r})
    from leakhunt.arming import arm
    print(arm(), arm(), flush=True)
    while True: time.sleep(0.05)
"""


def test_an_armed_program_is_woken_without_being_touched(tmp_path: Path) -> None:
    with program(ARMED, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True False\n"
        answer = attach(process.pid, Request("arm", str(tmp_path), OPTIONS))
        assert (answer.method, answer.word) == ("prearmed", "started")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not list(tmp_path.glob("pid-*/*.leak")):
            time.sleep(0.05)
        assert attach(process.pid, Request(DISARM)).word == "stopped"
        assert attach(process.pid, Request(DISARM)).word == "absent"
        assert list(tmp_path.glob("pid-*/*.leak"))
        # It sleeps on, and can be woken again.
        assert attach(process.pid, Request("arm", str(tmp_path), OPTIONS)).method == "prearmed"


@as_root
def test_the_door_hears_nobody_but_its_user_and_root(tmp_path: Path) -> None:
    knock = f"""if True:
        import os, socket, sys
        sys.path.insert(0, {str(SOURCE)!r})
        from leakhunt.attach import prearmed, Target
        os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
        target = Target(int(sys.argv[1]))
        print(prearmed.Prearmed().why_not(target.pid))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(prearmed.socket_name(target))
        try:
            connection.sendall(b"disarm\\0\\0")
            connection.shutdown(socket.SHUT_WR)
            print(connection.recv(100))
        except OSError as error:  # hung up before or after the words came
            print(type(error).__name__)
    """
    with program(ARMED, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        command = [sys.executable, "-c", knock, str(process.pid)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0] == f"Process {process.pid} accepts only user 0 and root."
    assert said[1] in ("b''", "ConnectionResetError", "BrokenPipeError")


def test_a_program_that_was_not_armed_says_so() -> None:
    with program(WAITING) as process:
        reason = BY_NAME["prearmed"].why_not(process.pid)
        assert reason is not None and "did not call leakhunt.arm()" in reason
