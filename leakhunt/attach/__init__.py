"""Ways into a running process, in order of preference, each of which says why not before it touches anything."""

from __future__ import annotations

from typing import Protocol

from leakhunt.errors import AttachError, UsageError

from . import refusals
from .gdb import Gdb
from .pep768 import Pep768
from .prearmed import Prearmed
from .refusals import LeftBehind, Reason, TargetGone
from .request import ARM, DISARM, Answer, Request
from .safe_ptrace import SafePtrace
from .target import Target

__all__ = [
    "ARM", "BY_NAME", "DISARM", "METHODS",
    "Answer", "Attach", "LeftBehind", "Reason", "Request", "TargetGone", "attach",
]  # fmt: skip


class Attach(Protocol):
    """A way into a process."""

    name: str
    description: str

    def why_not(self, pid: int) -> Reason | None:
        """Why this way is closed, as a sentence whose `remedy` says what would open it; None when it is open.

        Touches nothing.
        """

    def inject(self, pid: int, request: Request) -> Answer:
        """Have the request obeyed in the process.

        Raises:
            AttachError: it could not be done, and nothing is left in the process.
            LeftBehind: something may be left.
        """


METHODS: tuple[Attach, ...] = (Prearmed(), Pep768(), SafePtrace())
BY_NAME: dict[str, Attach] = {method.name: method for method in (*METHODS, Gdb())}


def attach(pid: int, request: Request, method: str | None = None) -> Answer:
    """Have a request obeyed by the first way that is open, or by the one that is named.

    The next way is tried only if the last left nothing behind.

    Raises:
        UsageError: there is no such method.
        AttachError: no way is open; the sentence is the last one's reason.
    """
    if method is not None and method not in BY_NAME:
        raise UsageError(f"There is no method {method!r}.", f"Choose one of: {', '.join(BY_NAME)}.")
    if reason := refusals.first_reason(Target(pid), (refusals.is_alive, refusals.is_going_on)):
        raise reason.error()
    error = AttachError(f"Process {pid} can't be reached.")
    for way in METHODS if method is None else (BY_NAME[method],):
        if reason := way.why_not(pid):
            error = reason.error()
            continue
        try:
            return way.inject(pid, request)
        except (LeftBehind, TargetGone):
            raise
        except AttachError as problem:
            error = problem
    raise error
