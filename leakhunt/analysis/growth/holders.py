"""The places that grow: containers found by their lengths between snapshots, by the names they have in source.

A place is one container, or all containers of one name (a registry of constant size whose inner lists grow). What
is compared is the same object at several moments, so containers that come and go are never one; or what an object
had by the same name (rebuilt.py), where a program makes the container anew at every change.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.doubt import Doubt, ended
from leakhunt.analysis.heap.graph import HeapGraph, Ints
from leakhunt.analysis.heap.lineage import Lineage
from leakhunt.analysis.heap.naming import Names
from leakhunt.analysis.heap.reachability import reach
from leakhunt.analysis.heap.weakrefs import watching
from leakhunt.analysis.policy import POLICY, Policy
from leakhunt.snapshot import Snapshot

from . import trends
from .age import Life, is_old, share_of_start
from .rebuilt import rebuilt
from .trends import Floats, Trend

CANDIDATES_MAX = 4000
SURVIVAL_MIN = POLICY.survival
NOTHING: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Place:
    """A growing place, seen from the last deep snapshot.

    `members` are container indexes; `children` what they refer to now and did not at the beginning; `reached` all
    new objects that the children lead to. `survival` is the share of an early cohort of items still there at the
    end (1.0 where nothing was ever taken out), `bound` the limit the container or its owner declares, None without.
    `is_steady`: larger at every one of five graphs or more. `replaced` counts the entries of a mapping whose value
    is another one now: keys that come back. `bursts` is how often it grew, where it stands still most of the time, else
    None. `entries` is how many more the containers hold than at the beginning. `share_bytes` is the size of
    `reached`, objects reached from several places split between them.
    `doubt` is why its growth means nothing, or which place stands for it; None where it is a place by itself. Of such a
    one no more is known than it took to doubt it.
    """

    owner: str
    members: tuple[int, ...]
    seconds: Floats
    extents: Floats
    trend: Trend
    children: Ints = field(default_factory=lambda: NOTHING)
    reached: Ints = field(default_factory=lambda: NOTHING)
    survival: float = 1.0
    bound: int | None = None
    is_steady: bool = False
    replaced: int = 0
    share_bytes: float = 0.0
    also_owned_by: tuple[str, ...] = field(default=())
    bursts: int | None = None
    doubt: Doubt | None = None
    entries: float = 0.0

    @property
    def is_bounded(self) -> bool:
        """Filling up to a limit that it declares and has not passed."""
        return self.bound is not None


class Measured:
    """Containers of one name since snapshot `first`, each figure computed once and when first asked for."""

    def __init__(self, survey: Survey, members: tuple[int, ...], first: int) -> None:
        self.survey, self.members, self.first = survey, members, first
        self._lineage = survey.lineage

    @functools.cached_property
    def _by_graphs(self) -> tuple[Floats, Floats]:
        seconds, values = _series(self._lineage, self.members, self.first)
        if len(values) < trends.POINTS_MIN:
            return _with_exit(self._lineage, list(self.members), seconds, values)
        return seconds, values

    @functools.cached_property
    def series(self) -> tuple[Floats, Floats]:
        """(seconds, items), by the censuses where they saw it more often than the graphs did."""
        seconds, values = self._by_graphs
        if len(self.members) == 1 and self.members[0] not in self._lineage.rebuilt:
            finer = _census_series(self._lineage.last, self.members[0], self.survey.censuses, seconds[0])
            if len(finer[0]) > len(seconds):
                return finer
        return seconds, values

    @functools.cached_property
    def coarse(self) -> Trend:
        return trends.trend(*self._by_graphs)

    @functools.cached_property
    def trend(self) -> Trend:
        return trends.trend(*self.series)

    @functools.cached_property
    def sameness(self) -> float:
        """The least share of its items that the one container kept from one graph to the next; 0.0 of several."""
        return _sameness(self._lineage, self.members[0], self.first) if len(self.members) == 1 else 0.0

    @functools.cached_property
    def carriers(self) -> tuple[int, int]:
        """(how many objects of the class that carries these containers there were, how many of them still are)."""
        names = self.survey.names
        owner = names.owner_index(self.members[0])
        lasting = self.survey.class_survival(self.first)
        return lasting.get(names.graph.type_name(owner), (0, 0)) if owner >= 0 else (0, 0)

    @functools.cached_property
    def survival(self) -> float:
        return survival(self._lineage, self.members, self.first)

    @functools.cached_property
    def stayed(self) -> float:
        """Of the items at the first look, the share that is still there."""
        return stayed(self._lineage, self.members, self.first)

    @functools.cached_property
    def agreement(self) -> float:
        """What there was at the first look over what its growth since would have made in the life before it.

        What is there since the start-up does not count.
        """
        lineage, then = self._lineage, self._lineage.present[self.first]
        before = float(sum(entries_then(lineage, self.first, index) for index in self.members))
        now = float(sum(int(extents(lineage.last)[index]) for index in self.members))
        later = before * (1.0 - share_of_start(lineage.last, then, self.members))
        return self.survey.life(self.first).agreement(later, now - before)

    def has_grown_all_along(self, policy: Policy) -> bool:
        """Whether an old process came to what is in here at the rate at which it grew while it was looked at."""
        if not is_old(self.survey.censuses[0], policy.settled_intervals):
            return False
        trend = self.trend
        rises = round(trend.steady * (trend.points - 1))
        grew = trend.gain > 0 and trend.drawdown <= policy.age_drawdown
        often = trend.points < trends.POINTS_MIN or rises >= policy.age_rises
        return grew and often and self.stayed >= policy.age_stayed and agrees(self.agreement, policy)

    def only_gained(self, policy: Policy) -> bool:
        """Whether three looks say as much as four: none of the items went, and as many came before as after the middle.

        Of numbers alone three in rising order are chance; here it is known of each item that it stayed. So do the names
        of a module while it is imported.
        """
        trend, steps = self.trend, self.survey.names.steps(self.members[0])
        if steps and steps[-1].is_internal:
            return False
        if trend.points != trends.LOOKS_MIN or trend.steady < 1.0 or trend.gain < policy.few_objects:
            return False
        kept = self.stayed == 1.0 and self.survival == 1.0 and len(_telling(self._lineage.last, self.children)) > 0
        return trend.later_share >= policy.later and kept

    @functools.cached_property
    def children(self) -> Ints:
        return new_children(self._lineage, self.members, self.first)

    @functools.cached_property
    def reached(self) -> Ints:
        return reach(self._lineage.last, self.children, self.survey.is_new(self.first))

    @functools.cached_property
    def watching(self) -> float:
        is_new = self.survey.is_new(self.first)
        return watching(self._lineage.last, self.children, self.reached, is_new, len(self.members))

    @functools.cached_property
    def replaced(self) -> int:
        return sum(replaced_values(self._lineage, index, self.first) for index in self.members)

    @functools.cached_property
    def entries(self) -> float:
        """How many more entries the containers have in the last graph than at first."""
        then = sum(entries_then(self._lineage, self.first, index) for index in self.members)
        return float(extents(self._lineage.last)[list(self.members)].sum() - then)

    @functools.cached_property
    def bound(self) -> int | None:
        return _bound(self._lineage.last, self.members)


class Survey:
    """What containers were at the moments of a lineage; measures each once, whatever policy asks."""

    def __init__(self, lineage: Lineage, names: Names, censuses: Sequence[Snapshot]) -> None:
        self.lineage, self.names, self.censuses = lineage, names, tuple(censuses)
        self.is_new = functools.cache(lineage.is_new)
        self.class_survival = functools.cache(lineage.class_survival)
        self.of = functools.cache(functools.partial(Measured, self))
        self.grown = functools.cache(self._grown)
        self.life = functools.cache(self._life)

    def _life(self, first: int) -> Life:
        return Life.between(self.lineage.graphs[first].snapshot, self.lineage.last.snapshot)

    def _grown(self, first: int) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """(members, what each gained) of containers larger than at snapshot `first`, by the name of their place.

        The most grown come first.
        """
        lineage, names = self.lineage, self.names
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
        found = {owner: (tuple(rows), tuple(gain[rows].tolist())) for owner, rows in groups.items()}
        anew = rebuilt(lineage, names, first, POLICY.gain)
        lineage.rebuilt.update(anew)
        for index, rows in anew.items():
            before_it = int(extents(lineage.graphs[first])[rows[first]]) if rows[first] >= 0 else 0
            found.setdefault(place_name(names, index), ((index,), (int(extents(lineage.last)[index]) - before_it,)))
        return {owner: one for owner, one in found.items() if one[1][0] > 0}


def agrees(ratio: float, policy: Policy) -> bool:
    """Whether an agreement is near enough to 1."""
    return policy.age_least <= ratio <= policy.age_most


def extents(graph: HeapGraph) -> Ints:
    """Of each container, how much is in it."""
    return graph.extents


def growing_places(survey: Survey, policy: Policy = POLICY, first: int | None = None) -> list[Place]:
    """All places that grew since graph `first` (by default the one after the warm-up), those that are doubted too.

    First those that are not, that lead to most bytes first.
    """
    lineage = survey.lineage
    if first is None:
        first = min(trends.start(lineage.seconds, policy.warm_up), len(lineage.graphs) - 2)
    found = []
    for owner, (members, gained) in survey.grown(first).items():
        is_one = gained[0] >= policy.stands_for_all * sum(gained)  # the others only wobble
        found.append(_place(owner, survey.of(members[:1] if is_one else members, first), policy))
    doubted = [place for place in found if place.doubt is not None]
    kept = [place for place in found if place.doubt is None]
    return merged(shared(lineage.last, kept), survey.names, policy) + doubted


def _place(owner: str, seen: Measured, policy: Policy) -> Place:
    for question in DOUBTS:
        doubt = question(owner, seen, policy)
        if doubt is not None:
            return Place(owner, seen.members, *seen.series, seen.trend, doubt=doubt)
    return measured_place(owner, seen, policy)


def measured_place(owner: str, seen: Measured, policy: Policy = POLICY) -> Place:
    """The place with all that can be known of it, whatever may be doubted."""
    coarse = seen.coarse
    return Place(
        owner=owner,
        members=seen.members,
        seconds=seen.series[0],
        extents=seen.series[1],
        trend=seen.trend,
        children=seen.children,
        reached=seen.reached,
        survival=seen.survival,
        bound=seen.bound,
        entries=seen.entries,
        is_steady=coarse.points >= trends.POINTS_MIN + 1 and coarse.steady == 1.0,
        replaced=seen.replaced,
        bursts=round(seen.trend.steady * (seen.trend.points - 1)) if coarse.steady < policy.same_container else None,
    )


def _nameless(owner: str, seen: Measured, policy: Policy) -> Doubt | None:
    if len(seen.members) == 1 or not owner.startswith("<"):
        return None
    return ended("nameless", f"these are {len(seen.members):,} containers that have no name in common")


def _carriers_go(owner: str, seen: Measured, policy: Policy) -> Doubt | None:
    """What hangs on a population that turns over goes with it."""
    if len(seen.members) == 1:
        return None
    before, stayed = seen.carriers
    if before == 0 or stayed >= policy.carriers_lasting * before:
        return None
    return ended("carriers go", f"of {before:,} objects that carry these containers {stayed:,} are still there")


def _another_container(owner: str, seen: Measured, policy: Policy) -> Doubt | None:
    if seen.coarse.steady >= policy.same_container or seen.sameness >= policy.survival:
        return None
    said = "it grew in few of the intervals and lost what was in it: another container had its address before"
    return ended("another container", said)


def _no_growth(owner: str, seen: Measured, policy: Policy) -> Doubt | None:
    problem = trends.objection(seen.trend, policy)
    if not problem or seen.has_grown_all_along(policy) or seen.only_gained(policy):
        return None
    return ended("no growth", problem)


def _few_more(owner: str, seen: Measured, policy: Policy) -> Doubt | None:
    needed = max(policy.gain, policy.per_member * len(seen.members) if len(seen.members) > 1 else 0)
    if seen.trend.gain >= needed:
        return None
    among = f" in {len(seen.members):,} containers" if len(seen.members) > 1 else ""
    return ended("few more", f"{seen.trend.gain:,.0f} more items{among} may be chance")


def _turnover(owner: str, seen: Measured, policy: Policy) -> Doubt | None:
    if seen.survival >= policy.survival:
        return None
    return ended("turnover", f"of its early items {seen.survival:.0%} were still there at the end: they come and go")


def _watches(owner: str, seen: Measured, policy: Policy) -> Doubt | None:
    """What keeps those alive is elsewhere."""
    if seen.watching < policy.watching or seen.watching == 0:
        return None
    return ended("watches", "it holds weak references to objects that something else keeps alive")


# In this order; each costs more to answer than the one before.
DOUBTS: tuple[Callable[[str, Measured, Policy], Doubt | None], ...] = (
    _nameless, _carriers_go, _another_container, _no_growth, _few_more, _turnover, _watches,
)  # fmt: skip


def place_name(names: Names, index: int) -> str:
    """How the container is called in source; its class in angle brackets where it has no name."""
    owners = names.owners(index)
    return owners[0] if owners else f"<{names.class_name(index)}>"


def _sameness(lineage: Lineage, index: int, first: int) -> float:
    least = 1.0
    for k in range(first, len(lineage.graphs) - 1):
        if lineage.row(k, index) < 0:
            continue  # it was not there yet
        before = _items(lineage.graphs[k], lineage.row(k, index))
        kept = np.isin(_then(lineage, index, k), _then(lineage, index, k + 1))
        least = min(least, float(kept.sum()) / len(before)) if len(before) else 0.0
    return least


def _series(lineage: Lineage, members: Iterable[int], first: int) -> tuple[Floats, Floats]:
    total = np.zeros(len(lineage.graphs) - first)
    for index in members:
        for k in range(first, len(lineage.graphs)):
            total[k - first] += entries_then(lineage, k, index)
    return lineage.seconds[first:], total


def _with_exit(lineage: Lineage, members: list[int], seconds: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The series with the moment of exit, where the containers are there still and larger.

    What a program lets go when it ends says nothing of it as it ran, but what it added until then does.
    """
    if lineage.at_exit is None or (lineage.present_at_exit[members] < 0).any():
        return seconds, values
    total = float(extents(lineage.at_exit)[lineage.present_at_exit[members]].sum())
    if total <= values[-1]:
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
    then = lineage.row(first, index)
    if then < 0:
        return 0
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
    container, row = lineage.row(k, index), lineage.present[k]
    if container < 0:
        return NOTHING
    back = np.full(lineage.graphs[k].count, -1, dtype=np.int64)
    kept = row >= 0
    back[row[kept]] = np.flatnonzero(kept)
    held = back[lineage.graphs[k].referents(container)]
    return held[held >= 0]


