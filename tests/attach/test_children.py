"""Each process that runs Python has its own snapshots, under `leakhunt run` and under `leakhunt attach`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from shared import made_once

from leakhunt.runfolder import ProcessFolder, read_run

LEAKHUNT = [sys.executable, "-c", "from leakhunt.cli import main; main()"]
PYTHON = os.path.realpath(sys.executable)
SNAPSHOTS_WANTED = 3

# What each child of a program runs; it says its pid, and works until its stdin ends or it is killed.
WORK = """
    import os, sys, time

    class Task: pass

    TASKS = []

    def work():
        open(os.path.join({folder!r}, "child-%d" % os.getpid()), "w").close()
        while True:
            TASKS.append(Task())
            time.sleep(0.02)
"""

PROGRAMS = {
    "os.fork": """
        for _ in range(2):
            if os.fork() == 0:
                work()
        while True: time.sleep(0.1)
    """,
    "a fork of a fork": """
        for _ in range(2):
            if os.fork() == 0:
                if os.fork() == 0:
                    work()
                while True: time.sleep(0.1)
        while True: time.sleep(0.1)
    """,
    **{
        f"multiprocessing {method}": f"""
        if __name__ == "__main__":
            import multiprocessing
            context = multiprocessing.get_context("{method}")
            workers = [context.Process(target=work) for _ in range(2)]
            for worker in workers: worker.start()
            for worker in workers: worker.join()
        """
        for method in ("fork", "spawn", "forkserver")
    },
    "concurrent.futures": """
        if __name__ == "__main__":
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(2) as pool:
                for _ in range(2): pool.submit(work)
    """,
    "subprocess": """
        if len(sys.argv) > 1:
            work()
        import subprocess
        for _ in range(2): subprocess.Popen([sys.executable, __file__, "child"])
        while True: time.sleep(0.1)
    """,
    "subprocess through a shell": """
        if len(sys.argv) > 1:
            work()
        import subprocess
        for _ in range(2): subprocess.Popen(f"{sys.executable} {__file__} child; true", shell=True)
        while True: time.sleep(0.1)
    """,
    "subprocess, isolated": """
        if len(sys.argv) > 1:
            work()
        import subprocess
        for _ in range(2): subprocess.Popen([sys.executable, "-I", __file__, "child"])
        while True: time.sleep(0.1)
    """,
}


@contextlib.contextmanager
def going_on(command: Sequence[str], **how: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own, of which nothing is left in the end."""
    process = subprocess.Popen(command, process_group=0, stderr=subprocess.PIPE, text=True, **how)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def under_run(folder: Path, *command: str, options: Sequence[str] = ()) -> list[str]:
    return [*LEAKHUNT, "run", "--interval", "0.4", "--out", str(folder / "run"), *options, "--", *command]


def under_attach(folder: Path, pid: int, *options: str) -> list[str]:
    return [*LEAKHUNT, "attach", str(pid), "--interval", "0.4", "--out", str(folder / "run"), *options]


def program(kind: str, folder: Path) -> str:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(WORK.format(folder=str(folder))) + textwrap.dedent(PROGRAMS[kind]))
    return str(path)


def workers(folder: Path) -> set[int]:
    """Pids of the children that said that they work."""
    return {int(path.name.partition("-")[2]) for path in folder.glob("child-*")}


def measured(folder: Path) -> Mapping[int, ProcessFolder]:
    if not (folder / "run" / "run.json").exists():
        return {}
    return {process.pid: process for process in read_run(folder / "run").processes}


