"""What a report on a fleet asks: written once in Ibis, answered alike by every engine.

Medians are made of row numbers: engines approximate a median each in its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leakhunt.export.columns import needed

if TYPE_CHECKING:
    import ibis.expr.types as ir

PEERS = ("service", "release")  # workers are compared with those of the same
WORKER = ("service", "release", "host", "run", "process")
PEERS_MIN = 5  # of fewer nobody can be said to be unlike the others
# Of a normal distribution, in standard deviations: its median deviation, and the one that a tenth goes beyond. The
# scale is the larger of the two: what a tenth of the workers have makes two kinds of them, not one unlike the rest.
MEDIAN_DEVIATION, TENTH_DEVIATION = 0.6745, 1.645
# A worker is unlike its peers by a robust z-score that one of 2 million healthy ones reaches by chance, and by so much
# that it matters: 1 MB an hour, 5 % of the bytes of all classes.
Z_MIN = 5.0
BYTES_PER_HOUR_MIN = 1e6
SHARE_MIN = 0.05
# Peers may be alike to the byte: less than this is not told from them.
BYTES_PER_HOUR_SPREAD, SHARE_SPREAD = 1e4, 0.002
LARGE_SHARE = 0.01  # classes that are less everywhere are not compared


def chosen(table: ir.Table, complete: ir.Table | None, service: str | None, since: str | None) -> ir.Table:
    """The rows of a service since a day, of runs that are there as a whole (in `complete`)."""
    if service is not None:
        table = table.filter(table.service == service)
    if since is not None:
        table = table.filter(table.day >= since)
    if complete is not None:
        runs = complete.select("run", "day").distinct()
        table = table.semi_join(runs, ["run", "day"])
    return table


def workers(processes: ir.Table) -> ir.Table:
    """One row for each process: its growth is the mean of its days, by the time that it was watched on each."""
    seconds = processes.seconds
    return processes.group_by(*WORKER).agg(
        pid=processes.pid.max(),
        started=processes.started.min(),
        days=processes.day.nunique(),
        seconds=seconds.sum(),
        rss_bytes=processes.rss_bytes.argmax(processes.day),
        bytes_per_hour=(processes.rss_bytes_per_hour * seconds).sum() / _or_one(seconds.sum()),
    )


def releases(people: ir.Table) -> ir.Table:
    """By service and release: how many processes and hosts, since when, and how their growth is spread."""
    spread = _quantiles(people, PEERS, "bytes_per_hour")
    counted = people.group_by(*PEERS).agg(
        processes=people.count(), hosts=people.host.nunique(), since=people.started.min(),
        seconds=people.seconds.sum(), rss_bytes=people.rss_bytes.sum(),
    )  # fmt: skip
    return counted.join(spread, list(PEERS)).order_by("service", "since", "release")


def findings(found: ir.Table, people: ir.Table) -> ir.Table:
    """By service and fingerprint: what it is, who has it, since which release, and what it took."""
    one = found.group_by("service", "fingerprint", *WORKER[1:]).agg(
        kind=found.kind.min(), type=found.type.min(), holder=found.holder.min(), file=found.file.min(),
        line=found.line.min(), confidence=found.confidence.max(), started=found.started.min(),
        bytes_per_hour=found.bytes_per_hour.mean(), lost_bytes=found.lost_bytes.sum(),
    )  # fmt: skip
    merged = one.group_by("service", "fingerprint").agg(
        kind=one.kind.min(), type=one.type.min(), holder=one.holder.min(), file=one.file.min(), line=one.line.min(),
        confidence=one.confidence.max(), processes=one.count(), hosts=one.host.nunique(), runs=one.run.nunique(),
        since_release=_first(one), since=one.started.min(), releases=one.release.nunique(),
        bytes_per_hour=one.bytes_per_hour.mean(), lost_bytes=one.lost_bytes.sum(),
    )  # fmt: skip
    everyone = people.group_by("service").agg(watched=people.count())
    return merged.join(everyone, "service").order_by(merged.lost_bytes.desc(), merged.fingerprint)


def spread_of_findings(found: ir.Table, people: ir.Table) -> ir.Table:
    """By fingerprint and release: how many of its processes have it, and its growth in them with the spread."""
    one = found.group_by("service", "release", "fingerprint", "host", "run", "process").agg(
        bytes_per_hour=found.bytes_per_hour.mean()
    )
    keys = ("service", "release", "fingerprint")
    counted = one.group_by(*keys).agg(processes=one.count())
    everyone = people.group_by(*PEERS).agg(of=people.count(), since=people.started.min())
    joined = counted.join(_quantiles(one, keys, "bytes_per_hour"), list(keys)).join(everyone, list(PEERS))
    return joined.order_by("service", "fingerprint", "since", "release")


def odd_by_growth(people: ir.Table) -> ir.Table:
    """Workers whose memory grows or shrinks unlike that of their peers, the oddest first."""
    scored = _scored(people, PEERS, "bytes_per_hour", BYTES_PER_HOUR_SPREAD)
    far = (scored.value - scored.median).abs() >= BYTES_PER_HOUR_MIN
    odd = scored.filter((scored.peers >= PEERS_MIN) & (scored.z.abs() >= Z_MIN) & far)
    return odd.order_by(odd.z.abs().desc(), *(odd[name] for name in WORKER))


def odd_by_class(classes: ir.Table) -> ir.Table:
    """Workers in which a class has another share of the bytes than in their peers, the oddest first.

    A class that a worker does not list among its largest counts as absent from it: only those that are large are asked.
    """
    api = needed("ibis", "fleet")
    last = classes.group_by(*WORKER, "type").agg(share=classes.share.argmax(classes.day))
    large = last.group_by(*PEERS, "type").agg(most=last.share.max())
    large = large.filter(large.most >= LARGE_SHARE).drop("most")
    here = last.select(*WORKER).distinct()
    grid = here.join(large, list(PEERS))
    full = grid.left_join(last, [*WORKER, "type"])
    full = full.select(*WORKER, "type", share=api.coalesce(full.share, 0.0))
    scored = _scored(full, (*PEERS, "type"), "share", SHARE_SPREAD)
    far = (scored.value - scored.median).abs() >= SHARE_MIN
    odd = scored.filter((scored.peers >= PEERS_MIN) & (scored.z.abs() >= Z_MIN) & far)
    return odd.order_by(odd.z.abs().desc(), *(odd[name] for name in (*WORKER, "type")))


def memory(samples: ir.Table, seconds: int) -> ir.Table:
    """Resident memory of all processes of a release together, by time, in steps of so many seconds: for a plot.

    A process is counted once in each step, by the most that it had.
    """
    step = (samples.at.epoch_seconds() // seconds * seconds).cast("int64")
    one = samples.mutate(step=step).group_by(*WORKER, "step").agg(rss_bytes=samples.rss_bytes.max())
    whole = one.group_by("service", "release", "step").agg(rss_bytes=one.rss_bytes.sum(), processes=one.count())
    return whole.order_by("service", "release", "step")


def _scored(table: ir.Table, keys: tuple[str, ...], value: str, spread: float) -> ir.Table:
    """`value` beside the median of its group, and the robust z-score: its distance in what deviations usually are."""
    api = needed("ibis", "fleet")
    table = table.rename(value=value)
    middle = _median(table, keys, "value", "median")
    joined = table.join(middle, list(keys))
    joined = joined.mutate(deviation=(joined.value - joined.median).abs())
    numbered = _numbered(joined.drop("peers"), keys, "deviation")
    number, last, deviation = numbered.number, numbered.peers - 1, numbered.deviation
    scale = numbered.group_by(*keys).agg(
        usual=deviation.max(where=number <= last // 2) / MEDIAN_DEVIATION,
        tenth=deviation.max(where=number <= (9 * last) // 10) / TENTH_DEVIATION,
    )
    both = joined.join(scale, list(keys)).drop("deviation")
    far = both.value - both.median
    return both.mutate(z=far / api.greatest(both.usual, both.tenth, spread)).drop("usual", "tenth")


def _median(table: ir.Table, keys: tuple[str, ...], value: str, name: str) -> ir.Table:
    """The exact median of a column by keys, with the number of rows as `peers`."""
    numbered = _numbered(table, keys, value)
    middle = numbered.filter(
        (numbered.number == ((numbered.peers - 1) // 2)) | (numbered.number == (numbered.peers // 2))
    )
    return middle.group_by(*keys).agg(**{name: middle[value].mean(), "peers": middle.peers.max()})


def _quantiles(table: ir.Table, keys: tuple[str, ...], value: str) -> ir.Table:
    """Lowest, lower quartile, median, upper quartile and highest by keys; quartiles are values that occur."""
    numbered = _numbered(table, keys, value)
    column, number, last = numbered[value], numbered.number, numbered.peers - 1
    quartiles = numbered.group_by(*keys).agg(
        lowest=column.min(),
        lower=column.max(where=number <= last // 4),
        upper=column.min(where=number >= (3 * last + 3) // 4),
        highest=column.max(),
    )
    return quartiles.join(_median(table, keys, value, "median").drop("peers"), list(keys))


def _numbered(table: ir.Table, keys: tuple[str, ...], value: str) -> ir.Table:
    """The rows with their number by size within their group, from 0, and the number of rows in it as `peers`."""
    api = needed("ibis", "fleet")
    ordered = api.window(group_by=list(keys), order_by=[table[value]])
    whole = api.window(group_by=list(keys))
    return table.mutate(number=api.row_number().over(ordered), peers=table.count().over(whole))


def _first(table: ir.Table) -> Any:
    """The release of the row that began first."""
    return table.release.argmin(table.started)


def _or_one(number: Any) -> Any:
    """A divisor that is not 0."""
    return needed("ibis", "fleet").ifelse(number == 0, 1.0, number)
