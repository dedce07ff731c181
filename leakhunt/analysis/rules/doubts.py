"""The doubts, in order: each asks of a candidate whether something else than a leak explains it.

What a place is doubted for by its own figures alone comes before these and stands in `holders.DOUBTS`. An answer is a
`Doubt`; nothing is dropped. Each has a reason that holds for programs nobody here wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.doubt import Doubt, ended
from leakhunt.analysis.growth import entry_keys, trends
from leakhunt.analysis.growth.age import distance
from leakhunt.analysis.growth.evidence import Evidence, Series
from leakhunt.analysis.growth.holders import Place
from leakhunt.analysis.heap import attributes
from leakhunt.analysis.heap.facts import SAYS_NOTHING
from leakhunt.analysis.heap.weakrefs import weakly_held
from leakhunt.analysis.policy import Policy

from . import memory, native
from .garbage import waiting_words
from .lifetime import agreement, has_grown_all_along
from .verdicts import Verdict


@dataclass(frozen=True)
class Case:
    """The candidates on one process, in the order of their detectors, with the doubts so far."""

    evidence: Evidence
    candidates: list[Verdict]

    def before(self, candidate: Verdict) -> list[Verdict]:
        """The candidates that come before one and are not ended."""
        number = next(n for n, other in enumerate(self.candidates) if other is candidate)
        return [other for other in self.candidates[:number] if not other.is_ended]


SAMPLE = 200
SIDE_TABLE = "side table"
Question = Callable[[Case, Verdict], Doubt | None]


def doubted(evidence: Evidence, candidates: Iterable[Verdict]) -> list[Verdict]:
    """All candidates with their doubts, and the confidence that is left.

    Every doubt is asked of all candidates before the next one is: a doubt may look at who is left.
    """
    case = Case(evidence, list(candidates))
    for question in DOUBTS:
        _ask(case, question)
    case = Case(evidence, native.with_native_memory(evidence, case.candidates))
    for question in LAST:
        _ask(case, question)
    found = [_with_its_age(evidence, candidate).weighed(evidence.policy) for candidate in case.candidates]
    return [_with_followers(candidate, found) for candidate in found]


def _ask(case: Case, question: Question) -> None:
    for number, candidate in enumerate(case.candidates):
        doubt = None if candidate.is_ended else question(case, candidate)
        if doubt is not None and doubt.name not in candidate.spared:
            case.candidates[number] = candidate.doubted(doubt)


def _with_its_age(evidence: Evidence, candidate: Verdict) -> Verdict:
    """The candidate, its reason saying that it has grown since the process began, where its age does."""
    if candidate.is_ended or not has_grown_all_along(evidence, candidate):
        return candidate
    life = evidence.survey.life(evidence.first)
    said = f"; at that rate it has grown in all the {life} that the process has run"
    return replace(candidate, reason=candidate.reason + said)


def _with_followers(candidate: Verdict, found: list[Verdict]) -> Verdict:
    """The candidate with the places in whose stead it is named."""
    if candidate.is_ended or candidate.owner is None:
        return candidate
    followers = [(other, doubt) for other in found for doubt in other.doubts if doubt.instead == candidate.owner]
    tables = [other.owner for other, doubt in followers if doubt.name == SIDE_TABLE and other.owner]
    return replace(
        candidate,
        also_owned_by=(*candidate.also_owned_by, *(other.owner or "" for other, _ in followers)),
        reason=candidate.reason + "".join(f"; {owner} fills up under the same ids" for owner in tables),
    )


# Those that end a candidate


def no_growth(case: Case, candidate: Verdict) -> Doubt | None:
    if candidate.place is not None:  # asked already
        return None
    problem = trends.objection(candidate.trend, case.evidence.policy)
    if not problem or has_grown_all_along(case.evidence, candidate):
        return None
    return ended("no growth", problem)


def few_more(case: Case, candidate: Verdict) -> Doubt | None:
    if candidate.place is not None:
        return None
    policy = case.evidence.policy
    least = policy.buffer_gain_bytes if candidate.is_in_bytes else policy.gain
    if candidate.trend.gain >= least:
        return None
    unit = "bytes" if candidate.is_in_bytes else "objects"
    return ended("few more", f"{candidate.trend.gain:,.0f} more {unit} may be chance")


def not_at_every_look(case: Case, candidate: Verdict) -> Doubt | None:
    """A buffer is another object each time: only one that is larger at every look is one that grows."""
    if candidate.detector != "buffer" or candidate.trend.steady >= 1.0:
        return None
    return ended("not at every look", "it was not larger at every look: another buffer has its place")


def held_now_and_then(case: Case, candidate: Verdict) -> Doubt | None:
    if candidate.group is None:
        return None
    faithful = case.evidence.group_survival(candidate.group)
    if faithful >= case.evidence.policy.faithful:
        return None
    said = f"only {faithful:.0%} of them were held so whenever they were seen: they come and go"
    return ended("held now and then", said)


def watched(case: Case, candidate: Verdict) -> Doubt | None:
    """Weak references to the living, kept by C: what keeps those alive is elsewhere."""
    if candidate.group is None:
        return None
    living = weakly_held(case.evidence.graph, candidate.direct)
    if len(living) <= case.evidence.policy.covered * len(candidate.direct):
        return None
    return ended("watches", "these are weak references to objects that something else keeps alive")


def attributes_of_objects(case: Case, candidate: Verdict) -> Doubt | None:
    """The dict of an object that has its values inside: from 3.13 on the object shows the values, not the dict."""
    if candidate.group is None or candidate.group.type != "builtins.dict":
        return None
    graph, policy = case.evidence.graph, case.evidence.policy
    some = candidate.direct[np.linspace(0, len(candidate.direct) - 1, min(SAMPLE, len(candidate.direct))).astype(int)]
    told = [attributes.is_of_object(graph, index) for index in some.tolist() if graph.lengths[index] > 0]
    if not told or np.mean(told) < policy.attributes:
        return None
    return ended(
        "attributes", "these are the attributes of objects, which hold them where the collector is not shown it"
    )


def covered(case: Case, candidate: Verdict) -> Doubt | None:
    """What is held from outside only once more than by a place that grows."""
    if candidate.group is None:
        return None
    evidence = case.evidence
    taken = np.zeros(evidence.graph.count, dtype=bool)
    for place in evidence.places:
        taken[place.reached] = True
    for other in case.before(candidate):
        if other.group is not None:
            taken[other.objects] = True
    if len(candidate.objects) and taken[candidate.objects].mean() <= evidence.policy.covered:
        return None
    return ended("covered", "a place that grows, or a larger class held the same way, accounts for most of them")


def collector_at_work(case: Case, candidate: Verdict) -> Doubt | None:
    if candidate.detector != "garbage" or waiting_words(case.evidence):
        return None
    return ended("collector at work", "the collector is on and will free them when it comes by")


def goes_with_garbage(case: Case, candidate: Verdict) -> Doubt | None:
    """Finalizers, and entries of weak mappings, of objects that wait for the collector: they go with these."""
    place, graph = candidate.place, case.evidence.graph
    if place is None or not len(place.reached):
        return None
    references = place.reached[graph.are(schema.TYPE_WEAK)[place.reached]]
    waiting = int(graph.garbage[weakly_held(graph, references)].sum())
    if waiting < case.evidence.policy.watching * max(place.entries, 1.0):
        return None
    said = (
        f"{waiting:,} of the objects that its entries watch are garbage, and the entries go when the collector comes by"
    )
    return ended("goes with garbage", said)


def said_to_end(case: Case, candidate: Verdict) -> Doubt | None:
    why = case.evidence.known.harmless_why(candidate.owner or "") if candidate.owner else ""
    return ended("known", why) if why and candidate.kind == "python-leak" else None


def bounded(case: Case, candidate: Verdict) -> Doubt | None:
    place = candidate.place
    if place is None:
        return None
    if place.bound is not None and _bytes_at(case.evidence, place, place.bound) <= case.evidence.policy.bound_bytes:
        return ended("bounded", f"it declares a bound of {place.bound:,} and has not passed it")
    bound = case.evidence.known.bound_of(place.owner)
    if bound is None or place.extents[-1] > bound.limit:
        return None
    return ended("bounded", f"it is pruned at {bound.limit:,}, which it has not passed: {bound.source}")


def _bytes_at(evidence: Evidence, place: Place, entries: float) -> float:
    """What a place would hold with so many entries, each as heavy as those that it gained."""
    return entries * float(evidence.graph.sizes[place.reached].sum()) / max(place.entries, 1.0)


def class_does_not_follow(case: Case, candidate: Verdict) -> Doubt | None:
    """A batch that is dropped and begun anew is seen by its class if not by its place."""
    if candidate.place is None or follows_its_class(case.evidence, candidate.type, candidate.place):
        return None
    said = f"{candidate.type} falls back, or grows by less than the place: it may be emptied and filled anew"
    return Doubt("class does not follow", said, at_most=case.evidence.policy.class_at_most)


def follows_its_class(evidence: Evidence, type_name: str, place: Place) -> bool:
    """Whether the class grows with the place."""
    series = evidence.classes.get(type_name)
    if series is None or evidence.graph.facts.is_named(type_name, SAYS_NOTHING) or place.is_steady:
        return True
    if series.counts[-1] < _instances(evidence, type_name, place):
        return True  # the collector does not list all of them
    policy, share = evidence.policy, _share(evidence, type_name, place)
    gain, fall = _besides_garbage(evidence, series)
    return fall <= policy.class_drawdown and gain >= policy.class_follows * place.trend.gain * share


def _besides_garbage(evidence: Evidence, series: Series) -> tuple[float, float]:
    """(gain, drawdown) of a class, without what fell while a full collection came by: that was garbage.

    Where full collections come all the time, they tell nothing of what falls then.
    """
    start = evidence.since
    full = [float(s.meta.get("gc_collections", "0").split()[-1]) for s in evidence.censuses[start:]]
    collected = np.diff(full) > 0
    if not collected.any() or collected.mean() > evidence.policy.often_collected:
        return series.trend.gain, series.trend.drawdown
    changes = np.diff(series.counts[start:])
    values = np.concatenate(([0.0], np.cumsum(np.where(collected, np.maximum(changes, 0.0), changes))))
    gain, fall = float(values[-1]), float((np.maximum.accumulate(values) - values).max())
    return gain, fall / gain if gain > 0 else 1.0


def _share(evidence: Evidence, type_name: str, place: Place) -> float:
    """Instances of the class among the place's new objects, for each item that it gained (at most 1)."""
    return min(1.0, _instances(evidence, type_name, place) / max(1.0, float(place.extents[-1] - place.extents[0])))


