"""The places that grow: containers found by their lengths between snapshots, by the names they have in source.

A place is one container, or all containers of one name (a registry of constant size whose inner lists grow). What
is compared is the same object at several moments, so containers that come and go are never one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from leakhunt.agent import schema
from leakhunt.snapshot import Snapshot

from . import growth
from .graph import Bools, HeapGraph, Ints
from .growth import Floats, Trend
from .lineage import Lineage
from .naming import Names
from .reaching import reach
from .watching import only_watches

CANDIDATES_MAX = 4000
GAIN_MIN = 8
SURVIVAL_MIN = 0.75
OVERLAP = 0.8
LASTING = 0.5
NEARLY_ALL = 0.8
STEADY_MIN = 0.6


@dataclass(frozen=True)
class Place:
    """A growing place, seen from the last deep snapshot.

    `members` are container indexes; `children` what they refer to now and did not at the beginning; `reached` all
    new objects that the children lead to. `survival` is the share of an early cohort of items still there at the
    end (1.0 where nothing was ever taken out), `bound` the limit the container or its owner declares, None without.
    `is_steady`: larger at every one of five graphs or more. `replaced` counts the entries of a mapping whose value
    is another one now: keys that come back. `bursts` is how often it grew, where it stands still most of the time, else
    None. `entries` is how many more the containers hold than at the beginning. `share_bytes` is the size of `reached`,
    objects reached from several places split between them.
    """

    owner: str
    members: tuple[int, ...]
    seconds: Floats
    extents: Floats
    trend: Trend
    children: Ints
    reached: Ints
    survival: float
    bound: int | None
    is_steady: bool = False
    replaced: int = 0
    share_bytes: float = 0.0
    also_owned_by: tuple[str, ...] = field(default=())
    bursts: int | None = None
    entries: float = 0.0

    @property
    def is_bounded(self) -> bool:
        """Filling up to a limit that it declares and has not passed."""
        return self.bound is not None


def extents(graph: HeapGraph) -> Ints:
    """Of each container, how much is in it."""
    return graph.extents


def growing_places(lineage: Lineage, names: Names, censuses: Sequence[Snapshot]) -> list[Place]:
    """All places that pass the trend test, the one that leads to most bytes first."""
    window = growth.after_warm_up(lineage.seconds)
    first = min(window.start, len(lineage.graphs) - 2)
    is_new = lineage.is_new(first)
    lasting = lineage.class_survival(first)
    found = []
    for owner, members in _grown(lineage, names, first).items():
        if len(members) > 1 and (owner.startswith("<") or not _is_lasting(names, members, lasting)):
            continue
        place = _place(lineage, owner, members, first, is_new, censuses)
        if place is not None:
            found.append(place)
    return merged(shared(lineage.last, found), names)


def _is_lasting(names: Names, members: list[int], lasting: dict[str, tuple[int, int]]) -> bool:
    """Whether the objects that carry these containers stay: what hangs on a population that turns over goes with it."""
    owner = names.owner_index(members[0])
    before, stayed = lasting.get(names.graph.type_name(owner), (0, 0)) if owner >= 0 else (0, 0)
    return before == 0 or stayed >= LASTING * before


def _grown(lineage: Lineage, names: Names, first: int) -> dict[str, list[int]]:
    """Containers that are larger than at snapshot `first`, by the name of their place, the most grown first.

    One that grew by nearly all that its namesakes did stands for them: the others only wobble.
    """
    then = lineage.present[first]
    before = np.where(then >= 0, extents(lineage.graphs[first])[np.maximum(then, 0)], -1)
    gain = np.where(then >= 0, extents(lineage.last) - before, 0)
    frames = {root.index for root in lineage.last.roots if root.kind == "frame"}
    groups: dict[str, list[int]] = defaultdict(list)
    for index in np.argsort(-gain, kind="stable")[:CANDIDATES_MAX].tolist():
        if gain[index] <= 0:
            break
        if index not in frames:
            groups[place_name(names, index)].append(index)
    return {
        owner: members[:1] if gain[members[0]] >= NEARLY_ALL * gain[members].sum() else members
        for owner, members in groups.items()
    }


def place_name(names: Names, index: int) -> str:
    """How the container is called in source; its class in angle brackets where it has no name."""
    owners = names.owners(index)
    return owners[0] if owners else f"<{names.class_name(index)}>"


def _place(
    lineage: Lineage, owner: str, members: list[int], first: int, is_new: Bools, censuses: Sequence[Snapshot]
) -> Place | None:
    """The place when its growth means something, else None."""
    seconds, values = _series(lineage, members, first)
    if len(values) < growth.POINTS_MIN:
        seconds, values = _with_exit(lineage, members, seconds, values)
    coarse = growth.trend(seconds, values)
    if coarse.steady < STEADY_MIN and not (len(members) == 1 and _is_one(lineage, members[0], first)):
        return None  # another container had this address before
    if len(members) == 1:
        finer = _census_series(lineage.last, members[0], censuses, seconds[0])
        if len(finer[0]) > len(seconds):
            seconds, values = finer
    found = growth.trend(seconds, values)
    if not found.is_growth or found.gain < max(GAIN_MIN, 2 * len(members) if len(members) > 1 else 0):
        return None
    stayed = survival(lineage, members, first)
    if stayed < SURVIVAL_MIN:
        return None
    children = new_children(lineage, members, first)
    reached = reach(lineage.last, children, is_new)
    if only_watches(lineage.last, children, reached, is_new, len(members)):
        return None  # what keeps those alive is elsewhere
    return Place(
        owner=owner,
        members=tuple(members),
        seconds=seconds,
        extents=values,
        trend=found,
        children=children,
        reached=reached,
        survival=stayed,
        bound=_bound(lineage.last, members),
        is_steady=coarse.points >= growth.POINTS_MIN + 1 and coarse.steady == 1.0,
        replaced=sum(replaced_values(lineage, index, first) for index in members),
        bursts=round(found.steady * (found.points - 1)) if coarse.steady < STEADY_MIN else None,
        entries=_gained(lineage, members, first),
    )


def _gained(lineage: Lineage, members: list[int], first: int) -> float:
    """How many more entries the containers have in the last graph than in snapshot `first`."""
    before = lineage.present[first, members]
    then = np.where(before >= 0, extents(lineage.graphs[first])[before], 0)
    return float((extents(lineage.last)[members] - then).sum())


def _is_one(lineage: Lineage, index: int, first: int) -> bool:
    """Whether a container is one and the same since snapshot `first`: at each it holds most of what it held before."""
    for k in range(first, len(lineage.graphs) - 1):
        before = _items(lineage.graphs[k], int(lineage.present[k, index]))
        kept = np.isin(_then(lineage, index, k), _then(lineage, index, k + 1))
        if not len(before) or kept.sum() < SURVIVAL_MIN * len(before):
            return False
    return True


def _series(lineage: Lineage, members: Iterable[int], first: int) -> tuple[Floats, Floats]:
    total = np.zeros(len(lineage.graphs) - first)
    for index in members:
        for k in range(first, len(lineage.graphs)):
            total[k - first] += extents(lineage.graphs[k])[lineage.present[k, index]]
    return lineage.seconds[first:], total


def _with_exit(lineage: Lineage, members: list[int], seconds: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The series with the moment of exit, where the containers are there still and not smaller.

    What a program lets go when it ends says nothing of it as it ran, but what it added until then does.
    """
    if lineage.at_exit is None or (lineage.present_at_exit[members] < 0).any():
        return seconds, values
    total = float(extents(lineage.at_exit)[lineage.present_at_exit[members]].sum())
    if total < values[-1]:
        return seconds, values
    return np.append(seconds, lineage.at_exit.snapshot.number("elapsed")), np.append(values, total)


