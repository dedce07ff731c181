"""What became of each candidate, and which candidates somebody means who asks by a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.findings import DoubtTold, Track

from .verdicts import Verdict

NEAR = 5
CONTENT_MAX = 100_000  # references of one container that are looked through for a class
WHAT = {
    "buffer": "the largest buffer of its name",
    "outside": "objects that nothing in the heap leads to",
    "garbage": "cycles that nothing refers to",
    "class": "a class, by its instances",
    "memory": "the memory of the process",
}


def track(evidence: Evidence, candidate: Verdict, pid: int) -> Track:
    """A candidate with all that was thought of it."""
    what = WHAT.get(candidate.detector, candidate.detector)
    if candidate.place is not None:
        many = len(candidate.place.members)
        kind = evidence.graph.type_name(candidate.place.members[0])
        what = f"a {kind}" if many == 1 else f"{many:,} objects of {kind}, by one name"
    accused = not candidate.is_ended and candidate.confidence >= evidence.policy.accuse_at
    return Track(
        pid=pid,
        kind=candidate.kind,
        type=candidate.type,
        owner=candidate.owner,
        what=what,
        seconds=tuple(np.round(candidate.seconds, 3).tolist()),
        items=tuple(np.asarray(candidate.counts).astype(int).tolist()),
        in_bytes=candidate.is_in_bytes,
        measured=_measured(candidate),
        certainty=round(candidate.certainty, 2),
        doubts=tuple(DoubtTold(d.name, d.sentence, round(d.less, 3), d.at_most, d.is_end) for d in candidate.doubts),
        confidence=candidate.confidence,
        needed=evidence.policy.accuse_at,
        named=accused,
        aliases=candidate.also_owned_by,
    )


def _measured(candidate: Verdict) -> str:
    """The figures that the doubts look at."""
    trend = candidate.trend
    said = [
        f"{trend.gain:+,.0f} {'bytes' if candidate.is_in_bytes else 'items'} at {trend.points} looks",
        f"more at {trend.steady:.0%} of them",
        f"the later half at {trend.later_share:.0%} of the pace",
        f"fell back by {min(trend.drawdown, 1.0):.0%}",
        f"by chance: {trend.p_value:.2g}",
    ]
    if candidate.place is not None and candidate.place.doubt is None:
        said.append(f"{candidate.survival:.0%} of the early items stayed")
    return ", ".join(said)


def matching(evidence: Evidence, candidates: Iterable[Verdict], asked: str) -> list[Verdict]:
    """Candidates that somebody means by a name: a place's, a container's class, a class of what is in it, or its end.

    Candidates that are called so come before places that only hold some of that class, and the surest come first.
    """
    rows = [row for row, name in enumerate(_type_names(evidence)) if is_meant(name, asked)]
    called = [c for c in candidates if any(is_meant(name, asked) for name in names_of(evidence, c))]
    known = {id(c) for c in called}
    holding = [c for c in candidates if id(c) not in known and rows and _holds(evidence, c, rows)]
    order = lambda c: (c.is_ended, -c.confidence, -c.trend.gain)  # noqa: E731
    return sorted(called, key=order) + sorted(holding, key=order)


def names_of(evidence: Evidence, candidate: Verdict) -> list[str]:
    """All that a candidate may be called."""
    owners = [candidate.owner or "", *candidate.also_owned_by]
    kinds = [candidate.kind] if candidate.detector == "memory" else []
    return [name for name in (candidate.type, *owners, *kinds) if name]


def _type_names(evidence: Evidence) -> tuple[str, ...]:
    return evidence.graph.snapshot.type_names if evidence.deep else ()


def _holds(evidence: Evidence, candidate: Verdict, rows: list[int]) -> bool:
    if candidate.place is None or not evidence.deep:
        return False
    graph = evidence.graph
    inside = [graph.referents(index)[:CONTENT_MAX] for index in candidate.place.members[:100]]
    return bool(np.isin(graph.types[np.concatenate(inside)], rows).any())


def is_meant(name: str, asked: str) -> bool:
    """Whether somebody who asks for `asked` means `name`: it is that, or ends so at a dot.

    >>> is_meant("shop.Session", "Session"), is_meant("shop.Session", "session"), is_meant("shop.MySession", "Session")
    (True, True, False)
    """
    low, wanted = name.lower(), asked.lower()
    return low == wanted or low.endswith("." + wanted)


def near(names: Iterable[str], asked: str) -> tuple[str, ...]:
    """Names that somebody may have meant: those that contain it first, then those that are spelled like it."""
    known = sorted(set(names))
    wanted = asked.lower()
    within = [name for name in known if wanted in name.lower()]
    by_end = {name.lower().rpartition(".")[2]: name for name in known}
    alike = difflib.get_close_matches(wanted, [name.lower() for name in known], NEAR, 0.6)
    by_name = {name.lower(): name for name in known}
    ends = difflib.get_close_matches(wanted.rpartition(".")[2], by_end, NEAR, 0.7)
    found = [*within, *(by_name[name] for name in alike), *(by_end[name] for name in ends)]
    return tuple(dict.fromkeys(found))[:NEAR]


def seen_of(evidence: Evidence, asked: str) -> str:
    """What the snapshots show of a class that was never a candidate, "" where none of that name was seen."""
    for name, series in evidence.classes.items():
        if is_meant(name, asked):
            first, last = int(series.counts[0]), int(series.counts[-1])
            return f"{name} was seen: {first:,} of them at first, {last:,} at the end. No growth, so nothing to judge."
    return ""
