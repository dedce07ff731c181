"""The one folder that a server reads: a path that leads out of it, by dots or by a link, is refused."""

from __future__ import annotations

import os
from pathlib import Path

from leakhunt.errors import UsageError
from leakhunt.runfolder import DESCRIPTION

RUNS_MAX = 200
DEPTH_MAX = 4


class Folder:
    """A folder, with all links on the way to it resolved once.

    Raises:
        UsageError: it is no directory.
    """

    def __init__(self, path: str | Path) -> None:
        self.root = Path(os.path.realpath(path))
        if not self.root.is_dir():
            raise UsageError(f"{path} is no directory.", "Name the folder in which the runs are.")

    def inside(self, name: str) -> Path:
        """The path of a run or snapshot that a client names.

        The links of a name are resolved before it is looked at, so that none leads out; what is found is below the
        folder or is the folder itself.

        Raises:
            UsageError: it is outside of the folder, or there is no such file.
        """
        refusal = UsageError(f"There is no run or snapshot {name[:200]!r} here.", "`runs` lists them.")
        if not name or "\0" in name or len(name) > 4096:
            raise refusal
        try:
            found = Path(os.path.realpath(self.root / name))
        except (OSError, ValueError):
            raise refusal from None
        if found != self.root and self.root not in found.parents:
            raise refusal
        if not (found.is_dir() or found.is_file()):
            raise refusal
        self._check_links(found)
        return found

    def runs(self) -> list[str]:
        """The run folders below, as a client names them, the newest first."""
        found: list[tuple[float, str]] = []
        for folder, folders, files in os.walk(self.root):
            depth = len(Path(folder).relative_to(self.root).parts)
            if DESCRIPTION in files:
                name = os.path.relpath(folder, self.root)
                found.append((os.stat(folder).st_mtime, name))
                folders.clear()
            elif depth >= DEPTH_MAX:
                folders.clear()
        return [name for _, name in sorted(found, reverse=True)[:RUNS_MAX]]

    def _check_links(self, found: Path) -> None:
        """What is inside a run must not lead out of the folder either: its files are read by their names.

        Raises:
            UsageError: a link inside of it does.
        """
        if found.is_file():
            return
        for folder, folders, files in os.walk(found):
            for name in [*folders, *files]:
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    real = Path(os.path.realpath(path))
                    if self.root not in real.parents:
                        raise UsageError("A link in this run leads out of the folder.", "Remove it.")
