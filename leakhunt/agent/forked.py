"""`--fork-snapshot`: the whole graph is recorded by a twin of the process, while the program goes on.

The twin is made by the C library (_walk_twin.c): no handler of the program runs, its waitpid() and SIGCHLD see nothing.
"""

import os
import sys
from _signal import SIGKILL
from time import perf_counter, sleep

from . import __builtins__, headroom, ledger, write
from .engine import Interrupted

SECONDS_MAX = 60
TICK_SECONDS = 0.01
LONG_INTERVAL = 1000.0
WCLONE = -0x80000000  # __WCLONE: children that tell nobody of their end; no other wait finds them
# Libraries whose devices write into memory past the system: a page that was copied for a twin would miss it.
DEVICES = (b"libcuda.so", b"libcudart", b"libibverbs", b"libamdhip64", b"/dev/nvidia")


class Lost(Exception):
    """The twin ended without a snapshot; says how."""


def refusal(walk):
    """Why a twin can't or must not be made of this process now, "" when it can."""
    if walk is None:
        return "it needs the C engine"
    found = ledger.system_figures()
    threads = found.get("threads", 0)
    if threads > 2:
        return "the program has %d threads, and what one of them holds locked stays so in the copy" % (threads - 1)
    maps = ledger.read_file("/proc/self/maps", 1 << 22)
    for name in DEVICES:
        if name in maps:
            return "the program uses %s, which a copy of the process can break" % name.decode()
    if found.get("rss_anonymous_bytes", 0) > headroom.limit_bytes():
        return "a copy of the process could take more than half of the memory that is left"
    return ""


def snapshot(engine, meta, path, stopped):
    """Write a deep snapshot of this moment to `path`; returns the twin's processor seconds.

    Raises Lost when the twin fails or does not end in time, Interrupted when `stopped` says yes, and OSError when there
    can be no further process.
    """
    figures, begun = engine.figures(), perf_counter()
    pid = engine.native.twin(sys.setswitchinterval, sys.getswitchinterval(), LONG_INTERVAL, SECONDS_MAX)
    if pid == 0:
        be_twin(engine, meta, path, dict(figures, pause_ms=round((perf_counter() - begun) * 1e3, 3)))
    return wait(pid, stopped)


def be_twin(engine, meta, path, figures):
    """The twin's life; `figures` are of the program, and not of its copy."""
    status = 1
    try:
        meta, strings, columns = engine.snapshot(True, meta)
        write.write_whole(path, write.pieces(dict(meta, **figures), strings, columns))
        status = 0
    finally:
        engine.native.leave(status)


def wait(pid, stopped):
    """Reap the twin, which ends by itself, by its alarm at the latest."""
    while True:
        ended, status, usage = os.wait4(pid, WCLONE | os.WNOHANG)
        if ended:
            break
        if stopped():
            os.kill(pid, SIGKILL)
            os.wait4(pid, WCLONE)
            raise Interrupted
        sleep(TICK_SECONDS)
    if status:
        raise Lost("an earlier copy of the process %s" % how(status))
    return usage.ru_utime + usage.ru_stime


def how(status):
    if os.WIFSIGNALED(status):
        return "was ended by signal %d" % os.WTERMSIG(status)
    return "failed with status %d" % os.WEXITSTATUS(status)
