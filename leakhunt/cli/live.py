"""`leakhunt live`: what grows in a program, while it grows."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from leakhunt.asking import Asking
from leakhunt.attach import procfs
from leakhunt.attach.attachment import MeasuredAlready
from leakhunt.attach.process_tree import ProcessTree
from leakhunt.cli.measuring import begin_family, detached_in_the_end, entered, say_notes
from leakhunt.cli.options import BIRTHS, BUDGET, DEEP, ENGINE, METHOD, NO_CHILDREN, PAUSE, interval
from leakhunt.cli.output import say, verbosity
from leakhunt.cli.reporting import short
from leakhunt.command import AgentOptions
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.runfolder import create, finish

_LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(epilog="Example:  leakhunt live 4711 --interval 1")
@click.argument("target", metavar="PID|RUN")
@interval(2.0)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="With PID: keep what is seen, as a run folder."
)
@DEEP
@BUDGET
@PAUSE
@BIRTHS
@ENGINE
@NO_CHILDREN
@METHOD
@verbosity
def live(
    target: str,
    interval: float,
    out: Path | None,
    deep: str,
    budget: float,
    pause: float,
    births: str,
    engine: str,
    no_children: bool,
    method: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Show on the terminal what grows: classes, the containers that hold them, and memory.

    PID is a running process; nothing needs to be installed in it, and it is left as it was when you quit. RUN
    is a run folder, finished or still being written by `leakhunt run` elsewhere. A folder whose name is a number is
    ./NUMBER.

    The key m sets a mark to compare with, b counts bytes instead of objects, Enter shows what keeps the selected class
    or container alive, and q quits.
    """
    _check_terminal(target)
    if not target.isdecimal():
        _view(Path(target))
        return
    if not int(target):
        raise UsageError("0 is not a process.", "`ps` lists those that there are.")
    options = AgentOptions(interval, deep, "never", budget, not no_children, engine=engine, pause=pause, births=births)
    try:
        _measure(int(target), options, out, method, quiet, verbose)
    except MeasuredAlready as problem:
        folder = Path(problem.run_folder)
        if out is not None or not folder.is_dir():
            raise
        _view(folder, pid=int(target))


def _check_terminal(target: str) -> None:
    """
    Raises:
        UsageError: there is nobody to see the view.
    """
    if not all(os.isatty(number) for number in (0, 1, 2)) or os.environ.get("TERM") == "dumb":
        instead = f"`leakhunt attach {target}`" if target.isdecimal() else f"`leakhunt report {target}`"
        raise UsageError("`leakhunt live` needs a terminal.", f"Use {instead} here.")


def _measure(pid: int, options: AgentOptions, out: Path | None, method: str | None, quiet: bool, verbose: bool) -> None:
    """Attach, view, detach; what was seen is kept where `out` says so."""
    with tempfile.TemporaryDirectory(prefix="leakhunt-live-") as temporary:
        kept = out if out is not None else Path(temporary, "run")
        folder = create(kept, procfs.command(pid), dataclasses.asdict(options))
        attachment, family = begin_family(pid, folder, options, method)
        if verbose:
            say(entered(attachment, pid, folder))
        asking = Asking(folder, options.births != "never")
        with detached_in_the_end(family, quiet), contextlib.closing(asking):
            _view(folder, lambda: _fetch(family, asking))
        say_notes(family, quiet)
        if out is not None:
            finish(folder, None)
            if not quiet:
                say(f"`leakhunt report {short(folder)}` tells what was seen.")


def _fetch(family: ProcessTree, asking: Asking) -> bool:
    """Bring what is new; whether the process has ended. After that its pid may be another's."""
    asking.look()
    if not family.is_over:
        family.fetch()
    return family.is_over


def _view(folder: Path, fetch: Callable[[], bool] = lambda: False, pid: int = 0) -> None:
    """Show a run folder until the user quits.

    Raises:
        LeakhuntError: the folder is no run, or the view broke.
    """
    from leakhunt.tui.app import LiveView
    from leakhunt.tui.follow import WatchedRun

    view = LiveView(WatchedRun(folder), fetch, pid)
    if os.environ.get("LEAKHUNT_DEBUG") != "1":
        view.error_console.quiet = True  # textual would print a traceback
    with _leaving_by_signal(view.leave):
        view.run()
    if view.problem is not None:
        raise view.problem
    if view.return_code:
        raise LeakhuntError(
            "The view crashed, which is a bug in leakhunt.", "LEAKHUNT_DEBUG=1 shows where; please report it."
        )


@contextlib.contextmanager
def _leaving_by_signal(leave: Callable[[], None]) -> Iterator[None]:
    """Signals that end a program quit the view, so that the terminal is given back as it was."""
    previous = {number: signal.signal(number, lambda *_: leave()) for number in _LEAVING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
