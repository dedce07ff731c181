"""What all commands share: where output goes, whether it may be coloured, and how progress is shown."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from leakhunt.errors import LeakhuntError, UsageError

Progress = Callable[[str, float], None]
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

DEFAULT_WIDTH = 100


def verbosity(command: Decorated) -> Decorated:
    """The options -q and -v of every command, as the parameters `quiet` and `verbose` of those that have them."""
    taken = inspect.signature(command).parameters
    quiet = click.option(
        "-q", "--quiet", is_flag=True, expose_value="quiet" in taken, help="Print nothing but the result."
    )
    verbose = click.option(
        "-v", "--verbose", is_flag=True, expose_value="verbose" in taken, help="Also print what is being done."
    )
    return quiet(verbose(command))


def output_option(command: Decorated) -> Decorated:
    """The option -o, as the parameter `output`."""
    option = click.option(
        "-o", "--output", metavar="FILE", callback=_writable, help="Write to FILE (default, or -: stdout)."
    )
    return option(command)


def _writable(context: click.Context, parameter: click.Parameter, output: str | None) -> str | None:
    """Refuse before the work what would fail after it."""
    if output not in (None, "-"):
        check_writable(str(output), "-o")
    return output


def check_writable(path: str, option: str) -> None:
    """Look, without touching it, whether a file can be written there.

    Raises:
        UsageError: the path is a directory, or is in none that may be written.
    """
    parent = os.path.dirname(os.path.abspath(path))
    target = path if os.path.exists(path) else parent
    if os.path.isdir(path) or not os.path.isdir(parent) or not os.access(target, os.W_OK):
        raise UsageError(f"{option} {path} cannot be written.", "Name a file in a directory that exists and is yours.")


def say(message: str) -> None:
    """One line of leakhunt's own on stderr; never fails, and what a target had in it does not steer the terminal."""
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in message)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"leakhunt: {shown}\n")
        sys.stderr.flush()


@contextlib.contextmanager
def told(what: str, verbose: bool) -> Iterator[None]:
    """With -v, say what was done and how long it took."""
    begun = time.monotonic()
    yield
    if verbose:
        say(f"{what} in {time.monotonic() - begun:.1f} s")


def wants_color(stream: TextIO) -> bool:
    """Colour is for terminals whose user did not refuse it (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int:
    """Columns of the terminal, or a readable default."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def page(stream: TextIO | None) -> dict[str, Any]:
    """The `color`, `width` and `encoding` that text renderers take; None stands for a file."""
    if stream is None:
        return {"color": False, "width": DEFAULT_WIDTH, "encoding": "utf-8"}
    return {"color": wants_color(stream), "width": width_of(stream), "encoding": stream.encoding}


def page_of(output: str | None) -> dict[str, Any]:
    """As `page`, for what -o says."""
    return page(sys.stdout if output in (None, "-") else None)


def pick_format(explicit: str | None, output: str | None, choices: Sequence[str], default: str) -> str:
    """The format that was named, or that the output's suffix tells, or the default."""
    if explicit is not None:
        name = explicit.lower()
    elif output is not None and Path(output).suffix:
        name = Path(output).suffix[1:].lower()
    else:
        return default
    name = {"txt": "text", "htm": "html"}.get(name, name)
    if name not in choices:
        raise UsageError(f"This command has no format {name!r}.", f"Choose one of: {', '.join(choices)}.")
    return name


def emit(data: str | bytes, output: str | None) -> None:
    """Write a result to the file, or to stdout.

    Raises:
        UsageError: it is binary and stdout is a terminal.
        LeakhuntError: the file cannot be written.
    """
    if output is None or output == "-":
        _to_stdout(data)
        return
    path = Path(output)
    try:
        path.write_bytes(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
    except OSError as error:
        if path.is_file() and not isinstance(error, PermissionError):
            path.unlink(missing_ok=True)  # half a picture is worse than none
        raise LeakhuntError(f"{output} cannot be written: {error.strerror}.", "Try another place.") from error


def _to_stdout(data: str | bytes) -> None:
    if isinstance(data, str):
        text = data if data.endswith("\n") else data + "\n"
        data = text.encode(sys.stdout.encoding, "backslashreplace")
    elif sys.stdout.isatty() and b"\0" in data:
        raise UsageError("A picture cannot be shown on a terminal.", "Name a file with -o, or pipe it somewhere.")
    with contextlib.suppress(OSError):  # the flush fails again, and knows what to do
        sys.stdout.buffer.write(data)
    flush_stdout()


def flush_stdout() -> None:
    """Bring the output to its reader, or give it up for good: Python would complain once more when it exits.

    Raises:
        BrokenPipeError: nobody reads any more.
        LeakhuntError: it cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise LeakhuntError(f"The output cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress | None]:
    """A bar on stderr while something long goes on; None where stderr is no terminal or nobody wants it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True, no_color=not wants_color(sys.stderr))
    columns = TextColumn("{task.description}"), BarColumn(bar_width=30), TaskProgressColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)
