"""Errors that leakhunt tells a person about: what happened, why it usually does, what to type next."""

from __future__ import annotations


class LeakhuntError(Exception):
    """Root of every error that the command line prints as one plain sentence.

    `exit_code` is what the command line exits with: 2 for wrong use, 3 for "could not do it".
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(LeakhuntError):
    """The words of the call are wrong; another call will do."""

    exit_code = 2


class SnapshotError(LeakhuntError):
    """A `.leak` file cannot be read: missing, cut short, of another program or of a newer leakhunt."""


class RunError(LeakhuntError):
    """A run folder cannot be made, read or continued."""


class AttachError(LeakhuntError):
    """A process cannot be reached, and nothing in it was touched."""
