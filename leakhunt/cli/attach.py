"""`leakhunt attach`, `snapshot`, `detach`: into a process that runs, and out again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leakhunt.asking import Asking
from leakhunt.attach import procfs
from leakhunt.attach.attachment import Attachment, begin
from leakhunt.attach.attachment import detach as detach_from
from leakhunt.attach.process_tree import ProcessTree
from leakhunt.attach.stage import STOP
from leakhunt.attach.target import Target
from leakhunt.cli.following import note_packages_of
from leakhunt.cli.measuring import begin_family, detached_in_the_end, entered, how, say_notes
from leakhunt.cli.monitored import Monitored
from leakhunt.cli.options import (
    BIRTHS,
    BUDGET,
    DEEP,
    ENGINE,
    FORK_SNAPSHOT,
    HTML,
    MAX_DISK,
    METHOD,
    NO_CHILDREN,
    OUT,
    PAUSE,
    SECONDS,
    SERVICE_FOLDER,
    interval,
    monitoring,
    sending,
)
from leakhunt.cli.output import say, verbosity
from leakhunt.cli.reporting import check_report, report_run
from leakhunt.cli.sending import Sending
from leakhunt.cli.thinking import Thinking
from leakhunt.command import AgentOptions
from leakhunt.errors import AttachError, UsageError
from leakhunt.retention import Retention
from leakhunt.runfolder import create, finish, note_removed
from leakhunt.starts import forget_oldest, make_room

if TYPE_CHECKING:
    from leakhunt.findings import Findings

_TICK_SECONDS = 0.1
_SNAPSHOT_SECONDS = 300.0
_FIRST_SNAPSHOT_SECONDS = 0.05
_PID = click.argument("pid", type=click.IntRange(min=1))


@click.command(epilog="Example:  leakhunt attach 4711 --duration 600 --interval 10")
@_PID
@click.option("--duration", type=SECONDS, metavar="SECONDS", help="Detach after this long (default: at Ctrl-C).")
@interval(5.0)
@OUT
@MAX_DISK
@DEEP
@BUDGET
@PAUSE
@FORK_SNAPSHOT
@BIRTHS
@ENGINE
@NO_CHILDREN
@METHOD
@click.option("--fail-on-leak", is_flag=True, help="Exit 1 if a leak was found.")
@HTML
@monitoring
@sending
@verbosity
def attach(
    pid: int,
    duration: float | None,
    interval: float,
    out: Path | None,
    max_disk: int,
    deep: str,
    budget: float,
    pause: float,
    fork_snapshot: bool,
    births: str,
    engine: str,
    no_children: bool,
    method: str | None,
    fail_on_leak: bool,
    html: str | None,
    metrics: str | None,
    otel: bool,
    on_leak: str | None,
    log: str | None,
    service: bool,
    to: str | None,
    service_name: str | None,
    release: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Measure a running process and report what it leaks.

    Nothing needs to be installed in it. It runs on as before when the time is up or Ctrl-C is pressed.
    """
    from leakhunt.config import known_places

    check_report(html)
    monitored = Monitored(metrics, otel, on_leak, quiet, log, max_disk if service else 0)
    to_fleet = Sending(to, service_name, release, quiet)
    options = AgentOptions(
        interval, deep, "never", budget, not no_children, engine=engine, pause=pause, fork_snapshot=fork_snapshot,
        births=births,
    )  # fmt: skip
    where = (out or SERVICE_FOLDER) if service else out
    folder = create(where, procfs.command(pid), dataclasses.asdict(options), service)
    attachment, family = begin_family(pid, folder, options, method)
    if verbose:
        say(entered(attachment, pid, folder))
    elif not quiet:
        say(f"measuring process {pid}; Ctrl-C ends it and shows the report")
    if service:
        forget_oldest(folder.parent)
    retention = Retention(folder, make_room(folder, max_disk) if service else max_disk)
    thinking = None if quiet or service or log else Thinking(folder, known_places())
    asking = Asking(folder, births != "never")
    with detached_in_the_end(family, quiet), contextlib.closing(asking):
        monitored.start(folder)
        _wait(family, duration, retention, thinking, asking)
    if thinking is not None:
        thinking.end()
    say_notes(family, quiet)
    note_packages_of(folder)
    note_removed(folder, retention.removed)
    finish(folder, None)

    def also(findings: Findings) -> None:
        monitored.keep(findings)
        to_fleet.send(findings, folder)

    try:
        leaks = report_run(folder, html, quiet or (service and html is None), also=also)
    finally:
        monitored.end()
    return 1 if leaks and fail_on_leak else 0


