"""What `run` and `attach` do with a run folder when the watching is over."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.cli.output import check_writable, emit, page, progress_bar, say, told
from leakhunt.errors import UsageError
from leakhunt.runfolder import read_run

if TYPE_CHECKING:
    from leakhunt.findings import Findings, Tracks

NOBODY_REPORTED_IN = (
    "No Python process reported in, so there is nothing to analyse: most often the command is not Python, uses a "
    "Python before 3.8, or ended in its first moments (one started with -I, -E, -S or without its environment has to "
    "be attached to). Start the interpreter itself (`leakhunt run -- python app.py`), or reach the running program "
    "with `leakhunt attach PID`."
)


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
