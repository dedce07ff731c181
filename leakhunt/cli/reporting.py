"""What `run` and `attach` do with a run folder when the watching is over."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.cli.output import check_writable, emit, page, progress_bar, say, told
from leakhunt.command import AgentOptions
from leakhunt.errors import UsageError
from leakhunt.retention import Retention
from leakhunt.runfolder import note_removed, read_run
from leakhunt.starts import make_room

if TYPE_CHECKING:
    from leakhunt.findings import Findings, Tracks

_LINES_MAX = 3

NOBODY_REPORTED_IN = (
    "No Python process reported in, so there is nothing to analyse: most often the command is not Python, uses a "
    "Python before 3.8, or ended in its first moments (one started with -I, -E, -S or without its environment has to "
    "be attached to). Start the interpreter itself (`leakhunt run -- python app.py`), or reach the running program "
    "with `leakhunt attach PID`."
)


class Following:
    """What `run` does beside the program: keep the run folder within its limit, and attach to processes without agent.

    Called in a process of its own; `lines` are for the one that waited.
    """

    def __init__(
        self,
        folder: Path,
        options: AgentOptions,
        verbose: bool,
        retention: Retention,
        attaches: bool = True,
        is_service: bool = False,
    ) -> None:
        self._folder, self._options, self._verbose = folder, options, verbose
        self._retention, self._attaches, self._is_service = retention, attaches, is_service
        self._notes = os.memfd_create("leakhunt-notes")

    def __call__(self, program: int, over: int) -> None:
        if self._is_over(over, 0.25):  # most programs that are short are over before anything is loaded
            return
        if self._is_service:
            self._retention.limit_bytes = make_room(self._folder, self._retention.limit_bytes)
        self._look_after(program, over)
        note_removed(self._folder, self._retention.removed)

    def _look_after(self, program: int, over: int) -> None:
        from leakhunt.attach.process_tree import ProcessTree, Unarmed, nobody

        policy = Unarmed(self._folder, self._options.interval) if self._attaches else nobody
        children = self._options.children
        family = ProcessTree(program, self._folder, self._options.text(), policy, children, self._attaches)
        told = 0
        try:
            while not self._is_over(over, 0.25):
                family.fetch()
                self._retention.look()
                told = self._tell(family.notes, told)
        finally:
            family.end()

    def lines(self) -> list[str]:
        """What to say at the end; with -v it was said when it happened."""
        with open(self._notes, encoding="utf-8") as file:
            file.seek(0)
            lines = file.read().splitlines()
        if len(lines) <= _LINES_MAX or self._verbose:
            return [] if self._verbose else lines
        return [*lines[:_LINES_MAX], f"and so with {len(lines) - _LINES_MAX} processes more (-v names them)"]

    def _tell(self, notes: Sequence[object], told: int) -> int:
        """Say, or keep for the end, what was not told yet; how many were told by now."""
        for note in notes[told:]:
            if self._verbose:
                say(str(note))
            os.write(self._notes, f"{note}\n".encode("utf-8", "replace"))
        return len(notes)

    @staticmethod
    def _is_over(over: int, seconds: float) -> bool:
        return bool(select.select([over], [], [], seconds)[0])


def report_run(
    folder: Path,
    html: str | None,
    quiet: bool,
    verbose: bool = False,
    nobody: str = NOBODY_REPORTED_IN,
    also: Callable[[Findings], None] | None = None,
) -> bool:
    """Hunt, print the report on stderr, write the HTML page; True when there is a leak.

    `nobody` is what to say when there is no process in the folder; `also` is given the findings.
    """
    if not read_run(folder).processes:
        if not quiet:
            say(nobody)
        return False
    findings = analysed(folder, quiet, verbose)
    if not quiet:
        _print(findings)
        say(f"`leakhunt report {short(folder)}` shows this again.")
    if html is not None:
        from leakhunt.render import REGISTRY

        emit(REGISTRY["html"]().render(findings), html)
    if also is not None:
        also(findings)
    return bool(findings.verdict == "leak")


def analysed(folder: Path, quiet: bool, verbose: bool) -> Findings:
    """The findings of a run folder; a progress bar runs meanwhile where somebody watches."""
    from leakhunt.pipeline import hunt

    with told(f"analysed {short(folder)}", verbose), progress_bar(quiet) as progress:
        return hunt(short(folder), progress=progress)


def tracked(folder: Path, asked: str, quiet: bool, verbose: bool) -> Tracks:
    """What became of the candidates of a name in a run folder."""
    from leakhunt.pipeline import why

    with told(f"judged {short(folder)}", verbose), progress_bar(quiet) as progress:
        return why(short(folder), asked, progress=progress)


def check_report(html: str | None) -> None:
    """Refuse at the start what would fail at the end.

    Raises:
        UsageError: the page `html` cannot be written, or what the project says in `leakhunt.toml` can't be used.
    """
    from leakhunt.config import known_places

    known_places()
    if html is None:
        return
    if html == "-":
        raise UsageError("--html wants a file: stdout is the program's.")
    check_writable(html, "--html")


def short(folder: Path) -> str:
    """The folder as one would type it from here."""
    with contextlib.suppress(ValueError, OSError):
        return str(folder.relative_to(Path.cwd()))
    return str(folder)


def _print(findings: Findings) -> None:
    from leakhunt.render.text import Text

    text = Text(**page(sys.stderr)).render(findings)
    with contextlib.suppress(BrokenPipeError):  # nobody reads
        sys.stderr.write(text if text.endswith("\n") else text + "\n")
        sys.stderr.flush()
