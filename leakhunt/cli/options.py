"""Options that commands share: what the agent is told, and how a running process is entered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from leakhunt.retention import DEFAULT_LIMIT_BYTES, parse_size

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _deep(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value in ("auto", "never", "every"):
        return value
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise click.BadParameter(f"{value!r} is not auto, never, every or a number of seconds.")
    return f"{seconds:g}"


def _size(context: click.Context, parameter: click.Parameter, value: str) -> int:
    try:
        return parse_size(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a size; type one as 500M or 2G.") from None


OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run folder; %t stands for the time, %p for leakhunt's pid. Default leakhunt-run-%t.",
)
SERVICE_FOLDER = Path("leakhunt-service")
MAX_DISK = click.option(
    "--max-disk",
    callback=_size,
    default=f"{DEFAULT_LIMIT_BYTES // 1_000_000}M",
    metavar="SIZE",
    show_default=True,
    help="Largest size of the run folder; the least informative snapshots are removed to stay within it.",
)
BUDGET = click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True, max=1),
    default=0.01,
    metavar="FRACTION",
    help="Largest share of the program's time that measuring may take (default 0.01).",
)
PAUSE = click.option(
    "--pause",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    metavar="SECONDS",
    help="Leave out the object graph where recording it would stop the program for longer (default 2).",
)
FORK_SNAPSHOT = click.option(
    "--fork-snapshot",
    is_flag=True,
    help="Record the object graph in a copy of the process, which may take twice its memory (default: in the process).",
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(["auto", "c", "python"]),
    default="auto",
    help="What walks the heap (default auto: C where it fits, else Python).",
)


def _births(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value in ("auto", "never"):
        return value
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise click.BadParameter(f"{value!r} is not auto, never or a number of seconds.")
    return f"{seconds:g}"


BIRTHS = click.option(
    "--births",
    callback=_births,
    default="auto",
    metavar="auto|never|SECONDS",
    help="See who makes and who keeps what is suspected: by what costs nothing (default auto), or with tracemalloc for "
    "SECONDS where nothing else sees it.",
)
SECONDS = click.FloatRange(min=0, min_open=True, max=86400 * 365)
DEEP = click.option(
    "--deep",
    callback=_deep,
    default="auto",
    metavar="auto|SECONDS|never|every",
    help="When to record the whole object graph (default auto: more and more rarely, as far as --budget allows).",
)
HTML = click.option("--html", metavar="FILE", help="Also write the report as one HTML page.")
NO_CHILDREN = click.option(
    "--no-children", is_flag=True, help="Ignore the processes that it has started or will start."
)
METHOD = click.option(
    "--method",
    type=click.Choice(["prearmed", "pep768", "ptrace", "gdb"]),
    help="Attach in this way only (default: the first one that works).",
)


def sending(command: Decorated) -> Decorated:
    """The options of a fleet, as the parameters `to`, `service_name` and `release`."""
    to = click.option(
        "--to",
        metavar="PLACE",
        help="Put what was found there in the end, for `leakhunt fleet`: a path, s3://…, gs://…",
    )
    name = click.option(
        "--service-name", metavar="NAME", help="What to call it there (default: OTEL_SERVICE_NAME, or the program)."
    )
    release = click.option("--release", metavar="VERSION", help="Its release there (default: OTEL's service.version).")
    return to(name(release(command)))


def interval(default: float) -> Callable[[Decorated], Decorated]:
    """The option --interval, with the command's own default."""
    return click.option(
        "--interval",
        type=SECONDS,
        default=default,
        metavar="SECONDS",
        help=f"Count the objects of each class this often (default {default:g}).",
    )


def monitoring(command: Decorated) -> Decorated:
    """The options of the monitor, as the parameters `metrics`, `otel`, `on_leak`, `log` and `service`."""
    metrics = click.option(
        "--metrics",
        metavar="[HOST:]PORT",
        help="Serve metrics to Prometheus during the run, by default to this machine only.",
    )
    otel = click.option(
        "--otel", is_flag=True, help="Send metrics by OpenTelemetry during the run, as set by the OTEL_* variables."
    )
    on_leak = click.option(
        "--on-leak", metavar="COMMAND", help="Shell command to run once for each leak found, with its JSON on stdin."
    )
    log = click.option(
        "--log",
        type=click.Choice(["plain", "json"]),
        help="Tell of leaks on stderr while the program runs, a line for each, and again when it changes.",
    )
    service = click.option(
        "--service",
        is_flag=True,
        help="For what runs for weeks: --out DIR (default leakhunt-service) gets a run folder for each start, "
        "--max-disk holds for all of them, --log is on, and no analysis delays the end.",
    )
    return metrics(otel(on_leak(log(service(command)))))
