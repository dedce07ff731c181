"""`leakhunt query`: SQL over a run."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, told, verbosity


@click.command(epilog='Example:  leakhunt query "SELECT holder, sum(size_bytes) FROM objects GROUP BY 1" run1')
@click.argument("sql", metavar="SQL")
@click.argument("source", type=click.Path(path_type=Path), metavar="S")
@click.option(
    "--limit", type=click.IntRange(min=0), default=40, help="Show this many rows of text (default 40; 0: all)."
)
@click.option("--format", "format_", metavar="FORMAT", help="text (default), json or csv; else by the suffix of -o.")
@output_option
@verbosity
def query(sql: str, source: Path, limit: int, format_: str | None, output: str | None, verbose: bool) -> None:
    """Query a run, a snapshot or an exported folder in SQL, by DuckDB.

    Tables: processes, snapshots, series, places, findings; types, objects and references are of the newest object graph
    of each process. "DESCRIBE objects" lists the columns; docs/tables.md says what they mean, docs/queries.md has
    questions to begin with.
    """
    name = pick_format(format_, output, ["text", "json", "csv"], "text")
    from leakhunt.query import Database
    from leakhunt.render.rows import rows_as

    with told(f"asked {source}", verbose):
        answer = Database(source).ask(sql)
        columns, rows = answer.columns, answer.rows()
    emit(rows_as(name, columns, rows, limit=limit, **page_of(output)), output)
