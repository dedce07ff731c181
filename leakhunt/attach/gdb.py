"""By gdb, only when asked for by name: less safe than the other ways, for machines on which they are not known to work.

gdb stops all threads wherever they are and has one of them queue a pending call, which the main thread makes when it
next looks. It may stop a thread inside a lock; tools that attach like this crashed 12 of 339 hostile targets.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

from leakhunt.errors import AttachError

from . import procfs, refusals
from .refusals import LeftBehind, Reason
from .request import Answer, Request
from .stage import Stage
from .target import Target

_PAGE_BYTES = 4096
_GDB_SECONDS = 60.0
_QUEUED = "leakhunt-queued 0"


class Gdb:
    name = "gdb"
    description = "has gdb queue a call for the main thread (last resort, may hurt the target)"

    def why_not(self, pid: int) -> Reason | None:
        if shutil.which("gdb") is None:
            return Reason("gdb is not installed.", "`apt-get install gdb`, or use another way.")
        if reason := refusals.first_reason(Target(pid), refusals.LIVING_PYTHON):
            return reason
        if not procfs.is_same_root(pid):
            return Reason("gdb would take our files for those of the other root.", "Use another way.")
        return None

    def inject(self, pid: int, request: Request) -> Answer:
        """Raises AttachError when gdb could do nothing, LeftBehind when the main thread never looked."""
        target = Target(pid)
        with Stage(target, request) as stage, tempfile.NamedTemporaryFile(prefix="leakhunt-") as call:
            call.write(stage.call.encode("utf-8", "surrogateescape") + b"\0")
            call.flush()
            self._queue(pid, call.name)
            answer = stage.wait(request.patience_seconds)
        if answer is None:
            raise LeftBehind(f"The main thread of process {pid} is blocked in C code, and did not make gdb's call.")
        return Answer(answer.word, answer.detail, self.name)

    def _queue(self, pid: int, file: str) -> None:
        command = ["gdb", "-nx", "-batch", "-p", str(pid)]
        for line in _script(file):
            command += ["-ex", line]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                text=True,
                timeout=_GDB_SECONDS,
                env=_plain(),
            )
        except subprocess.TimeoutExpired:
            raise LeftBehind(f"gdb did not come back from process {pid} in {_GDB_SECONDS:g} s.") from None
        if _QUEUED not in done.stdout:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise AttachError(f"gdb could not call into process {pid}: it said {said!r}.")


def _script(file: str) -> list[str]:
    mmap = "((long (*)(long, long, int, int, int, long)) mmap)"
    queue = "((int (*)(void *, void *)) Py_AddPendingCall)"
    return [
        "set confirm off",
        "handle all nostop noprint pass",
        f"set $page = {mmap}(0, {_PAGE_BYTES}, 3, 0x22, -1, 0)",
        f"restore {file} binary $page",
        f'printf "leakhunt-queued %d\\n", {queue}((void *) PyRun_SimpleString, (void *) $page)',
        "detach",
    ]


def _plain() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBUGINFOD_URLS": ""}
