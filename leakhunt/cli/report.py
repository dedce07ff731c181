"""`leakhunt report`: the analysis of a run folder, again."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, verbosity
from leakhunt.cli.reporting import analysed, tracked


@click.command(epilog="Example:  leakhunt report run1 --format html -o leaks.html")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--format", "format_", metavar="FORMAT", help="text (default), json or html; else by the suffix of -o.")
@click.option("--fail-on-leak", is_flag=True, help="Exit 1 if a leak was found.")
@click.option("--why", "asked", metavar="NAME", help="Explain why a holder or class was reported, or why not.")
@output_option
@verbosity
def report(
    run: Path,
    format_: str | None,
    fail_on_leak: bool,
    asked: str | None,
    output: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Analyse a run folder and show what leaks.

    Works while the run is still going, and on one that was killed.
    """
    from leakhunt.render import REGISTRY
    from leakhunt.render.tracks import TracksText

    if asked is not None:
        name = pick_format(format_, output, ["text", "json"], "text")
        found = tracked(run, asked, quiet, verbose)
        emit(found.to_json() if name == "json" else TracksText(**page_of(output)).render(found), output)
        return 0
    name = pick_format(format_, output, list(REGISTRY), "text")
    findings = analysed(run, quiet, verbose)
    options = page_of(output) if name == "text" else {}
    emit(REGISTRY[name](**options).render(findings), output)
    return 1 if fail_on_leak and findings.verdict == "leak" else 0
