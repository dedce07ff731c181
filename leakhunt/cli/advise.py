"""`leakhunt advise`: which upgrade may end a leak."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, progress_bar, verbosity
from leakhunt.cli.reporting import analysed


@click.command(epilog="Example:  leakhunt advise run1")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--format", "format_", metavar="FORMAT", help="text (default) or json; else what -o's suffix says.")
@output_option
@verbosity
def advise(run: Path, format_: str | None, output: str | None, quiet: bool, verbose: bool) -> None:
    """Say which packages each leak of a run goes through, and whether a newer release may end it.

    The versions are those that the program had. Newer ones are what `pip index` of its own interpreter offers. Where it
    is known which release fixed the leak, that is said, and whether the program's version is an older one.
    """
    name = pick_format(format_, output, ["text", "json"], "text")
    from leakhunt.advice import Advisor
    from leakhunt.runfolder import read_run

    findings = analysed(run, quiet, verbose)
    with progress_bar(quiet) as progress:
        advice = Advisor(read_run(run), progress or (lambda what, share: None)).advice(findings)
    if name == "json":
        emit(advice.to_json(), output)
    else:
        from leakhunt.render.advice import advice as as_text

        emit(as_text(advice, **page_of(output)), output)