def _census_series(graph: HeapGraph, index: int, censuses: Sequence[Snapshot], since: float) -> tuple[Floats, Floats]:
    """The container's length at every census since `since`; shorter where a census did not list it."""
    address, name = graph.addresses[index], graph.type_name(index)
    seconds, values = [], []
    for census in censuses:
        rows = np.flatnonzero(census.column("container.address") == address)
        if census.number("elapsed") >= since and len(rows):
            row = rows[0]
            if census.type_names[census.column("container.type")[row]] == name:
                seconds.append(census.number("elapsed"))
                values.append(float(census.column("container.length")[row]))
    return np.array(seconds), np.array(values)


def new_children(lineage: Lineage, members: Iterable[int], first: int) -> Ints:
    """What the containers refer to now and did not at snapshot `first`."""
    found = []
    for index in members:
        now = np.unique(lineage.last.referents(index)).astype(np.int64)
        found.append(now[~np.isin(now, _then(lineage, index, first))])
    return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def replaced_values(lineage: Lineage, index: int, first: int) -> int:
    """Of the values that a mapping held at snapshot `first`, how many it has put others in the place of.

    A mapping lists its values before its keys; one that only gains keeps every value that it had.
    """
    then = int(lineage.present[first, index])
    before, now = lineage.graphs[first], lineage.last
    if before.lengths[then] < 0 or not now.is_a(index, schema.TYPE_MAPPING):
        return 0
    had = before.referents(then)[: before.lengths[then]]
    has = now.referents(index)[: now.lengths[index]]
    kept = np.isin(has.astype(np.int64), _then(lineage, index, first)).sum()
    lost = len(np.unique(had)) - min(int(kept), len(np.unique(had)))
    return lost if now.lengths[index] >= before.lengths[then] else 0


