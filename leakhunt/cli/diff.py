"""`leakhunt diff`: what changed between two or three snapshots, by class."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, told, verbosity
from leakhunt.errors import UsageError


@click.command(epilog="Example:  leakhunt diff run1/pid-4711.0/000001.leak run1/pid-4711.0/000009.leak")
@click.argument("snapshots", nargs=-1, type=click.Path(path_type=Path), metavar="S1 S2 [S3]")
@click.option("--limit", type=click.IntRange(min=0), default=20, help="Show this many classes (default 20; 0: all).")
@click.option("--format", "format_", metavar="FORMAT", help="text (default) or json; else by the suffix of -o.")
@output_option
@verbosity
def diff(snapshots: tuple[Path, ...], limit: int, format_: str | None, output: str | None, verbose: bool) -> None:
    """Compare snapshots of one process: counts and sizes by class, births, deaths, survivors.

    With three, also what was born between the first two and still lives in the third: the usual shape of a leak.
    """
    if len(snapshots) not in (2, 3):
        raise UsageError("diff compares two or three snapshots.", "Type `leakhunt diff S1 S2 [S3]`.")
    name = pick_format(format_, output, ["text", "json"], "text")
    from leakhunt import pipeline

    with told(f"compared {len(snapshots)} snapshots", verbose):
        found = pipeline.diff(snapshots)
    if name == "json":
        emit(found.to_json(), output)
        return
    from leakhunt.render.text import diff_table

    emit(diff_table(found, limit=limit, **page_of(output)), output)
