"""What stands on the screen at one moment, as plain text: made from a watched run, shown by the app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leakhunt.render import units, words
from leakhunt.render.series import spark

from .follow import WatchedProcess, WatchedRun
from .history import History, Moment
from .rows import SPARK_POINTS, Row, growing_classes, growing_holders

SILENT_SECONDS, SILENT_INTERVALS = 30.0, 6.0  # after this long without a snapshot it is worth a word
NAME_MAX, COMMAND_MAX = 32, 70


@dataclass(frozen=True)
class Choice:
    """What the person at the keys chose: which process, by its place in the run, and the unit of the classes."""

    process: int = 0
    in_bytes: bool = False


@dataclass(frozen=True)
class Scene:
    """Lines above the tables, and the rows of both."""

    lines: tuple[str, ...]
    classes: tuple[Row, ...] = ()
    holders: tuple[Row, ...] = ()
    minutes: float = 0.0  # that `Row.rank` looks back
    in_bytes: bool = False

    def cells(self, row: Row) -> tuple[str, ...]:
        """The row as the tables show it: name, curve, now, since start, since mark, per minute."""
        write = units.size if self.in_bytes and not row.address else units.count
        recent = row.since_start if row.since_mark is None else row.since_mark
        return (
            _name(row),
            spark(row.series, SPARK_POINTS),
            write(row.now),
            units.plus(write(row.since_start)),
            "" if row.since_mark is None else units.plus(write(row.since_mark)),
            units.plus(write(recent / self.minutes)) if self.minutes else "",
        )


def _name(row: Row) -> str:
    if row.name and not row.address:
        return words.short_type(row.name, NAME_MAX)
    return words.short_type(row.name or f"a {row.type.rpartition('.')[2]} without a name yet", NAME_MAX)


def scene(run: WatchedRun, choice: Choice, now: float, is_over: bool = False) -> Scene:
    """The screen for one process of the run.

    Args:
        now: seconds since the epoch.
        is_over: whether the program is known to have ended, whatever the run folder says.
    """
    is_over = is_over or run.is_over
    lines = _lines(run, choice, now, is_over)
    if not run.processes or not run.process(choice.process).history.moments:
        return Scene(lines, in_bytes=choice.in_bytes)
    process = run.process(choice.process)
    history = process.history
    return Scene(
        lines,
        tuple(growing_classes(history, choice.in_bytes)),
        tuple(growing_holders(history, process.owner)),
        (history.last.seconds - (history.mark or history.first).seconds) / 60,
        choice.in_bytes,
    )


def _lines(run: WatchedRun, choice: Choice, now: float, is_over: bool) -> tuple[str, ...]:
    problem = [words.sentence(run.problem)] if run.problem else []
    if not run.processes:
        waiting = "The run has ended" if is_over else "Waiting for the first snapshot"
        return words.printable(str(run.folder.path)), f"{waiting}: no Python process reported in.", *problem
    process = run.process(choice.process)
    state = _state(run, process, now, is_over)
    return _title(run, process, choice), *_memory(process.history), state, *_problems(process), *problem


def _title(run: WatchedRun, process: WatchedProcess, choice: Choice) -> str:
    number = choice.process % len(run.processes) + 1
    which = f" ({number} of {len(run.processes)})" if len(run.processes) > 1 else ""
    return f"process {process.folder.pid}{which}  {words.name(process.folder.command, COMMAND_MAX)}"


def _rss_bytes(moment: Moment) -> int:
    return moment.rss_bytes


def _objects(moment: Moment) -> int:
    return int(moment.counts.sum())


def _memory(history: History) -> Iterator[str]:
    """RSS and objects, now and since when."""
    if not history.moments:
        return
    curve = spark([moment.rss_bytes for moment in history.spread(SPARK_POINTS)], SPARK_POINTS)
    yield f"RSS {units.size(history.last.rss_bytes)}{_since(history, _rss_bytes, units.size)}  {curve}"
    yield f"{units.plural(_objects(history.last), 'object')} under gc{_since(history, _objects, units.count)}"


def _since(history: History, figure: Callable[[Moment], int], write: units.Write) -> str:
    now = figure(history.last)
    parts = [f"{units.plus(write(now - figure(history.first)))} since start"]
    if history.mark is not None:
        parts.append(f"{units.plus(write(now - figure(history.mark)))} since mark")
    return "  " + ", ".join(parts)


def _state(run: WatchedRun, process: WatchedProcess, now: float, is_over: bool) -> str:
    history, ago = process.history, now - process.newest_time
    if not history.moments:
        return "It ended before its first snapshot." if is_over else "Waiting for its first snapshot."
    parts = [f"{units.plural(len(process.folder.snapshots), 'snapshot')} in {units.duration(history.last.seconds)}"]
    if history.mark is not None:
        parts.append(f"mark set at {units.duration(history.mark.seconds)}")
    if is_over or history.is_over:
        status = run.folder.info.get("exit_status")
        parts.append("the program has ended" + (f" with status {status}" if status is not None else ""))
    elif ago > max(SILENT_SECONDS, SILENT_INTERVALS * process.interval):
        parts.append(f"nothing new for {units.duration(ago)}: it is paused, or was killed")
    else:
        parts.append(f"the last {units.duration(round(ago))} ago" if ago >= 1 else "the last just now")
    return " · ".join(parts)


def _problems(process: WatchedProcess) -> Iterator[str]:
    if process.folder.problems:
        yield f"The agent reports: {words.sentence(process.folder.problems)}."
    if process.problem_by_file:
        unread = units.plural(len(process.problem_by_file), "snapshot")
        yield f"{unread} left out: {words.sentence(next(iter(process.problem_by_file.values())))}"