def _instances(evidence: Evidence, type_name: str, place: Place) -> int:
    rows = [row for row, name in enumerate(evidence.graph.snapshot.type_names) if name == type_name]
    return int(np.isin(evidence.graph.types[place.reached], rows).sum())


def index(case: Case, candidate: Verdict) -> Doubt | None:
    """A registry and its indexes are one leak, named by the container whose class tells most.

    An index is another container of the same object, that grows in lock-step and holds only atoms or tuples of them. It
    is a leak of its own where it is what takes the memory.
    """
    if candidate.place is None or not _tells_nothing(case.evidence, candidate):
        return None
    places = [other for other in case.candidates if other.place is not None and not other.is_ended]
    others = [other for other in places if not _tells_nothing(case.evidence, other)]
    registry = next((other for other in others if _is_index(case.evidence, candidate, other)), None)
    if registry is None:
        return None
    why = f"it is an index of {registry.owner}, which belongs to the same object, gains as many and tells more"
    return ended("index", why, registry.owner or "")


def _tells_nothing(evidence: Evidence, verdict: Verdict) -> bool:
    return evidence.graph.facts.is_named(verdict.type, SAYS_NOTHING)


def _is_index(evidence: Evidence, candidate: Verdict, registry: Verdict) -> bool:
    carrier, other = (evidence.names.owner_index(verdict.holder) for verdict in (candidate, registry))
    if carrier < 0 or carrier != other or evidence.graph.type_name(carrier) == "builtins.module":
        return False  # what globals have in common is no more than a file
    lock_step, pace = evidence.policy.lock_step, candidate.trend.gain / max(registry.trend.gain, 1.0)
    return 1 / lock_step <= pace <= lock_step and candidate.weight <= evidence.policy.index_weight * registry.weight