def until(holds: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return False


def all_are_measured(folder: Path, pids: Callable[[], set[int]], count: int = 2) -> bool:
    """Whether within a minute there are so many of them, and each has some snapshots of its own."""

    def they_are() -> bool:
        found = measured(folder)
        return len(pids()) >= count and all(
            pid in found and len(found[pid].snapshots) >= SNAPSHOTS_WANTED for pid in pids()
        )

    return until(they_are)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def thread_count(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


# --- children in general ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROGRAMS)
def test_children_of_a_launched_program_are_measured(kind: str, tmp_path: Path) -> None:
    with going_on(under_run(tmp_path, PYTHON, program(kind, tmp_path))):
        assert all_are_measured(tmp_path, lambda: workers(tmp_path))


@pytest.mark.parametrize("kind", PROGRAMS)
def test_children_of_a_program_that_could_not_be_armed_are_measured(kind: str, tmp_path: Path) -> None:
    with going_on(under_run(tmp_path, PYTHON, "-I", program(kind, tmp_path))):
        assert all_are_measured(tmp_path, lambda: workers(tmp_path))


@pytest.mark.parametrize("kind", PROGRAMS)
def test_children_that_were_there_before_the_attach_are_measured_and_freed(kind: str, tmp_path: Path) -> None:
    with going_on([PYTHON, program(kind, tmp_path)]) as parent:
        assert until(lambda: len(workers(tmp_path)) == 2)
        with going_on(under_attach(tmp_path, parent.pid)) as attached:
            assert all_are_measured(tmp_path, lambda: {parent.pid, *workers(tmp_path)}, 3)
            attached.send_signal(signal.SIGINT)
            assert attached.wait(60) == 0
        assert [thread_count(pid) for pid in workers(tmp_path)] == [1, 1]
        assert parent.poll() is None and all(map(is_running, workers(tmp_path)))


@pytest.mark.parametrize("kind", ["os.fork", "multiprocessing spawn", "subprocess"])
def test_children_that_start_after_the_attach_are_measured(kind: str, tmp_path: Path) -> None:
    path = Path(program(kind, tmp_path))
    path.write_text(
        "import pathlib, sys, time\n"
        f"while not pathlib.Path({str(tmp_path)!r}, 'go').exists(): time.sleep(0.05)\n" + path.read_text()
    )
    with going_on([PYTHON, str(path)]) as parent, going_on(under_attach(tmp_path, parent.pid)) as attached:
        assert until(lambda: parent.pid in measured(tmp_path))
        (tmp_path / "go").touch()
        assert all_are_measured(tmp_path, lambda: workers(tmp_path))
        attached.send_signal(signal.SIGTERM)
        assert attached.wait(60) == 0
        assert [thread_count(pid) for pid in workers(tmp_path)] == [1, 1]


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("os.fork", ()),
        ("multiprocessing spawn", ()),
        ("subprocess", ()),
        ("os.fork", ("-I",)),
        ("multiprocessing spawn", ("-I",)),
    ],  # not ("subprocess", "-I"): what the isolated program starts is then the first Python that loads the agent
)
def test_no_children_leaves_those_of_a_launched_program(kind: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    command = under_run(tmp_path, PYTHON, *flags, program(kind, tmp_path), options=["--no-children"])
    with going_on(command):
        assert until(lambda: len(workers(tmp_path)) == 2 and len(measured(tmp_path)) == 1)
        time.sleep(2)
        assert len(measured(tmp_path)) == 1 and not workers(tmp_path) & set(measured(tmp_path))


def test_no_children_leaves_those_of_an_attached_program(tmp_path: Path) -> None:
    with going_on([PYTHON, program("os.fork", tmp_path)]) as parent:
        assert until(lambda: len(workers(tmp_path)) == 2)
        with going_on(under_attach(tmp_path, parent.pid, "--no-children", "--duration", "4")) as attached:
            assert attached.wait(60) == 0
        assert set(measured(tmp_path)) == {parent.pid}


# --- servers and workers from PyPI -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with gunicorn, uvicorn, celery and billiard, made for the occasion.

    LEAKHUNT_TEST_SERVERS names one that is there already.
    """
    if found := os.environ.get("LEAKHUNT_TEST_SERVERS"):
        return Path(found) / "bin"

    def make(home: Path) -> None:
        subprocess.run([PYTHON, "-m", "venv", home], check=True)
        pip = [home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "gunicorn", "uvicorn", "celery"]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            (home / "problem").write_text(str(done.stderr.strip().splitlines()[-1:]))

    home = made_once(tmp_path_factory, "servers", make)
    if (home / "problem").exists():
        pytest.skip(f"no servers to be had from a package index: {(home / 'problem').read_text()}")
    return home / "bin"


WSGI = """
    import os
    LEFT = []
    def app(environ, start_response):
        LEFT.append(bytearray(1000))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % os.getpid()]
