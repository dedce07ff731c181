"""`leakhunt backrefs`: who refers to objects of a class, as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, pick_format, told, verbosity


@click.command(epilog="Example:  leakhunt backrefs run1/pid-4711.0/000009.leak --type shop.session.Session -o why.svg")
@click.argument("snapshot", type=click.Path(path_type=Path), metavar="S")
@click.option("--type", "type_name", required=True, metavar="CLASS", help="The class, by module.qualname.")
@click.option("--depth", type=click.IntRange(min=1), help="Go back this many references.")
@click.option("--width", type=click.IntRange(min=1), help="Draw this many referrers of one object.")
@click.option("--format", "format_", metavar="FORMAT", help="svg (default), png, dot, html; or by the suffix of -o.")
@output_option
@verbosity
def backrefs(
    snapshot: Path,
    type_name: str,
    depth: int | None,
    width: int | None,
    format_: str | None,
    output: str | None,
    verbose: bool,
) -> None:
    """Draw the back-reference graph of a class. Needs no `dot` program.

    S is a snapshot, or a run folder: then its newest snapshot with the whole graph.
    """
    name = pick_format(format_, output, ["svg", "png", "dot", "html"], "svg")
    from leakhunt import pipeline
    from leakhunt.render.graph import draw

    limits = {key: value for key, value in (("depth", depth), ("width", width)) if value is not None}
    with told(f"searched and drew {snapshot}", verbose):
        picture = draw(pipeline.backrefs(snapshot, type_name, **limits), name)
    emit(picture, output)