def side_table(case: Case, candidate: Verdict) -> Doubt | None:
    """A table about the entries of a registry, under the ids that these have, is filled and emptied with it.

    The registry is what its entries' own ids lead to. It must be as sure a leak, and the table is one of its own where
    it is what takes the memory.
    """
    if candidate.place is None or candidate.kind != "python-leak":
        return None
    registries = (other for other in case.candidates if _is_side_table(case, candidate, other))
    registry = next(registries, None)
    if registry is None:
        return None
    said = f"it is a table under the ids of what is in {registry.owner}, which gains the same ones"
    return ended(SIDE_TABLE, said, registry.owner or "")


def _is_side_table(case: Case, candidate: Verdict, registry: Verdict) -> bool:
    evidence, policy, place = case.evidence, case.evidence.policy, candidate.place
    if registry is candidate or registry.is_ended or place is None or registry.place is None:
        return False
    if candidate.weight > policy.index_weight * registry.weight:
        return False
    keys, values = entry_keys.new_entries(evidence.graph, place, evidence.is_new)
    ids, entries = entry_keys.new_entries(evidence.graph, registry.place, evidence.is_new)
    if len(keys) < max(policy.gain, policy.covered * place.entries) or len(ids) < policy.gain:
        return False
    if len(np.intersect1d(keys, ids)) < policy.overlap * max(len(keys), len(ids)):
        return False
    if registry.weighed(policy).confidence < min(policy.accuse_at, candidate.weighed(policy).confidence):
        return False
    know = entry_keys.know_their_key
    return know(evidence.graph, ids, entries) >= policy.overlap > know(evidence.graph, keys, values)


