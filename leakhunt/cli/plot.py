"""`leakhunt plot`: growth over time as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, pick_format, verbosity
from leakhunt.cli.reporting import analysed


@click.command(epilog="Example:  leakhunt plot run1 -o growth.png")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--format", "format_", metavar="FORMAT", help="png (default) or svg; else by the suffix of -o.")
@click.option(
    "--by",
    type=click.Choice(["class", "holder"]),
    default="class",
    help="Draw one curve for each class or holder (default class).",
)
@output_option
@verbosity
def plot(run: Path, format_: str | None, by: str, output: str | None, quiet: bool, verbose: bool) -> None:
    """Draw the growth of each class or holder over time, with the process's memory."""
    name = pick_format(format_, output, ["png", "svg"], "png")
    findings = analysed(run, quiet, verbose)
    from leakhunt.render.plot import growth

    emit(growth(findings, name, by), output)