def _then(lineage: Lineage, index: int, k: int) -> Ints:
    """Indexes (in the last snapshot) of those objects that container `index` referred to in snapshot `k`."""
    row = lineage.present[k]
    back = np.full(lineage.graphs[k].count, -1, dtype=np.int64)
    kept = row >= 0
    back[row[kept]] = np.flatnonzero(kept)
    held = back[lineage.graphs[k].referents(int(row[index]))]
    return held[held >= 0]


def survival(lineage: Lineage, members: Iterable[int], first: int) -> float:
    """Of the items that joined before the middle, the share still there at the end.

    A leak loses none of them; a population with turnover loses its oldest first; a queue all of them.
    """
    last = len(lineage.graphs) - 1
    middle = first + max(1, (last - first) // 2)
    if middle >= last:
        return 1.0
    stayed = total = 0
    for index in members:
        total += len(_items(lineage.graphs[middle], int(lineage.present[middle, index])))
        stayed += len(np.intersect1d(_then(lineage, index, middle), _items(lineage.last, index)))
    return stayed / total if total else 1.0


def _items(graph: HeapGraph, index: int) -> Ints:
    return _telling(graph, np.unique(graph.referents(index)).astype(np.int64))


def _telling(graph: HeapGraph, objects: Ints) -> Ints:
    """Those of `objects` that are more than a number or a constant."""
    trivial = graph.facts.are(schema.TYPE_CONSTANT) & graph.facts.are(schema.TYPE_ATOM)
    return np.asarray(objects[~trivial[graph.types[objects]]], dtype=np.int64)


def _bound(graph: HeapGraph, members: Sequence[int]) -> int | None:
    """The limit that all of the containers keep to: their own, or that of the object they are an attribute of."""
    limits = [limit_of(graph, index) for index in members]
    if any(limit is None or entries(graph, index) > limit for index, limit in zip(members, limits, strict=True)):
        return None
    return max((limit for limit in limits if limit is not None), default=None)


def entries(graph: HeapGraph, index: int) -> int:
    """Items in a container; for an lru_cache those of the dict inside of it."""
    if graph.type_name(index) == "functools._lru_cache_wrapper":
        inside = [int(i) for i in graph.referents(index) if graph.type_name(int(i)) == "builtins.dict"]
        return max((int(graph.lengths[i]) for i in inside), default=0)
    return int(extents(graph)[index])


def limit_of(graph: HeapGraph, index: int) -> int | None:
    """The limit that a container declares itself, or the object that it is an attribute of; None without one."""
    if index in graph.bounds:
        return graph.bounds[index]
    for edge in graph.referrer_edges(index).tolist():
        source = int(graph.sources[edge])
        if source in graph.bounds:
            return graph.bounds[source]
        if graph.label(edge).startswith("."):  # through a separate __dict__
            for above in graph.referrer_edges(source).tolist():
                owner = int(graph.sources[above])
                if owner in graph.bounds and graph.label(above) == "-__dict__":
                    return graph.bounds[owner]
    return None


def shared(graph: HeapGraph, places: list[Place]) -> list[Place]:
    """`share_bytes` filled in: what several places reach is split between them (BLeak's LeakShare)."""
    reachers = np.zeros(graph.count, dtype=np.int64)
    for place in places:
        reachers[place.reached] += 1
    with_share = [
        replace(place, share_bytes=float(np.sum(graph.sizes[place.reached] / reachers[place.reached])))
        for place in places
    ]
    return sorted(with_share, key=lambda place: -place.share_bytes)


def merged(places: list[Place], names: Names) -> list[Place]:
    """Places whose new objects are those of a larger place are named with it, not beside it.

    Of two with the same objects, one of which holds the very object that carries the other, the outer one is named:
    `logging.Manager.loggerDict` before the `loggerMap` of a PlaceHolder in it.
    """
    kept: list[Place] = []
    for place in places:
        for number, larger in enumerate(kept):
            common = len(np.intersect1d(place.reached, larger.reached, assume_unique=True))
            if len(place.reached) and common >= OVERLAP * len(place.reached):
                first, second = larger, place
                if common >= OVERLAP * len(larger.reached) and carries(names, place, larger):
                    first, second = place, larger
                kept[number] = replace(first, also_owned_by=(*first.also_owned_by, second.owner, *second.also_owned_by))
                break
        else:
            kept.append(place)
    return kept


def carries(names: Names, outer: Place, inner: Place) -> bool:
    """Whether the containers of `outer` refer to an object whose attributes are those of `inner`."""
    carriers = {names.owner_index(index) for index in inner.members}
    return any(carriers.intersection(names.graph.referents(index).tolist()) for index in outer.members)
