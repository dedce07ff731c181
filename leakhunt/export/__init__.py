"""A heap or a run in the formats of other tools: one module for each, and here how a file's name tells the format."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from leakhunt.errors import LeakhuntError, UsageError

# Suffix -> format; the first of a format is the one that help names.
SUFFIXES = {
    ".heapsnapshot": "heapsnapshot", ".parquet": "parquet", ".pb.gz": "pprof", ".pprof": "pprof", ".dot": "dot",
    ".gv": "dot", ".graphml": "graphml",
}  # fmt: skip
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))
OF_A_CLASS = ("dot", "graphml")


def format_of(explicit: str | None, output: str) -> str:
    """The format that was named, or that the file's name tells.

    Raises:
        UsageError: neither says one that there is.
    """
    hint = f"End the file's name in one of {', '.join(SUFFIXES)}, or give --format {'|'.join(FORMATS)}."
    if explicit is not None:
        if explicit.lower() not in FORMATS:
            raise UsageError(f"There is no export format {explicit!r}.", f"Choose one of: {', '.join(FORMATS)}.")
        return explicit.lower()
    name = output.rstrip("/").lower()
    for suffix, found in SUFFIXES.items():
        if name.endswith(suffix):
            return found
    raise UsageError(f"The name {output} does not say in which format to export.", hint)


def written_whole(write: Callable[[IO[bytes]], None], output: Path) -> None:
    """Let `write` fill a file beside `output`, which then takes its place: there is never half of it.

    Raises:
        LeakhuntError: it can't be written.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with open(temporary, "wb", buffering=1 << 20) as file:
            write(file)
        os.replace(temporary, output)
    except OSError as error:
        raise LeakhuntError(f"{output} cannot be written: {error.strerror}.", "Try another place.") from error
    finally:
        temporary.unlink(missing_ok=True)
