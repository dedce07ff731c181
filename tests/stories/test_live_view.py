"""`leakhunt live` on a terminal, over sample apps that leak: it shows the leak, and leaves the program alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .watching import APPS, LEAKHUNT

pytestmark = pytest.mark.story

APP = APPS / "event_listeners.py"
CLASS, HOLDER = "__main__.LiveView", "__main__.EventBus.listeners"
WAIT_SECONDS = 60.0
RESTORED = b"\x1b[?1049l"  # back from the alternate screen


class Terminal:
    """A program on a terminal of its own, and all that it wrote there."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._manager, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "TMPDIR": str(folder)}
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True
        )
        os.close(terminal)
        self.written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the program is gone
            while data := os.read(self._manager, 65536):
                self.written += data

    def shows(self, *texts: str) -> None:
        """Wait until all of these were written."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not all(text.encode() in self.written for text in texts):
            assert time.monotonic() < deadline and self.process.poll() is None, (texts, self.written[-3000:])
            time.sleep(0.05)

    def types(self, keys: str) -> None:
        os.write(self._manager, keys.encode())

    def status(self) -> int:
        """Wait for the end."""
        status = self.process.wait(WAIT_SECONDS)
        self._reader.join(5)
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._manager)


@contextlib.contextmanager
def opened(tmp_path: Path, *words: object, command: list[str] = LEAKHUNT) -> Iterator[Terminal]:
    terminal = Terminal([*command, *map(str, words)], tmp_path)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture
def leaking() -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "ROUNDS": "4000", "PAUSE_SECONDS": "0.05"}
    with subprocess.Popen([os.path.realpath(sys.executable), APP], env=environment) as process:
        yield process
        process.kill()


def is_left_alone(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None and len(os.listdir(f"/proc/{process.pid}/task")) == 1


@pytest.mark.parametrize("leave", ["q", "\x03", signal.SIGTERM, signal.SIGHUP], ids=["q", "Ctrl-C", "TERM", "HUP"])
def test_a_running_process_is_shown_and_left_as_it_was(
    leave: str | signal.Signals, leaking: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with opened(tmp_path, "live", leaking.pid, "--interval", 0.3) as terminal:
        terminal.shows(CLASS, HOLDER)
        if isinstance(leave, str):
            terminal.types(leave)
        else:
            terminal.process.send_signal(leave)
        assert terminal.status() == 0
        assert RESTORED in terminal.written
    assert is_left_alone(leaking)
    assert list(tmp_path.iterdir()) == []


def test_enter_shows_the_chain_and_out_keeps_the_run(leaking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with opened(tmp_path, "live", leaking.pid, "--interval", 0.3, "-v", "--out", tmp_path / "run") as terminal:
        terminal.shows(f"attached to process {leaking.pid} (by ", CLASS, HOLDER)
        terminal.types("\r")
        terminal.shows("What keeps", "<local bus>", ".listeners")
        terminal.types("qq")
        assert terminal.status() == 0
        assert f"`leakhunt report {tmp_path / 'run'}`".encode() in terminal.written
    assert is_left_alone(leaking)
    assert list(tmp_path.glob("run/pid-*/*.leak"))


def test_when_the_program_ends_the_view_stays_and_says_so(leaking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with opened(tmp_path, "live", leaking.pid, "--interval", 0.3) as terminal:
        terminal.shows(CLASS)
        leaking.kill()
        leaking.wait()
        terminal.shows("the program has ended")
        terminal.types("q")
        assert terminal.status() == 0


def test_a_run_that_goes_on_elsewhere_is_followed_by_its_folder_or_by_its_pid(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [*LEAKHUNT, "run", "-q", "--interval", "0.3", "--out", str(run), "--", sys.executable, str(APP)]
    environment = {**os.environ, "ROUNDS": "4000", "PAUSE_SECONDS": "0.05"}
    running = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not list(run.glob("pid-*/*.leak")) and time.monotonic() < deadline:
            time.sleep(0.05)
        (process,) = run.glob("pid-*")
        pid = process.name.removeprefix("pid-").partition(".")[0]
        for target in (run, pid):
            with opened(tmp_path, "live", target) as terminal:
                terminal.shows(CLASS, HOLDER, f"process {pid}")
                terminal.types("q")
                assert terminal.status() == 0
        before = len(list(process.glob("*.leak")))
        while len(list(process.glob("*.leak"))) <= before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(list(process.glob("*.leak"))) > before  # it is still measured
    finally:
        running.terminate()
        running.wait()


BROKEN = """if True:
    from leakhunt.tui import app
    def broken(*_): raise ZeroDivisionError("nobody foresaw this")
    app.{place} = broken
    from leakhunt.cli import main
    main()
    """


@pytest.mark.parametrize("place", ["scene", "LiveView.compose"])
def test_a_view_that_breaks_lets_go_and_is_a_sentence(
    place: str, leaking: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    broken = [sys.executable, "-c", BROKEN.format(place=place)]
    with opened(tmp_path, "live", leaking.pid, command=broken) as terminal:
        assert terminal.status() == 3
        said = terminal.written.rpartition(RESTORED)[2].decode()
    assert "leakhunt: " in said and "bug" in said and "Traceback" not in said
    assert is_left_alone(leaking)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [("none", 3, "There is no run folder"), ("4194304", 3, "There is no process"), ("0", 2, "not a process")],
)
def test_what_is_not_there_is_a_sentence(target: str, status: int, words: str, tmp_path: Path) -> None:
    with opened(tmp_path, "live", target) as terminal:
        assert terminal.status() == status
        assert words in terminal.written.decode()
        assert terminal.written.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []
