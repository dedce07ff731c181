"""A service's folder: a run folder for each start, named by its time, and room made for the newest of them.

SERVICE/20261121-210000/    a run folder, as of `leakhunt run`
    report.json             its newest report, kept when its snapshots had to make room
SERVICE/report-now          made by a person who wants a report of the start that runs (see monitor/watch.py)
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from leakhunt.errors import UsageError
from leakhunt.runfolder import DESCRIPTION, PACKAGES, starts

REPORT = "report.json"
REQUEST = "report-now"
STARTS_MAX = 50  # more of them are a program that crashes again and again: the oldest tell nothing new
EARLIER_SHARE = 0.5  # of the limit on disk, what the snapshots of earlier starts may take

_SNAPSHOTS = re.compile(r"pid-\d{1,10}\.\d{1,10}|bytecode", re.ASCII)


def last_two(folder: Path) -> tuple[Path, Path]:
    """The start before the newest one, and the newest.

    Raises:
        UsageError: there are no two.
    """
    found = starts(folder)
    if len(found) < 2:
        raise UsageError(
            f"{folder} holds {'one start' if found else 'no start'} of a service, and a comparison takes two.",
            "Give two run folders, or the folder that `leakhunt run --service` keeps when it has started twice.",
        )
    return found[-2], found[-1]


def report_of(start: Path) -> Path:
    """What to read of a start: its report where its snapshots are gone, else the run folder."""
    kept = start / REPORT
    has_snapshots = any(_SNAPSHOTS.fullmatch(name) for name in os.listdir(start)) if start.is_dir() else False
    return kept if kept.is_file() and not has_snapshots else start


def forget_oldest(folder: Path) -> None:
    """Remove the oldest starts beyond STARTS_MAX, whole; never raises."""
    for start in starts(folder)[:-STARTS_MAX]:
        _remove_snapshots(start)
        for name in (REPORT, PACKAGES, "ending", DESCRIPTION):
            with contextlib.suppress(OSError):
                (start / name).unlink()
        with contextlib.suppress(OSError):
            start.rmdir()


def make_room(run: Path, limit_bytes: int) -> int:
    """Remove the snapshots of the oldest starts before `run` until they take their share of the limit.

    Returns:
        bytes that are left of the limit for `run`.
    """
    earlier = [start for start in starts(run.parent) if start != run]
    sizes = {start: _size_bytes(start) for start in earlier}
    for start in earlier:
        if sum(sizes.values()) <= EARLIER_SHARE * limit_bytes:
            break
        _remove_snapshots(start)
        sizes[start] = _size_bytes(start)
    return max(limit_bytes - sum(sizes.values()), limit_bytes // 10)


def _remove_snapshots(start: Path) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(start):
            if _SNAPSHOTS.fullmatch(name):
                shutil.rmtree(start / name, ignore_errors=True)


def _size_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
