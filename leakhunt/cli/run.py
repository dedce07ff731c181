"""`leakhunt run`: the program as it is, and a report of what it leaks when it ended."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from leakhunt.cli.following import Following, went_on
from leakhunt.cli.monitored import Monitored
from leakhunt.cli.options import (
    BIRTHS,
    BUDGET,
    DEEP,
    ENGINE,
    FORK_SNAPSHOT,
    HTML,
    MAX_DISK,
    OUT,
    PAUSE,
    SERVICE_FOLDER,
    interval,
    monitoring,
    sending,
)
from leakhunt.cli.output import say, verbosity
from leakhunt.cli.reporting import check_report, report_run, short
from leakhunt.cli.sending import Sending
from leakhunt.command import AgentOptions, find_program
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.launch import ExitStatus, end_like, launch
from leakhunt.retention import Retention
from leakhunt.runfolder import RunRemoved, create, discard, finish
from leakhunt.starts import forget_oldest

if TYPE_CHECKING:
    from leakhunt.findings import Findings


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="Example:  leakhunt run --interval 2 --out run1 -- python -m http.server",
)
@interval(5.0)
@OUT
@MAX_DISK
@DEEP
@click.option(
    "--collect",
    type=click.Choice(["never", "before-deep"]),
    default="never",
    help="Force a garbage collection (default never: it would hide cyclic garbage that waits).",
)
@BUDGET
@PAUSE
@FORK_SNAPSHOT
@BIRTHS
@ENGINE
@click.option("--no-children", is_flag=True, help="Measure only the first Python process, not those it starts.")
@click.option(
    "--no-attach", is_flag=True, help="Do not attach to interpreters that did not load the agent (-I, -E, -S)."
)
@click.option(
    "--exec",
    "exec_",
    is_flag=True,
    help="Become the program (exec); analyse later with `leakhunt report`.",
)
@click.option("--fail-on-leak", is_flag=True, help="Exit 1 if a leak was found and the program exited 0.")
@HTML
@monitoring
@sending
@click.option("--values", is_flag=True, help="Also store values of the program's data, not only names and sizes.")
@verbosity
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] CMD [ARGS]...")
def run(
    command: tuple[str, ...],
    out: Path | None,
    max_disk: int,
    html: str | None,
    exec_: bool,
    fail_on_leak: bool,
    no_children: bool,
    no_attach: bool,
    quiet: bool,
    verbose: bool,
    interval: float,
    deep: str,
    collect: str,
    budget: float,
    pause: float,
    fork_snapshot: bool,
    births: str,
    engine: str,
    values: bool,
    metrics: str | None,
    otel: bool,
    on_leak: str | None,
    log: str | None,
    service: bool,
    to: str | None,
    service_name: str | None,
    release: str | None,
) -> NoReturn:
    """Run a program and report what it leaks when it ends.

    Input, output, signals and the exit status are the program's own. The report goes to stderr and everything that was
    seen to the run folder. Killing leakhunt kills the program; a program killed at any moment leaves a run folder that
    `leakhunt report` reads. Told to end from outside (SIGTERM, as by systemd or a container), leakhunt ends with the
    program and leaves the analysis to `leakhunt report`, unless --html, --fail-on-leak or --to asks for it.
    """
    find_program(command[0])
    check_report(html)
    if html is not None and exec_:
        raise UsageError("--exec leaves no leakhunt behind to write --html.", "Use `leakhunt report --format html`.")
    if service and (fail_on_leak or html is not None):
        raise UsageError(
            "--service makes no report when the program ends, so --html and --fail-on-leak can't be kept.",
            "Leave them out; `leakhunt report DIR --html FILE` does it at any time.",
        )
    monitored = Monitored(metrics, otel, on_leak, quiet, log, max_disk if service else 0)
    to_fleet = Sending(to, service_name, release, quiet)
    if to_fleet and exec_:
        raise UsageError("--exec leaves no leakhunt behind to send anything.", "Use `leakhunt fleet add RUN PLACE`.")
    if monitored and exec_:
        raise UsageError("--exec leaves no leakhunt behind to tell of figures or leaks.", "Leave --exec out.")
    options = AgentOptions(
        interval, deep, collect, budget, not no_children, values, engine, pause, fork_snapshot, births
    )
    folder = create((out or SERVICE_FOLDER) if service else out, command, dataclasses.asdict(options), service)
    if service:
        forget_oldest(folder.parent)
    if verbose:
        say(f"the run folder is {folder}")
    following = Following(folder, options, verbose, Retention(folder, max_disk), not no_attach, service)
    monitored.start(folder)
    try:
        status = launch(command, folder, options, exec_, following)
    except UsageError:
        monitored.abandon()
        discard(folder)
        raise
    if not quiet:
        for line in following.lines():
            say(line)
    daemons = following.daemons()
    is_quiet = quiet or service or bool(daemons)
    leaks = _after(folder, status, html, is_quiet, verbose, fail_on_leak, monitored, to_fleet)
    if daemons and not quiet:
        say(went_on(daemons, short(folder)))
    elif service and not quiet:
        say(f"ended; `leakhunt report {short(folder)}` shows what was seen")
    if daemons:
        monitored.leave()
    else:
        monitored.end(in_haste=status.was_asked_to_end)
    end_like(ExitStatus(code=1) if leaks and fail_on_leak and status.number == 0 else status)


def _after(
    folder: Path,
    status: ExitStatus,
    html: str | None,
    quiet: bool,
    verbose: bool,
    wants_verdict: bool,
    monitored: Monitored,
    to_fleet: Sending,
) -> bool:
    """Close the run and report on it; True when it leaks. Nothing that fails here reaches the exit status."""
    try:
        _finish(folder, status, quiet)
        nobody_waits = html is None and not wants_verdict and not to_fleet
        if nobody_waits and status.was_asked_to_end and not quiet:
            say(f"stopped; `leakhunt report {short(folder)}` shows what was seen")
        if nobody_waits and (quiet or status.was_asked_to_end):
            return False

        def also(findings: Findings) -> None:
            monitored.keep(findings)
            to_fleet.send(findings, folder)

        return report_run(folder, html, quiet, verbose, also=also)
    except KeyboardInterrupt:
        problem = f"The analysis was interrupted. `leakhunt report {short(folder)}` does it again."
    except LeakhuntError as error:
        problem = str(error)
    except Exception as error:
        from leakhunt.cli.app import unexpected

        problem = unexpected(error)
    if not quiet:
        say(problem)
    return False


def _finish(folder: Path, status: ExitStatus, quiet: bool) -> None:
    try:
        finish(folder, status.number)
    except RunRemoved:
        raise
    except LeakhuntError as error:
        if not quiet:
            say(str(error))