def explained(case: Case, candidate: Verdict) -> Doubt | None:
    """Memory of the process is nobody's only where what grows does not account for it."""
    if candidate.detector != "memory" or not memory.is_explained(case.evidence, case.before(candidate)):
        return None
    return ended("explained", "what the candidates before it gained accounts for it")


# Those that lower the confidence in it: by how the series looks


def few_looks(case: Case, candidate: Verdict) -> Doubt | None:
    policy, points = case.evidence.policy, candidate.trend.points
    less = policy.few_looks_less if points < policy.few_looks else policy.some_looks_less
    less = policy.three_looks_less if points <= trends.LOOKS_MIN else less
    if points < policy.some_looks and has_grown_all_along(case.evidence, candidate):
        ratio, life = agreement(case.evidence, candidate), case.evidence.survey.life(case.evidence.first)
        said = f"it was seen at {points} moments, when it held {ratio:.0%} of what its rate would have made in {life}"
        return Doubt("short look", said, policy.age_less + policy.age_apart_less * distance(ratio))
    return Doubt("few looks", f"it was seen at {points} moments only", less) if points < policy.some_looks else None


def unsteady(case: Case, candidate: Verdict) -> Doubt | None:
    """What stood still before it grew at all was not there yet, as the program's own objects while it imports."""
    policy, steady = case.evidence.policy, max(candidate.trend.steady, candidate.trend.since_first)
    less = policy.unsteady_less * max(0.0, policy.steady - steady)
    return Doubt("unsteady", f"it grew in {steady:.0%} of the intervals only", less) if less else None


def losing(case: Case, candidate: Verdict) -> Doubt | None:
    less = case.evidence.policy.losing_less * max(0.0, 1.0 - candidate.survival)
    return Doubt("losing", f"of its early items {1 - candidate.survival:.0%} are gone", less) if less else None


def slowing(case: Case, candidate: Verdict) -> Doubt | None:
    """A cache of few keys fills ever more slowly. Of few points the halves say little."""
    policy, trend = case.evidence.policy, candidate.trend
    lost = max(0.0, policy.later - trend.later_share)
    less = policy.slowing_less * min(1.0, max(0, trend.points - trends.POINTS_MIN) / 8) * lost
    return Doubt("slowing", f"the later half grew at {trend.later_share:.0%} of the pace", less) if less else None


