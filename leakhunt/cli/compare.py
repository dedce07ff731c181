"""`leakhunt compare`: the last release against this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, verbosity
from leakhunt.cli.reporting import analysed
from leakhunt.errors import RunError
from leakhunt.runfolder import newest
from leakhunt.starts import last_two, report_of

if TYPE_CHECKING:
    from leakhunt.findings import Findings


@click.command(epilog="Example:  leakhunt compare last-release.json leakhunt-run --fail-on-new")
@click.argument("before", type=click.Path(path_type=Path), metavar="RUN_A")
@click.argument("after", type=click.Path(path_type=Path), metavar="[RUN_B]", required=False)
@click.option("--fail-on-new", is_flag=True, help="Exit 1 if RUN_B has a leak that RUN_A has not.")
@click.option("--format", "format_", metavar="FORMAT", help="text (default) or json; else by the suffix of -o.")
@output_option
@verbosity
def compare(
    before: Path,
    after: Path | None,
    fail_on_new: bool,
    format_: str | None,
    output: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Compare two runs: new leaks, and what grows faster or slower.

    Each is a run folder, or a report that `leakhunt report --format json` kept. A leak is known again by its
    fingerprint: the same on every host, on every Python and after lines were moved, another where the class or the
    place is another. Rates are told with the interval in which they lie at 95 %; run both under the same load.
    With the folder of a service alone (`leakhunt run --service`), its last two starts are compared.
    """
    if after is None:
        before, after = last_two(before)
    name = pick_format(format_, output, ["text", "json"], "text")
    earlier, later = (_findings(path, quiet, verbose) for path in (before, after))
    from leakhunt.analysis.report.compare import compare as compared

    found = compared(earlier, later)
    if name == "json":
        emit(found.to_json(), output)
    else:
        from leakhunt.render.comparison import comparison

        emit(comparison(found, (str(before), str(after)), **page_of(output)), output)
    if fail_on_new and not later.processes:
        raise RunError(f"No Python process reported in to {after}, so nothing can be said of it.")
    return 1 if fail_on_new and found.new else 0


def _findings(path: Path, quiet: bool, verbose: bool) -> Findings:
    """The analysis of a run folder, or a report that was kept."""
    path = report_of(newest(path)) if path.is_dir() else path
    if path.is_file():
        from leakhunt.reports import read_report

        return read_report(path)
    return analysed(path, quiet, verbose)
