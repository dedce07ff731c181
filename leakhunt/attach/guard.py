"""A process that does what leakhunt would have done at its end, when leakhunt was killed before it came to that."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection

_DISMISSED = b"."


class Guard:
    """Does `work` once this process is gone, unless it was dismissed. It holds `descriptors` of ours, and no others."""

    def __init__(self, work: Callable[[], None], descriptors: Collection[int]) -> None:
        end, self._pipe = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            with contextlib.suppress(BaseException):
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # Ctrl-C reaches us, too
                _keep_only({end, *descriptors})
                if os.read(end, 1) != _DISMISSED:
                    work()
            os._exit(0)
        os.close(end)

    def dismiss(self) -> None:
        """Wait for its end."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, _DISMISSED)
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _keep_only(descriptors: Collection[int]) -> None:
    """Let go of all others: a pipe that somebody reads would not come to its end."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor not in descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
