"""What `run` and `attach` do for --metrics, --otel, --on-leak, --log and --service: a monitor beside the program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.cli.output import say
from leakhunt.errors import LeakhuntError

if TYPE_CHECKING:
    from leakhunt.findings import Findings
    from leakhunt.monitor.beside import Monitor


class Monitored:
    """The monitor of a run, where one is wished for; all else does nothing then. Falsy without one.

    Raises:
        UsageError: as `Monitor`.
    """

    def __init__(
        self,
        metrics: str | None,
        otel: bool,
        on_leak: str | None,
        quiet: bool,
        log: str | None = None,
        service_bytes: int = 0,
    ) -> None:
        """`service_bytes` is the limit on disk of a service's folder, 0 for a run that is none of a service."""
        self._monitor: Monitor | None = None
        self._quiet, self._is_service = quiet, bool(service_bytes)
        self._report: str | None = None
        if service_bytes:
            log = log or "plain"
        if metrics or otel or on_leak or log:
            from leakhunt.monitor.beside import Monitor, Wishes

            self._monitor = Monitor(Wishes(metrics, otel, on_leak, log, service_bytes))

    def __bool__(self) -> bool:
        return self._monitor is not None

    def start(self, folder: Path) -> None:
        """Begin; the program runs whether this succeeds or not."""
        if self._monitor is None:
            return
        if self._monitor.address and not self._quiet:
            say(f"figures are at {self._monitor.address}")
        try:
            self._monitor.start(folder)
        except LeakhuntError as problem:
            say(str(problem))

    def keep(self, findings: Findings) -> None:
        """The final report, which the monitor is told at its end."""
        self._report = findings.to_json(indent=None)

    def end(self, in_haste: bool = False) -> None:
        """Let the monitor tell what is left, where there is time for that; Ctrl-C ends it at once."""
        if self._monitor is None:
            return
        try:
            problem = self._monitor.end(self._report, in_haste and self._report is None, self._is_service)
        except KeyboardInterrupt:
            self._monitor.abandon()
            return
        if problem and not self._quiet:
            say(problem)

    def leave(self) -> None:
        """Let the monitor go on with the daemons that the program left behind."""
        if self._monitor is not None:
            self._monitor.leave()

    def abandon(self) -> None:
        if self._monitor is not None:
            self._monitor.abandon()