def settling(case: Case, candidate: Verdict) -> Doubt | None:
    policy, trend = case.evidence.policy, candidate.trend
    less = policy.settling_less * max(0.0, policy.later - trend.settling)
    if not less or trend.points < policy.settling_looks:
        return None
    return Doubt("settling", f"the last third added {trend.settling:.0%} of what the first did", less)


def falling(case: Case, candidate: Verdict) -> Doubt | None:
    less = case.evidence.policy.falling_less * candidate.trend.drawdown
    return Doubt("falling", f"it fell back by {candidate.trend.drawdown:.0%} of its gain", less) if less else None


def few_objects(case: Case, candidate: Verdict) -> Doubt | None:
    policy, gain = case.evidence.policy, candidate.trend.gain
    if gain >= policy.few_objects:
        return None
    return Doubt("few objects", f"only {gain:,.0f} more", policy.few_objects_less)


# … and by what else it may be


def keys_come_back(case: Case, candidate: Verdict) -> Doubt | None:
    """Keys come back, and fewer new ones come: it fills up to the number of keys."""
    policy, place = case.evidence.policy, candidate.place
    if place is None or place.replaced < policy.recurring * place.trend.gain:
        return None
    if place.trend.later_share >= policy.recurring_slowing:
        return None
    said = f"{place.replaced:,} of its keys were given other values and fewer new ones came: it fills up"
    return Doubt("keys come back", said, policy.recurring_less)


def few_bursts(case: Case, candidate: Verdict) -> Doubt | None:
    policy, place = case.evidence.policy, candidate.place
    if place is None or place.bursts is None or place.bursts >= policy.bursts:
        return None
    said = f"it grew {place.bursts} times only: a table that is loaded when first asked for does so"
    return Doubt("few bursts", said, at_most=policy.bursts_at_most)


def on_a_stack(case: Case, candidate: Verdict) -> Doubt | None:
    """What the functions of waiting greenlets and threads have in hand besides locals is found nowhere in the heap."""
    evidence, policy = case.evidence, case.evidence.policy
    if candidate.kind != "refcount-leak" or len(evidence.deep) < 2:
        return None
    flags = evidence.graph.snapshot.column("type.flags")[evidence.graph.types]
    greenlets = ((flags & schema.TYPE_GREENLET > 0) & evidence.is_new).sum()
    frames = len({root.index for root in evidence.graph.roots if root.kind == "frame" and evidence.is_new[root.index]})
    by_threads = frames >= policy.stacks and candidate.trend.gain <= policy.stack_values * frames
    if greenlets < policy.stacks and not by_threads:
        return None
    said = f"{'greenlets' if greenlets >= policy.stacks else 'threads'} that wait have them on their stacks"
    return Doubt("on a stack", said, at_most=policy.stacks_at_most, is_alternative=True)


def unseen_holder(case: Case, candidate: Verdict) -> Doubt | None:
    """A list of weak references that an object of C keeps for itself (a connection's cursors): pruned at its own limit.

    One that has passed what such code lets pile up is none of these.
    """
    evidence, place = case.evidence, candidate.place
    if place is None or not len(place.children) or len(place.members) > 1:
        return None
    if place.extents[-1] > evidence.policy.pruned_in_c or not _is_kept_in_c(evidence, place.members[0]):
        return None
    weak = evidence.graph.are(schema.TYPE_WEAK)[place.children]
    if weak.mean() < evidence.policy.watching:
        return None
    said = "it holds weak references only, and C code, whose limits can't be seen, is all that holds it"
    return Doubt("unseen holder", said, at_most=evidence.policy.unseen_holder_at_most)


