"""IPython: `%load_ext leakhunt` gives `%%leakhunt`, which says what a cell left behind."""

from __future__ import annotations

from typing import Any

from leakhunt.display import Table
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.notebook import left_behind
from leakhunt.recorder import SnapshotRecorder


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext leakhunt`."""
    hunter = CellHunter(shell)
    shell.register_magic_function(hunter.cell, "cell", "leakhunt")
    shell.register_magic_function(hunter.line, "line", "leakhunt")


class CellHunter:
    """Runs cells between two snapshots."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def cell(self, line: str, cell: str) -> Table | None:
        """Run the cell and tell what it left behind, by holder; `%%leakhunt NAME` keeps the answer as NAME.

        What the cell binds to a variable counts: it is left behind, under that variable's name. So does the value of
        its last line, which IPython keeps as `Out` and `_`.
        """
        name = line.strip()
        if name and not name.isidentifier():
            raise UsageError(f"%%leakhunt takes one name for its answer, not {name!r}.", "%%leakhunt left")
        pins = SnapshotRecorder()
        try:
            pins.take(note="before the cell")
            answer = self._shell.run_cell(cell, store_history=False)
            succeeded = bool(answer.success)
            answer = None  # it holds what the cell's last line gave
            pins.take(note="after the cell")
            if not succeeded:
                return None
            first, last = pins.load()
        finally:
            pins.close()
        found = left_behind(first, last)
        if name:
            self._shell.user_ns[name] = found
            return None
        return found

    def line(self, line: str) -> Table | None:
        """`%leakhunt STATEMENT`: the same for one line."""
        if not line.strip():
            raise LeakhuntError(
                "%leakhunt takes a statement.", "%leakhunt client.get('/')   or %%leakhunt above a cell."
            )
        return self.cell("", line)