"""

ASGI = """
    import os
    LEFT = []
    async def app(scope, receive, send):
        if scope["type"] == "http":
            LEFT.append(bytearray(1000))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""

CELERY = """
    import os, time
    from celery import Celery
    app = Celery("tasks", broker="memory://")
    LEFT = []
"""

BILLIARD = """
    if __name__ == "__main__":
        import billiard
        workers = [billiard.Process(target=work) for _ in range(2)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serving(port: int) -> set[int]:
    """Pids of the workers that answer a few requests; none before the server listens."""
    pids = set()
    for _ in range(10):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            pids.add(int(answer.read()))
    return pids


def gunicorn(bin_folder: Path, port: int) -> list[str]:
    return [str(bin_folder / "gunicorn"), "-w", "2", "-b", f"127.0.0.1:{port}", "site_app:app"]


def uvicorn(bin_folder: Path, port: int) -> list[str]:
    return [str(bin_folder / "uvicorn"), "--workers", "2", "--host", "127.0.0.1", "--port", str(port), "site_app:app"]


SERVERS = {"gunicorn": (gunicorn, WSGI), "uvicorn": (uvicorn, ASGI)}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, servers: Path, tmp_path: Path) -> tuple[list[str], int]:
    """(command, port) of a server with two workers."""
    command, app = SERVERS[request.param]
    (tmp_path / "site_app.py").write_text(textwrap.dedent(app))
    port = free_port()
    return command(servers, port), port


@pytest.mark.story
def test_workers_of_a_launched_server_are_measured(server: tuple[list[str], int], tmp_path: Path) -> None:
    command, port = server
    seen: set[int] = set()
    with going_on(under_run(tmp_path, *command), cwd=tmp_path) as running:
        assert until(lambda: bool(seen.update(serving(port))) or len(seen) == 2)
        assert all_are_measured(tmp_path, lambda: seen)
        running.send_signal(signal.SIGTERM)
        running.wait(60)
        assert not any(map(is_running, seen))


@pytest.mark.story
def test_workers_of_a_running_server_are_measured_and_freed(server: tuple[list[str], int], tmp_path: Path) -> None:
    command, port = server
    seen: set[int] = set()
    with going_on(command, cwd=tmp_path) as running:
        assert until(lambda: bool(seen.update(serving(port))) or len(seen) == 2)
        threads = {pid: thread_count(pid) for pid in seen}
        with going_on(under_attach(tmp_path, running.pid)) as attached:
            assert all_are_measured(tmp_path, lambda: {running.pid, *seen}, 3)
            attached.send_signal(signal.SIGINT)
            assert attached.wait(60) == 0
        assert {pid: thread_count(pid) for pid in seen} == threads
        assert serving(port) <= seen and serving(port)


@pytest.mark.story
def test_billiards_children_are_measured(servers: Path, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(WORK.format(folder=str(tmp_path))) + textwrap.dedent(BILLIARD))
    with going_on(under_run(tmp_path, str(servers / "python"), str(path))):
        assert all_are_measured(tmp_path, lambda: workers(tmp_path))


@pytest.mark.story
@pytest.mark.parametrize("way", ["run", "attach"])
def test_celerys_prefork_workers_are_measured(way: str, servers: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(textwrap.dedent(CELERY))
    command = [str(servers / "celery"), "-A", "tasks", "worker", "-c", "2", "--pool", "prefork", "-l", "ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    environment = {**os.environ, "C_FORCE_ROOT": "1"}
    if way == "run":
        with going_on(under_run(tmp_path, *command), cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL):
            assert all_are_measured(tmp_path, lambda: set(measured(tmp_path)), 3)
        return
    with going_on(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as worker:
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
        assert until(lambda: len(children.read_text().split()) == 2)
        pids = {worker.pid, *map(int, children.read_text().split())}
        with going_on(under_attach(tmp_path, worker.pid)):
            assert all_are_measured(tmp_path, lambda: pids, 3)