def _is_kept_in_c(evidence: Evidence, index: int) -> bool:
    """Whether only C code refers to a container: its own, or that of one object of a class made in C."""
    graph = evidence.graph
    edges = graph.referrer_edges(index)
    if not len(edges):
        return not graph.tree[0][index]
    source = int(graph.sources[edges[0]])
    in_c = graph.is_a(source, schema.TYPE_EXTENSION | schema.TYPE_INTERPRETER) or not graph.is_a(
        source, schema.TYPE_HEAP
    )
    return len(edges) == 1 and in_c and graph.lengths[source] < 0 and not graph.is_a(source, schema.TYPE_PLUMBING)


def in_c_objects(case: Case, candidate: Verdict) -> Doubt | None:
    """Not all objects of C classes tell the collector what they refer to: `threading.local` has its callbacks so."""
    evidence = case.evidence
    if candidate.kind != "refcount-leak" or candidate.group is None:
        return None
    policy, values = evidence.policy, candidate.group.counts
    piles = [native.owner_counts(evidence, place.reached) for place in evidence.places]
    if evidence.graph.facts.is_named(candidate.group.type, SAYS_NOTHING):
        piles += [group.counts for group in evidence.garbage]
    if not any(each[-1] >= policy.c_objects and native.fit(each, values).fits >= policy.in_step for each in piles):
        return None
    said = "the C objects that pile up in step with them refer to them"
    return Doubt("in C objects", said, at_most=policy.c_objects_hold_at_most, is_alternative=True)


def of_c_objects(case: Case, candidate: Verdict) -> Doubt | None:
    """Native growth beside leaked objects that may own it: less sure than their leak, which comes first."""
    if candidate.kind != "native-growth":
        return None
    others = [other for other in case.candidates if not other.is_ended and len(other.objects)]
    if not any(native.have_memory_in_c(case.evidence, other.objects) for other in others):
        return None
    said = "the leaked objects of C classes have it"
    return Doubt("of C objects", said, at_most=case.evidence.policy.c_objects_at_most, is_alternative=True)


def young(case: Case, candidate: Verdict) -> Doubt | None:
    """Sessions that live for a minute, a batch that is flushed after a minute and a half: until then they only grow.

    No curve tells them from a leak, and the interval is what the user said of the program's time scale.
    """
    policy, intervals = case.evidence.policy, case.evidence.intervals
    if intervals >= policy.settled_intervals or has_grown_all_along(case.evidence, candidate):
        return None
    said = f"it was watched for {intervals:.0f} intervals only: what lives for a while grows until its first goes"
    return Doubt("young", said, at_most=policy.unsettled_at_most)


def starting(case: Case, candidate: Verdict) -> Doubt | None:
    """So few looks were left after the start-up that some of it had to be counted in.

    What went on at its pace when that was over is none of it.
    """
    evidence = case.evidence
    if evidence.started <= evidence.since and (not len(evidence.deep) or evidence.has_started):
        return None
    if _went_on(candidate, float(evidence.seconds[evidence.started]), evidence.policy):
        return None
    said = "the program was importing its modules for most of the looks: what grew then has an end"
    return Doubt("starting", said, at_most=evidence.policy.starting_at_most)


def _went_on(candidate: Verdict, since: float, policy: Policy) -> bool:
    """Whether a candidate that lost nothing kept its pace in what was seen of it after a moment."""
    seconds, counts = candidate.seconds, np.asarray(candidate.counts, dtype=float)
    after = slice(int(np.searchsorted(seconds, since)), None)
    if len(seconds[after]) < trends.LOOKS_MIN or candidate.survival < 1.0:
        return False
    trend = trends.trend(seconds[after], counts[after])
    return trend.gain >= policy.gain and trend.steady == 1.0 and trend.later_share >= policy.later


DOUBTS: tuple[Question, ...] = (
    no_growth, few_more, not_at_every_look, held_now_and_then, watched, attributes_of_objects, covered,
    collector_at_work, goes_with_garbage, said_to_end, bounded, class_does_not_follow, index, explained,
    few_looks, unsteady, losing, slowing, settling, falling, few_objects,
    keys_come_back, few_bursts, unseen_holder, on_a_stack, in_c_objects, of_c_objects, young, starting,
)  # fmt: skip

# These are asked when memory of C code has been given out. The first once more: who was left may have got it.
LAST: tuple[Question, ...] = (explained, side_table)
