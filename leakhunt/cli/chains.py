"""`leakhunt chains`: why objects of a class are alive."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, told, verbosity


@click.command(epilog="Example:  leakhunt chains run1/pid-4711.0/000009.leak --type shop.session.Session")
@click.argument("snapshot", type=click.Path(path_type=Path), metavar="S")
@click.option("--type", "type_name", required=True, metavar="CLASS", help="The class, by module.qualname.")
@click.option("--limit", type=click.IntRange(min=1), default=3, help="Show this many chains (default 3).")
@click.option("--format", "format_", metavar="FORMAT", help="text (default) or json; else by the suffix of -o.")
@output_option
@verbosity
def chains(
    snapshot: Path,
    type_name: str,
    limit: int,
    format_: str | None,
    output: str | None,
    verbose: bool,
) -> None:
    """Show retaining chains of a class: from a GC root, and by every object on the way that defines __del__.

    S is a snapshot, or a run folder: then its newest snapshot with the whole graph.
    """
    name = pick_format(format_, output, ["text", "json"], "text")
    from leakhunt import pipeline

    with told(f"searched {snapshot}", verbose):
        found = pipeline.chains(snapshot, type_name, limit)
    if name == "json":
        emit(json.dumps([dataclasses.asdict(chain) for chain in found], indent=1), output)
        return
    from leakhunt.render.text import chain_trees

    emit(chain_trees(found, **page_of(output)), output)