@click.command(epilog="Example:  leakhunt snapshot 4711 -o before.leak")
@_PID
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="S.leak", help="File to write.")
@METHOD
@verbosity
def snapshot(pid: int, output: Path, method: str | None, quiet: bool, verbose: bool) -> None:
    """Take one snapshot of a running process and leave it as it was."""
    if output.is_dir() or not os.access(output.absolute().parent, os.W_OK):
        raise UsageError(f"-o {output} cannot be written.", "Name a file in a directory that exists.")
    options = AgentOptions(_FIRST_SNAPSHOT_SECONDS, "every", "never", 1.0, False)
    with tempfile.TemporaryDirectory(prefix=".leakhunt-", dir=output.absolute().parent) as folder:
        attachment = begin(pid, Path(folder), options.text(), method)
        with detached_in_the_end(attachment, quiet):
            taken = _first_snapshot(attachment, Path(folder))
        if taken is None:
            raise AttachError(f"Process {pid} wrote no snapshot.", "Try `leakhunt attach` and see what it reports.")
        shutil.move(taken, output)
    if verbose:
        say(f"{output}: {output.stat().st_size:,} bytes ({how(attachment)})")


@click.command(epilog="Example:  leakhunt detach 4711")
@_PID
@verbosity
def detach(pid: int, quiet: bool, verbose: bool) -> None:
    """Remove an agent that `leakhunt attach` or `run` had to leave in a process."""
    answer = detach_from(pid)
    _end_watch(pid, Path(answer.detail))
    if quiet:
        return
    if answer.word == "absent":
        say(f"there is no agent in process {pid}")
    elif answer.word == "stopping":
        say(f"the agent in process {pid} stops when its last snapshot is written, into {answer.detail}")
    else:
        say(f"detached from process {pid}; `leakhunt report {answer.detail}` shows what was seen")


def _end_watch(pid: int, run: Path) -> None:
    """Tell whoever still looks after the process for this run (see following.py) that this is over."""
    for folder in run.glob(f"pid-{Target(pid).inner_pid}.*/"):
        with contextlib.suppress(OSError):
            (folder / STOP).touch(mode=0o600)


def _wait(
    family: ProcessTree,
    duration: float | None,
    retention: Retention,
    thinking: Thinking | None = None,
    asking: Asking | None = None,
) -> None:
    """Until the time is over or the process has ended, fetching snapshots meanwhile and keeping to the disk's limit."""
    deadline = None if duration is None else time.monotonic() + duration

    def is_over() -> bool:
        retention.look()
        if asking is not None:
            asking.look()
        if thinking is not None:
            thinking()
        return deadline is not None and time.monotonic() >= deadline

    _poll(family, is_over)


def _first_snapshot(attachment: Attachment, folder: Path) -> Path | None:
    deadline = time.monotonic() + _SNAPSHOT_SECONDS
    _poll(attachment, lambda: any(folder.glob("pid-*/*.leak")) or time.monotonic() > deadline)
    return min(folder.glob("pid-*/*.leak"), default=None)


def _poll(measured: Attachment | ProcessTree, is_enough: Callable[[], bool]) -> None:
    while not is_enough() and not measured.is_over:
        time.sleep(_TICK_SECONDS)
        measured.fetch()
