"""What `run` and `attach` do for --to: the findings go to the place of a fleet when the run is over."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.cli.output import say
from leakhunt.errors import LeakhuntError, UsageError

if TYPE_CHECKING:
    from leakhunt.findings import Findings


class Sending:
    """Where to send, where that is wished for; all else does nothing then. Falsy without a place.

    What is needed is looked for at the start, but nothing is connected: a program is forked from here first, and a
    library that talks to a store has threads.

    Raises:
        UsageError: there is no such kind of place, or what it needs is not installed.
    """

    def __init__(self, to: str | None, service_name: str | None, release: str | None, quiet: bool) -> None:
        self._to, self._service, self._release, self._quiet = to, service_name, release, quiet
        self.is_sent = False
        if to is None and (service_name or release):
            raise UsageError("--service-name and --release are for --to.", "Add --to PLACE.")
        if to is not None:
            _check(to)

    def __bool__(self) -> bool:
        return self._to is not None

    def send(self, findings: Findings, folder: Path) -> None:
        """Write what was found; what the place refuses is said, and fails nothing."""
        if self._to is None:
            return
        from leakhunt.fleet.ending import put
        from leakhunt.fleet.place import Place

        try:
            count = put(findings, folder, Place(self._to), self._service, self._release)
        except LeakhuntError as problem:
            say(f"{problem} `leakhunt fleet add {folder} {self._to}` tries again.")
            return
        if not self._quiet:
            say(f"{count:,} bytes are at {self._to}; `leakhunt fleet {self._to}` shows the fleet.")


def _check(to: str) -> None:
    for module in ("fsspec", "pyarrow"):
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"--to needs {module}, which is not installed.", "Type: pip install 'leakhunt[fleet]'")
    from fsspec.registry import known_implementations, registry

    protocol, is_url, _ = to.partition("://")
    if not is_url:
        return
    known = known_implementations.get(protocol)
    if known is None and protocol not in registry:
        raise UsageError(f"There is no place of the kind {protocol}://.", "Name s3://…, gs://…, file://… or a path.")
    if known is not None and importlib.util.find_spec(str(known["class"]).partition(".")[0]) is None:
        raise UsageError(f"--to {protocol}:// needs more: {known.get('err', 'a package that is not installed')}.")
