"""`leakhunt lint`: what source code will leak, before it runs."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, pick_format, told, verbosity


@click.command(epilog="Example:  leakhunt lint src tests/conftest.py")
@click.argument("paths", type=click.Path(path_type=Path), metavar="PATH...", nargs=-1, required=True)
@click.option("--format", "format_", metavar="FORMAT", help="text (default) or json; else by the suffix of -o.")
@click.option("--fail-on-finding", is_flag=True, help="Exit 1 if anything was found.")
@output_option
@verbosity
def lint(paths: tuple[Path, ...], format_: str | None, fail_on_finding: bool, output: str | None, verbose: bool) -> int:
    """Check source code for finalizers, caches and registries that will keep objects alive.

    PATH is a file, or a folder with all Python files below it. The code is parsed and never imported. A line that
    ends in `# leakhunt: ignore` is left alone.
    """
    name = pick_format(format_, output, ["text", "json"], "text")
    from leakhunt.lint import lint as looked_through

    with told(f"looked through {', '.join(map(str, paths))}", verbose):
        report = looked_through(paths)
    emit(report.to_json() if name == "json" else report.to_text(), output)
    if report.files and len(report.unread) == report.files:
        return 3
    return 1 if fail_on_finding and report.remarks else 0
