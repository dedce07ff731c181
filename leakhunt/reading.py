"""Opening files that somebody else may have put there: nothing is waited for, and nothing without an end is read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# Of a pipe, a terminal or a device the opening alone may hang, or change something.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_regular(path: str | Path) -> int:
    """A descriptor of a regular file. Raises OSError for anything else."""
    if not stat.S_ISREG(mode := os.stat(path).st_mode):
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(number, os.strerror(number) if number == errno.EISDIR else "it is not a regular file", str(path))
    return os.open(path, _FLAGS)


def read_regular(path: str | Path, limit_bytes: int) -> bytes:
    """A regular file's content. Raises OSError for anything else, a file beyond the limit included."""
    with open(open_regular(path), "rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data
