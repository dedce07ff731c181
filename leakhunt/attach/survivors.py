"""Who goes on when the program that was started has ended: daemons that forked away, with the agent they took along."""

from __future__ import annotations

import os
import time
from pathlib import Path

from . import procfs
from .stage import STOP
from .target import Target

GRACE_SECONDS, ENDING_SECONDS = 0.3, 2.0  # workers that end with their master need a moment; a daemon has a session
_POLL_SECONDS = 0.03


def survivors(run_folder: Path) -> list[int]:
    """Pids of the Pythons that were armed for this run, live, and were not detached from; in order of their start."""
    wanted = os.path.abspath(run_folder)
    found = [pid for pid in _all_pids() if _is_armed(pid, wanted) and not _is_detached(pid, run_folder)]
    return sorted((pid for pid in found if Target(pid).interpreter is not None), key=procfs.start_time)


def lasting(run_folder: Path) -> list[int]:
    """The same, without those that end in a moment: who did not leave our session may be on its way out."""
    begun = since = time.monotonic()
    before: list[int] = []
    while found := survivors(run_folder):
        if found != before:
            before, since = found, time.monotonic()
        waited = time.monotonic() - begun
        is_settled = time.monotonic() - since >= GRACE_SECONDS and not any(map(_is_in_our_session, found))
        if is_settled or waited >= ENDING_SECONDS:
            break
        time.sleep(_POLL_SECONDS)
    return found


def _is_in_our_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == os.getsid(0)
    except OSError:
        return False


def roots(pids: list[int]) -> list[int]:
    """Those of the processes that none of the others started."""
    below = {child for pid in pids for child, _ in procfs.descendants(pid)}
    return [pid for pid in pids if pid not in below]


def _is_armed(pid: int, run_folder: str) -> bool:
    environment = procfs.environment(pid) or {}
    return environment.get("LEAKHUNT_RUN") == run_folder and procfs.Status.of(pid).state not in ("", "Z", "X")


def _is_detached(pid: int, run_folder: Path) -> bool:
    folders = sorted(run_folder.glob(f"pid-{Target(pid).inner_pid}.*/"))
    return bool(folders) and (folders[-1] / STOP).exists()


def _all_pids() -> list[int]:
    own = os.getpid(), os.getppid()
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) not in own]
