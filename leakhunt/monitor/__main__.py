"""`python -m leakhunt.monitor JSON`, started by `leakhunt run` and `attach`; their closing of its stdin ends it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from leakhunt.errors import LeakhuntError
from leakhunt.knownfile import known_places
from leakhunt.runfolder import read_run

from .notify import Notifier
from .watch import Ending, Watch

NICE = 15  # the program and its users come first


def main() -> None:
    with contextlib.suppress(OSError):
        os.nice(NICE)
    wishes = json.loads(sys.argv[1])
    ending = Ending(sys.stdin.buffer.read)
    try:
        _watch(wishes, ending)
    except LeakhuntError as problem:
        _say(str(problem))
    except Exception as problem:
        _say(f"The monitor broke, which is a bug ({type(problem).__name__}: {problem}). The run goes on without it.")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(0)  # threads that still answer a scrape do not hold it up


def _watch(wishes: dict[str, Any], ending: Ending) -> None:
    folder = Path(wishes["run"])
    interval = float(read_run(folder).info.get("options", {}).get("interval", 5.0) or 5.0)
    notifier = Notifier(wishes["on_leak"]) if wishes["on_leak"] else None
    watch = Watch(folder, interval, known_places(Path.cwd()), notifier, _say)
    otel = None
    if wishes["listening"] is not None:
        from .prometheus import serve

        serve(socket.socket(fileno=wishes["listening"]), watch.metrics)
    if wishes["otel"]:
        from .otel import Otel

        otel = Otel(watch.metrics)
    try:
        watch.until(ending)
    finally:
        if otel is not None:
            otel.end()


def _say(message: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"leakhunt: {message}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
