"""`leakhunt fleet`: many runs in one place, asked together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from leakhunt.cli.output import emit, output_option, page_of, pick_format, progress_bar, say, told, verbosity
from leakhunt.errors import UsageError

FORMS = "`leakhunt fleet PLACE`, `leakhunt fleet sql SQL PLACE` or `leakhunt fleet add RUN PLACE`"


@click.command(epilog="Example:  leakhunt fleet s3://leaks/prod --service shop --since 7d --format html -o fleet.html")
@click.argument("words", nargs=-1, required=True, metavar="PLACE | sql SQL PLACE | add RUN PLACE")
@click.option("--service", metavar="NAME", help="Look at this service only; for add: the run's.")
@click.option("--release", metavar="VERSION", help="For add: the release that the run is of.")
@click.option("--since", metavar="TIME", help="Look at the days since then: 12h, 7d, 2w or a date as 2026-11-21.")
@click.option(
    "--engine", default="duckdb", metavar="ENGINE",
    help="What answers: duckdb (default), spark or spark://HOST:PORT.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=0), default=40, help="For sql: show so many rows (default 40; 0: all)."
)
@click.option("--fail-on-leak", is_flag=True, help="Exit 1 if a leak was found.")
@click.option(
    "--format", "format_", metavar="FORMAT", help="text (default), json, html; csv for sql; else -o's suffix."
)
@output_option
@verbosity
def fleet(
    words: tuple[str, ...],
    service: str | None,
    release: str | None,
    since: str | None,
    engine: str,
    limit: int,
    fail_on_leak: bool,
    format_: str | None,
    output: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Say what leaks in a fleet: which leak, in how many processes and hosts, since which release, in which worker.

    PLACE is where `leakhunt run --to PLACE` put its runs: a path, s3://…, gs://… or whatever else fsspec knows. `sql`
    asks its tables (docs/fleet.md), `add` puts a run folder there that was made without --to.
    """
    if words[0] == "add" and len(words) == 3:
        return _add(Path(words[1]), words[2], service, release, quiet, verbose)
    if words[0] == "sql" and len(words) == 3:
        return _sql(words[1], words[2], engine, limit, format_, output, verbose)
    if len(words) != 1:
        raise UsageError(f"{' '.join(words)!r} is not understood.", f"Type {FORMS}.")
    name = pick_format(format_, output, ["text", "json", "html"], "text")
    from leakhunt.fleet.engine import engine as opened
    from leakhunt.fleet.place import Place
    from leakhunt.fleet.report import report, since_day

    day = since_day(since, datetime.now(UTC)) if since is not None else None
    place = Place(words[0])
    with told(f"asked {place.url}", verbose), progress_bar(quiet) as progress, opened(place, engine) as answering:
        tell = progress or (lambda what, share: None)
        found = report(answering, engine, words[0], service, day, tell)
    if name == "json":
        emit(found.to_json(), output)
    elif name == "html":
        from leakhunt.render.fleet_page import fleet_page

        emit(fleet_page(found), output)
    else:
        from leakhunt.render.fleet import fleet as as_text

        emit(as_text(found, **page_of(output)), output)
    return 1 if fail_on_leak and found.findings else 0


def _sql(sql: str, where: str, engine: str, limit: int, format_: str | None, output: str | None, verbose: bool) -> int:
    name = pick_format(format_, output, ["text", "json", "csv"], "text")
    from leakhunt.fleet.engine import engine as opened
    from leakhunt.fleet.place import Place
    from leakhunt.render.rows import rows_as

    with told(f"asked {where}", verbose), opened(Place(where), engine) as answering:
        columns, rows = answering.ask(sql)
    emit(rows_as(name, columns, rows, limit=limit, **page_of(output)), output)
    return 0


def _add(run: Path, where: str, service: str | None, release: str | None, quiet: bool, verbose: bool) -> int:
    from leakhunt.cli.reporting import analysed
    from leakhunt.fleet.ending import put
    from leakhunt.fleet.place import Place

    place = Place(where)
    count = put(analysed(run, quiet, verbose), run, place, service, release)
    if not quiet:
        say(f"{count:,} bytes are at {place.url}")
    return 0
