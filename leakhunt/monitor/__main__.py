"""`python -m leakhunt.monitor JSON`, started by `leakhunt run` and `attach`; their closing of its stdin ends it.

In haste, leakhunt does not wait: what is left to tell is told afterwards, in LAST_SECONDS at the most. What others may
wait for, the port and stderr, is let go of by the time that leakhunt ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leakhunt.errors import LeakhuntError

from .beside import HASTE_SECONDS, LEAVE, LINGER_SECONDS
from .earlier import earlier
from .ending import Ending

if TYPE_CHECKING:
    from .log import FindingsLog

NICE = 15  # the program and its users come first
LAST_SECONDS, COMMAND_SECONDS = 5.0, 3.0  # after haste was asked for: until it ends itself, and a command of --on-leak


def main() -> None:
    with contextlib.suppress(OSError):
        os.nice(NICE)
    wishes = json.loads(sys.argv[1])
    ending = Ending(sys.stdin.buffer.read)
    _mind_haste(ending)
    try:
        _watch(wishes, ending)
    except LeakhuntError as problem:
        _say(str(problem))
    except Exception as problem:
        _say(f"The monitor broke, which is a bug ({type(problem).__name__}: {problem}). The run goes on without it.")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(0)  # threads that still answer a scrape do not hold it up


def _mind_haste(ending: Ending) -> None:
    """A service manager tells a whole group of processes to end: this one does so in haste, then."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: threading.Thread(target=ending.hurry, daemon=True).start())
    signal.signal(LEAVE, lambda *_: _hold_up_nobody())
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel ends it, whatever it is at
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP, LEAVE, signal.SIGALRM})
    ending.in_haste(0.0, lambda: signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS))
    ending.in_haste(HASTE_SECONDS, _let_go_of_stderr)
    ending.when_left(_linger)


def _linger() -> None:
    """Go on when leakhunt is gone, for a time that is bounded."""
    signal.setitimer(signal.ITIMER_REAL, LINGER_SECONDS)
    _hold_up_nobody()


def _hold_up_nobody() -> None:
    """Let go of stderr, unless it is a file or journald reads it: who reads a pipe to its end waits for that."""
    from .log import journal_reads

    if not journal_reads() and not os.path.isfile("/dev/fd/2"):
        _let_go_of_stderr()


def _let_go_of_stderr() -> None:
    """Who reads it to its end waits for leakhunt, not for us."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2, inheritable=True)


def _watch(wishes: dict[str, Any], ending: Ending) -> None:
    from leakhunt.config import known_places
    from leakhunt.runfolder import read_run

    from .notify import Notifier
    from .watch import Watch

    folder = Path(wishes["run"])
    interval = float(read_run(folder).info.get("options", {}).get("interval", 5.0) or 5.0)
    notifier = Notifier(wishes["on_leak"]) if wishes["on_leak"] else None
    if notifier is not None:
        ending.in_haste(0.0, notifier.stop)
        ending.in_haste(COMMAND_SECONDS, notifier.break_off)
    log = _log(folder, wishes) if wishes["log"] else None
    watch = Watch(folder, interval, known_places(), notifier, _say, log, wishes["limit_bytes"])
    otel = None
    if wishes["listening"] is not None:
        from .prometheus import serve

        ending.in_haste(0.0, serve(socket.socket(fileno=wishes["listening"]), watch.metrics))
    if wishes["otel"]:
        from .otel import Otel

        otel = Otel(watch.metrics)
    try:
        watch.until(ending)
    finally:
        if otel is not None:
            otel.end()


def _log(folder: Path, wishes: dict[str, Any]) -> FindingsLog:
    from .log import FindingsLog, journal_reads

    known, starts = earlier(folder) if wishes["limit_bytes"] else ({}, 0)
    return FindingsLog(_write, wishes["log"] == "json", journal_reads(), known, starts)


def _write(line: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _say(message: str) -> None:
    _write(f"leakhunt: {message}")


if __name__ == "__main__":
    main()