def survival(lineage: Lineage, members: Iterable[int], first: int) -> float:
    """Of the items that joined before the middle, the share still there at the end.

    A leak loses none of them; a population with turnover loses its oldest first; a queue all of them.
    """
    last = len(lineage.graphs) - 1
    middle = first + max(1, (last - first) // 2)
    return stayed(lineage, members, middle) if middle < last else 1.0


def stayed(lineage: Lineage, members: Iterable[int], k: int) -> float:
    """Of the items that the containers held at snapshot `k`, the share that they still hold."""
    kept = total = 0
    for index in members:
        total += len(_items(lineage.graphs[k], lineage.row(k, index)))
        kept += len(np.intersect1d(_then(lineage, index, k), _items(lineage.last, index)))
    return kept / total if total else 1.0


def entries_then(lineage: Lineage, k: int, index: int) -> int:
    """How much was in a container at graph `k`; 0 where it was not there yet."""
    row = lineage.row(k, index)
    return int(extents(lineage.graphs[k])[row]) if row >= 0 else 0


def _items(graph: HeapGraph, index: int) -> Ints:
    if index < 0:
        return NOTHING
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


def merged(places: list[Place], names: Names, policy: Policy = POLICY) -> list[Place]:
    """Places whose new objects are those of a larger place are named with it: first those that stand for themselves.

    Of two with the same objects, one of which holds the very object that carries the other, the outer one is named:
    `logging.Manager.loggerDict` before the `loggerMap` of a PlaceHolder in it.
    """
    kept: list[Place] = []
    joined: list[Place] = []
    for place in places:
        for number, larger in enumerate(kept):
            common = len(np.intersect1d(place.reached, larger.reached, assume_unique=True))
            if len(place.reached) and common >= policy.overlap * len(place.reached):
                first, second = larger, place
                if common >= policy.overlap * len(larger.reached) and carries(names, place, larger):
                    first, second = place, larger
                kept[number] = replace(first, also_owned_by=(*first.also_owned_by, second.owner, *second.also_owned_by))
                same = ended("same objects", f"it leads to the same objects as {first.owner}, which stands for both")
                joined.append(replace(second, doubt=same))
                break
        else:
            kept.append(place)
    return kept + joined


def carries(names: Names, outer: Place, inner: Place) -> bool:
    """Whether the containers of `outer` refer to an object whose attributes are those of `inner`."""
    carriers = {names.owner_index(index) for index in inner.members}
    return any(carriers.intersection(names.graph.referents(index).tolist()) for index in outer.members)
