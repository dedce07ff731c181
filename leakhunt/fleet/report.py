"""The answers to a fleet's questions as plain values."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from leakhunt.errors import UsageError
from leakhunt.findings import Fleet, FleetFinding, FleetMemory, FleetRelease, FleetSpread, OddWorker

from . import questions
from .engine import Engine

Tell = Callable[[str, float], None]
ODD_MAX, FINDINGS_MAX = 200, 200
STEPS = 288  # of a plot
_SINCE = re.compile(r"(\d{1,5})\s*([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


def since_day(text: str, now: datetime) -> str:
    """The first day that counts.

    >>> since_day("7d", datetime(2026, 11, 21, tzinfo=UTC)), since_day("2026-11-01", datetime(2026, 11, 21, tzinfo=UTC))
    ('2026-11-14', '2026-11-01')

    Raises:
        UsageError: it is neither a time like 12h, 7d or 2w nor a date.
    """
    if found := _SINCE.fullmatch(text.strip()):
        return (now - timedelta(hours=int(found[1]) * _HOURS[found[2]])).strftime("%Y-%m-%d")
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").strftime("%Y-%m-%d")
    except ValueError:
        raise UsageError(f"{text!r} is no time.", "Type 12h, 7d, 2w or a date as 2026-11-21.") from None


def report(engine: Engine, name: str, place: str, service: str | None, since: str | None, tell: Tell) -> Fleet:
    """Ask all that a report shows.

    Args:
        since: first day, as `since_day` gives it.

    Raises:
        UsageError: no run is chosen by these.
    """
    every = engine.tables["processes"]
    processes = questions.chosen(every, None, service, since)
    tables = {
        table: questions.chosen(engine.tables[table], processes, service, since)
        for table in ("findings", "classes", "samples")
    }
    people = questions.workers(processes)
    tell("counting processes", 0.05)
    releases = engine.rows(questions.releases(people))
    if not releases:
        known = sorted({row["service"] for row in engine.rows(every.select("service").distinct())})
        raise UsageError("No run is of that service and time.", f"There are runs of: {', '.join(known[:10])}.")
    whole = engine.rows(people.agg(processes=people.count(), hosts=people.host.nunique(), runs=people.run.nunique()))[0]
    tell("merging findings", 0.2)
    spreads: dict[tuple[str, str], list[FleetSpread]] = defaultdict(list)
    for row in engine.rows(questions.spread_of_findings(tables["findings"], people)):
        spreads[row["service"], row["fingerprint"]].append(
            FleetSpread(row["release"], row["processes"], row["of"], *_floats(row, "lower", "median", "upper"))
        )
    found = engine.rows(questions.findings(tables["findings"], people).limit(FINDINGS_MAX))
    tell("comparing workers", 0.4)
    odd = [_odd(row, "memory") for row in engine.rows(questions.odd_by_growth(people).limit(ODD_MAX))]
    odd += [_odd(row, row["type"]) for row in engine.rows(questions.odd_by_class(tables["classes"]).limit(ODD_MAX))]
    tell("adding up memory", 0.8)
    return Fleet(
        place=place,
        engine=name,
        processes=whole["processes"],
        hosts=whole["hosts"],
        runs=whole["runs"],
        releases=tuple(_release(row) for row in releases),
        findings=tuple(_finding(row, spreads[row["service"], row["fingerprint"]]) for row in found),
        odd=tuple(odd),
        memory=tuple(_memory(engine, tables["samples"], releases)),
        notes=tuple(_notes(releases)),
    )


def _release(row: dict[str, Any]) -> FleetRelease:
    return FleetRelease(
        row["service"], row["release"], row["processes"], row["hosts"], _seconds(row["since"]), float(row["seconds"]),
        int(row["rss_bytes"]), *_floats(row, "lowest", "lower", "median", "upper", "highest"),
    )  # fmt: skip


def _finding(row: dict[str, Any], spreads: list[FleetSpread]) -> FleetFinding:
    return FleetFinding(
        service=row["service"], fingerprint=row["fingerprint"], kind=row["kind"], type=row["type"] or "",
        holder=row["holder"], file=row["file"], line=int(row["line"]) if row["line"] is not None else None,
        confidence=float(row["confidence"]), processes=row["processes"], watched=row["watched"], hosts=row["hosts"],
        since_release=row["since_release"], since=_seconds(row["since"]),
        bytes_per_hour=float(row["bytes_per_hour"]), lost_bytes=int(row["lost_bytes"]), releases=tuple(spreads),
    )  # fmt: skip


def _odd(row: dict[str, Any], what: str) -> OddWorker:
    service, release, host, run, process = (row[name] for name in questions.WORKER)
    value, median, z = _floats(row, "value", "median", "z")
    return OddWorker(service, release, host, run, process, what, value, median, z, row["peers"])


def _memory(engine: Engine, samples: Any, releases: Iterable[dict[str, Any]]) -> Iterable[FleetMemory]:
    begins = [_seconds(row["since"]) for row in releases]
    ends = [
        begin + float(row["seconds"]) / max(1, row["processes"]) for begin, row in zip(begins, releases, strict=True)
    ]
    step = max(300, int((max(ends) - min(begins)) / STEPS) // 300 * 300)
    series: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in engine.rows(questions.memory(samples, step)):
        series[row["service"], row["release"]].append(row)
    for (service, release), rows in series.items():
        columns = [tuple(int(row[name]) for row in rows) for name in ("step", "rss_bytes", "processes")]
        yield FleetMemory(service, release, *columns)


def _notes(releases: Iterable[dict[str, Any]]) -> Iterable[str]:
    few = [f"{row['service']} {row['release']}" for row in releases if row["processes"] < questions.PEERS_MIN]
    if few:
        more = f" and {len(few) - 3} more" if len(few) > 3 else ""
        yield f"Too few processes to tell one that is unlike the others: {', '.join(few[:3])}{more}."


def _floats(row: dict[str, Any], *names: str) -> list[float]:
    return [float(row[name]) for name in names]


def _seconds(moment: Any) -> float:
    """A moment as an engine gives it: of UTC where it does not say."""
    told = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return float(told.timestamp())
