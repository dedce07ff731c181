"""What `attach`, `snapshot` and `live` share: a process is entered, and left as it was whatever happens."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leakhunt.attach.attachment import Attachment, begin
from leakhunt.attach.process_tree import ProcessTree, attach_all
from leakhunt.cli.output import say
from leakhunt.command import AgentOptions
from leakhunt.runfolder import discard


def begin_family(
    pid: int, folder: Path, options: AgentOptions, method: str | None = None
) -> tuple[Attachment, ProcessTree]:
    """Enter a process, to look after it and its descendants from now on; a run folder that stays empty is removed.

    Raises:
        AttachError: it can't be reached, or is being measured already.
    """
    try:
        attachment = begin(pid, folder, options.text(), method)
    except BaseException:
        discard(folder)
        raise
    family = ProcessTree(pid, folder, options.text(), attach_all, options.children)
    family.adopt(attachment)
    return attachment, family


def say_notes(family: ProcessTree, quiet: bool) -> None:
    """Which processes were attached to besides, or could not be."""
    for note in [] if quiet else family.notes:
        say(str(note))


def entered(attachment: Attachment, pid: int, folder: Path) -> str:
    """What -v says when a process was entered."""
    return f"attached to process {pid} ({how(attachment)}); the run folder is {folder}"


def how(attachment: Attachment) -> str:
    """By which way a process was entered, and how long a thread stood still for it."""
    answer = attachment.answer
    stopped = f", one thread stood still for {answer.pause_ms:.1f} ms" if answer.pause_ms else ""
    return f"by {answer.method}{stopped}"


@contextlib.contextmanager
def detached_in_the_end(measured: Attachment | ProcessTree, quiet: bool) -> Iterator[None]:
    """Whatever ends the block, Ctrl-C and SIGTERM included, the process is left as it was; a second one waits."""
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *previous})
        try:
            if (reason := measured.end()) and not quiet:
                say(reason)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
