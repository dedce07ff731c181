"""Two runs of one program: which leaks are new, known and gone, and what grows faster or slower than before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from leakhunt.analysis.growth import trends
from leakhunt.analysis.growth.trends import Floats
from leakhunt.findings import Comparison, Findings, Known, Pace, ProcessSummary, Rate

from .fingerprint import plain_name

CHANGE_MIN = 0.1  # of the faster rate: less is no other pace, however sure it is
PER_MINUTE_MIN = 1.0
PACES_MAX = 20

Rates = dict[
    str, tuple[str, Rate]
]  # by the name that is the same on every interpreter: the name as it was, and the rate


def compare(before: Findings, after: Findings) -> Comparison:
    """The later run against the earlier one.

    A class or place is faster or slower where it grew after the warm-up in one of the runs (see `trends.Trend`), the
    intervals of its two rates have nothing in common, and the rates differ by a tenth at least.
    """
    known_before = {finding.fingerprint: finding for finding in before.findings}
    known_after = {finding.fingerprint: finding for finding in after.findings}
    paces = [*_paces("place", _places(before), _places(after)), *_paces("class", _classes(before), _classes(after))]
    paces.sort(key=lambda pace: (pace.what != "place", -abs(_change(pace))))
    return Comparison(
        before=before.run,
        after=after.run,
        new=tuple(f for f in after.findings if f.fingerprint not in known_before),
        known=tuple(Known(known_before[f.fingerprint], f) for f in after.findings if f.fingerprint in known_before),
        gone=tuple(f for f in before.findings if f.fingerprint not in known_after),
        faster=tuple(pace for pace in paces if _change(pace) > 0)[:PACES_MAX],
        slower=tuple(pace for pace in paces if _change(pace) < 0)[:PACES_MAX],
        notes=tuple(_notes(before, after)),
    )


def _notes(before: Findings, after: Findings) -> Iterator[str]:
    if before.verdict == "inconclusive":
        yield "The earlier run saw too little for a verdict: what is new here may have been there already."
    if after.verdict == "inconclusive":
        yield f"The later run saw too little for a verdict: what is gone may only not have shown. {after.summary}"
    ours, theirs = before.run.command, after.run.command
    if ours[1:] != theirs[1:]:  # the first word is the interpreter
        yield "The runs are of different commands: rates are comparable under the same load only."
    if _minor(before) != _minor(after):
        versions = f"{_minor(before)} and {_minor(after)}"
        yield f"The runs are of Python {versions}: of some classes, dict the first, they make different numbers."
    if len(before.processes) != len(after.processes):
        numbers = f"{len(before.processes)} and {len(after.processes)}"
        yield f"The runs had {numbers} processes; a rate is the sum over all of a run."


def _minor(findings: Findings) -> str:
    return ".".join(findings.run.python.split(".")[:2])


def _change(pace: Pace) -> float:
    """Objects per minute more than before."""
    return (pace.after.per_minute if pace.after else 0.0) - (pace.before.per_minute if pace.before else 0.0)


def _paces(what: str, before: Rates, after: Rates) -> Iterator[Pace]:
    for name in {**before, **after}:
        (_, old), (said, new) = before.get(name, ("", None)), after.get(name, ("", None))
        if _differ(old or Rate(), new or Rate()):
            yield Pace(what, said or before[name][0], old, new)


def _differ(old: Rate, new: Rate) -> bool:
    faster = max(abs(old.per_minute), abs(new.per_minute))
    difference = abs(old.per_minute - new.per_minute)
    is_sure = old.high < new.low or new.high < old.low
    return is_sure and difference >= max(CHANGE_MIN * faster, PER_MINUTE_MIN)


def _places(findings: Findings) -> Rates:
    """Places that grow; the analysis has cut their warm-up off already."""
    found: Rates = {}
    for process in findings.processes:
        for series in process.holders:
            _add(found, series.owner, np.array(series.seconds), np.array(series.items, dtype=float))
    return found


def _classes(findings: Findings) -> Rates:
    found: Rates = {}
    for process in findings.processes:
        seconds = np.array(process.seconds)
        window = trends.after_warm_up(seconds)
        for name, counts in _counted(process):
            _add(found, name, seconds[window], np.array(counts, dtype=float)[window])
    return found


def _counted(process: ProcessSummary) -> Iterator[tuple[str, Sequence[int]]]:
    return ((series.type, series.counts) for series in process.classes if len(series.counts) == len(process.seconds))


def _add(rates: Rates, name: str, seconds: Floats, values: Floats) -> None:
    """Add a series that grows to the rate of its name."""
    if not trends.trend(seconds, values).is_growth:
        return
    slope, low, high = (60.0 * figure for figure in trends.slope_interval(seconds, values))
    rate = Rate(round(slope, 2), round(low, 2), round(high, 2))
    key = plain_name(name)
    rates[key] = (name, _sum(rates[key][1], rate)) if key in rates else (name, rate)


def _sum(one: Rate, other: Rate) -> Rate:
    """The rates of two processes together: they err independently of one another."""
    both = one.per_minute + other.per_minute
    below = math.hypot(one.per_minute - one.low, other.per_minute - other.low)
    above = math.hypot(one.high - one.per_minute, other.high - other.per_minute)
    return Rate(round(both, 2), round(both - below, 2), round(both + above, 2))
