"""Processes that give up the right to write into the run folder: they are measured all the same, or it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from leakhunt import pipeline
from leakhunt.findings import Findings
from leakhunt.runfolder import read_run

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give something up")

LEAKHUNT = [sys.executable, "-m", "leakhunt"]
PYTHON = os.path.realpath(sys.executable)
SYSTEM_PYTHON = "/usr/bin/python3"  # one that every user can read
with_public_python = pytest.mark.skipif(not os.access(SYSTEM_PYTHON, os.X_OK), reason=f"no {SYSTEM_PYTHON}")
NOBODY = 65534
# Works until the test says that it saw enough, by a file that everybody can see; or for a minute.
WORK = """
    import os, resource, signal, sys, time

    class Task: pass

    TASKS = []

    def work(seconds=60):
        begun = time.time()
        while time.time() - begun < seconds and not os.path.exists(ENOUGH):
            TASKS.append(Task())
            time.sleep(0.01)

    def drop():
        os.setgroups([]); os.setgid(%d); os.setuid(%d)
""" % (NOBODY, NOBODY)
FORKING = """
    pids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            {becomes}
            work()
            os._exit(0)
        pids.append(pid)
    work()
    for pid in pids: os.waitpid(pid, 0)
"""


@pytest.fixture
def place() -> object:
    """Where everybody may look, and only root keeps its run."""
    folder = Path(f"/tmp/leakhunt-drops-{os.getpid()}")
    folder.mkdir()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run(
    program: str,
    place: Path,
    snapshots: int,
    processes: int,
    *options: str,
    python: str = SYSTEM_PYTHON,
    engine: str = "auto",
) -> Findings:
    """Run until so many processes have so many snapshots, or the program ends; what is found in the end."""
    enough, out = place / "enough", place / "run"
    file = place / "app.py"
    file.write_text(f"ENOUGH = {str(enough)!r}\n{textwrap.dedent(WORK)}\n{textwrap.dedent(program)}")
    told = ["--interval", "0.2", "--deep", "every", "--budget", "1", "--engine", engine, *options]
    command = [*LEAKHUNT, "run", *told, "--out", str(out), "--", python, str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd="/") as leakhunt:
        while leakhunt.poll() is None:
            found = read_run(out).processes if out.exists() else ()
            if sum(len(process.snapshots) >= snapshots for process in found) >= processes:
                break
            try:
                leakhunt.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        enough.touch()
        _, said = leakhunt.communicate(timeout=120)
    print(said.decode())
    assert leakhunt.returncode == 0
    return pipeline.hunt(out)


@as_root
@with_public_python
@pytest.mark.parametrize("engine", ["c", "python"])
def test_workers_that_drop_their_privileges_are_measured(place: Path, engine: str) -> None:
    found = run(FORKING.format(becomes="drop()"), place, 4, 3, engine=engine)
    processes = read_run(place / "run").processes
    assert len(processes) == 3 and all(len(process.snapshots) >= 4 for process in processes)
    kept = place / "run" / "bytecode"  # where nothing else keeps it; its folder alone is closed, and holds no data
    paths = [path for path in (place / "run").rglob("*") if kept not in path.parents]
    assert all(path.stat().st_uid == 0 for path in (place / "run").rglob("*"))
    assert [path for path in paths if path.stat().st_mode & 0o77] == []
    assert found.verdict != "healthy"
    left = [path for process in processes for path in Path("/tmp").glob(f"leakhunt-*/pid-{process.pid}.*")]
    assert left == [], "nothing stays in the place between"


@as_root
@with_public_python
def test_a_program_that_drops_its_own_privileges_is_measured_on_in_the_same_folder(place: Path) -> None:
    run("work(1.5)\ndrop()\nwork()", place, 25, 1)
    (process,) = read_run(place / "run").processes
    assert len(process.snapshots) >= 25
    elapsed = [pipeline.load(path).number("elapsed") for path in process.snapshots]
    assert elapsed == sorted(elapsed)


@as_root
@with_public_python
def test_a_program_that_changes_its_root_is_measured_where_it_can_write_there(place: Path) -> None:
    (place / "jail/tmp").mkdir(parents=True)
    (place / "jail/tmp").chmod(0o1777)
    run(f"work(2)\nos.chroot({str(place / 'jail')!r})\nos.chdir('/')\nwork(30)", place, 1000, 1)
    (process,) = read_run(place / "run").processes
    assert pipeline.load(process.snapshots[-1]).number("elapsed") > 25


@as_root
@with_public_python
@pytest.mark.parametrize(
    ("becomes", "options", "says"),
    [
        ("os.mkdir(ENOUGH + '.jail'); os.chroot(ENOUGH + '.jail'); drop()", (), "no directory that it can write to"),
        ("drop()", ("--no-attach",), "--no-attach says to leave it alone"),
        ("drop(); work(0.2); os._exit(0)", (), ""),
    ],
    ids=["nowhere to write", "not to be attached to", "gone at once"],
)
def test_who_could_not_be_measured_is_told_and_nothing_is_called_healthy(
    place: Path, becomes: str, options: tuple[str, ...], says: str
) -> None:
    program = f"""
    if (pid := os.fork()) == 0:
        {becomes}
        work(8)
        os._exit(0)
    work(12)
    os.waitpid(pid, 0)
    """
    found = run(program, place, 1000, 1, *options)
    if says:
        assert any(says.replace("/", " ") in note for process in found.processes for note in process.notes)
    assert found.verdict != "healthy"


@as_root
def test_what_ends_the_agent_after_the_drop_is_told(place: Path) -> None:
    """An interpreter below /root: after the drop not even a module of the standard library can be loaded."""
    library = Path(
        subprocess.check_output([PYTHON, "-c", "import os; print(os.path.dirname(os.__file__))"], text=True).strip()
    )
    if os.stat(library).st_mode & 0o005 and all(parent.stat().st_mode & 0o001 for parent in library.parents):
        pytest.skip("every user can read this interpreter")
    found = run("drop()\nwork(8)", place, 1000, 1, python=PYTHON)
    assert found.verdict == "inconclusive" and "the agent stopped" in found.summary


def test_a_program_without_a_free_descriptor_is_told_of(place: Path) -> None:
    program = """
    time.sleep(1.5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    kept = []
    try:
        while True: kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    time.sleep(6)
    os._exit(0)
    """
    found = run(program, place, 1000, 1, python=PYTHON)
    assert any("Too many open files" in note for process in found.processes for note in process.notes)
    assert found.verdict == "inconclusive" and "was not seen to its end" in found.summary


def test_what_was_lost_before_the_last_snapshot_hides_nothing(place: Path) -> None:
    from heap import Heap, run_folder

    heap = Heap(interval=1.0)
    heap.module("shop", "shop.py", ORDERS=heap.list([]))
    for lost, verdict in ((2, "healthy"), (3, "inconclusive")):
        taken = [heap.snapshot(lost=2) for _ in range(30)]
        out = run_folder(place / f"run{lost}", taken)
        (next(out.glob("pid-*")) / "problems").write_text(f"{lost} snapshots lost: No space left on device   ")
        assert pipeline.hunt(out).verdict == verdict
