"""`leakhunt bisect`: which release, or which commit, brought a leak or fixed it."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, progress_bar, say, verbosity
from leakhunt.errors import UsageError

if TYPE_CHECKING:
    from leakhunt.bisect.judge import Tell
    from leakhunt.bisect.trial import Settings
    from leakhunt.findings import Bisection


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="Example:  leakhunt bisect --package 'aiohttp>=3.10,<3.13' -- python app.py",
)
@click.option("--package", metavar="SPEC", help="The package and the releases to choose from: 'aiohttp>=3.10,<3.13'.")
@click.option("--commits", metavar="OLD..NEW", help="Search the commits of the git repository here instead.")
@click.option(
    "--goal", type=click.Choice(["leak", "fixed"]),
    help="Find what brought a leak, or what fixed it (default: whichever the two ends show).",
)  # fmt: skip
@click.option("--finding", metavar="NAME", help="Which leak: its fingerprint, class or place (default: the first).")
@click.option("--python", metavar="PATH", help="The program's interpreter (default: what the command runs on).")
@click.option(
    "--interval", type=click.FloatRange(min=0, min_open=True, max=3600), default=0.5, metavar="SECONDS",
    help="Take a census this often (default 0.5).",
)  # fmt: skip
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), default=120.0, metavar="SECONDS",
    help="End the program after this long if it does not end by itself (default 120).",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Keep what is found out here, and go on from it if it is there (default leakhunt-bisect-NAME).",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Leave the environments in --out.")
@click.option("--format", "format_", metavar="FORMAT", help="text (default) or json; else what -o's suffix says.")
@output_option
@verbosity
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] CMD [ARGS]...")
def bisect(
    command: tuple[str, ...],
    package: str | None,
    commits: str | None,
    goal: str | None,
    finding: str | None,
    python: str | None,
    interval: float,
    duration: float,
    out: Path | None,
    keep: bool,
    format_: str | None,
    output: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Find the release of a package that brought a leak, or fixed it.

    The program runs on the oldest and the newest release of the range, then on the one in the middle, and so on: about
    log2(n) runs, each in an environment of its own in which everything else is as in the program's. What they show is
    judged by the leak that the two ends differ in, and the answer is called certain when its two neighbours were run
    once more and said the same. Interrupted, the same command goes on where it was.

    With --commits it is `git bisect run` that chooses, in a clone of the repository that this directory is in.
    """
    if (package is None) == (commits is None):
        raise UsageError("Say what to search: --package SPEC, or --commits OLD..NEW.", "See `leakhunt bisect --help`.")
    name = pick_format(format_, output, ["text", "json"], "text")
    from leakhunt.bisect.trial import Settings

    settings = Settings(interval, duration)
    with _ended_as_by_ctrl_c(), progress_bar(quiet) as bar:
        tell = bar or (lambda what, share: None if quiet else say(what))  # a line for each run where nobody watches
        if package is not None:
            found = _releases(package, command, goal, finding, python, settings, out, tell, keep)
        else:
            found = _commits(str(commits), command, goal, finding, settings, out, tell)
    if name == "json":
        emit(found.to_json(), output)
    else:
        from leakhunt.render.bisection import bisection

        emit(bisection(found, **page_of(output)), output)


@contextlib.contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Told to end from outside, end the program that runs, too: it is in a session of its own."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _releases(
    package: str,
    command: tuple[str, ...],
    goal: str | None,
    finding: str | None,
    python: str | None,
    settings: Settings,
    out: Path | None,
    tell: Tell,
    keep: bool,
) -> Bisection:
    from leakhunt.bisect.releases import Question
    from leakhunt.bisect.releases import bisect as search
    from leakhunt.config import known_places

    question = Question(package, command, goal, finding, python, settings)
    name = re.split(r"[^A-Za-z0-9._-]", package.strip())[0]
    folder = out or Path(f"leakhunt-bisect-{name}")
    return search(question, folder, tell, known_places(), keeps=keep)


def _commits(
    commits: str,
    command: tuple[str, ...],
    goal: str | None,
    finding: str | None,
    settings: Settings,
    out: Path | None,
    tell: Tell,
) -> Bisection:
    from leakhunt.bisect.commits import Question
    from leakhunt.bisect.commits import bisect as search
    from leakhunt.config import known_places

    question = Question(commits, command, goal, finding, settings=settings)
    return search(question, out or Path("leakhunt-bisect-commits"), tell, known_places())
