"""The class that a leak is called by: the one that stands for the unit of it.

Of the classes of a unit it is the one whose objects dominate most of it, among those that appear about once per entry
and are more than plumbing. What holds everything else of an entry dominates all of it, so the application's own record
is named before what it holds, and what is in a tuple, a partial or a bound method is named in its place.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.policy import POLICY, Policy

from .facts import SAYS_LITTLE, SAYS_NOTHING
from .graph import Bools, HeapGraph, Ints
from .unit import Unit, reached_unit, unit

CARRIED_MAX = 12  # steps: a callback in a partial in a closure in an ExitStack is seven away from its entry


@dataclass(frozen=True)
class Candidate:
    """A class of a unit: `share` of the bytes that its objects dominate, the topmost of them `per_entry`."""

    name: str
    share: float
    per_entry: float

    @property
    def times_off(self) -> float:
        """How many times more or fewer of them there are than entries."""
        return max(self.per_entry, 1 / self.per_entry)


def telling_class(
    graph: HeapGraph, children: Ints, is_new: Bools, entries: float = 0.0, policy: Policy = POLICY
) -> str:
    """Name of the class to show for the entries `children` of a growing place; "" where there are none.

    What entries keep alive alone is asked first, then all that is new behind them.
    """
    if not len(children):
        return ""
    name = _entrys_own(graph, children, is_new, entries, policy)
    if name:
        return name
    for of in (unit(graph, children, is_new, entries), reached_unit(graph, children, is_new)):
        best = representative(graph, of, policy)
        spread = best is None or best.per_entry < policy.carried
        name = (_metaclass(graph, of, is_new, policy) if spread else "") or (best.name if best else "")
        if name:
            return name
    return _carrier(graph, children, policy)


def _entrys_own(graph: HeapGraph, children: Ints, is_new: Bools, entries: float, policy: Policy) -> str:
    """The class of the entries themselves, or of the one object that each carries, nearly all the same; "" if none.

    What hangs on an entry may be much more than the entry, and be shared by several (a node that knows its document):
    a person looks for what was put in.
    """
    says = ~graph.facts.are(SAYS_NOTHING | SAYS_LITTLE)
    nearest = np.array(carried(graph, children, is_new, policy), dtype=np.int64)
    own = Counter(graph.type_name(i) for i in nearest[says[graph.types[nearest]]].tolist())
    if not own:
        return ""
    name, number = own.most_common(1)[0]
    if number < policy.alone * own.total():
        return ""  # each has several: which of them stands for it, what they keep tells
    per_entry = number / (entries or len(children))
    classes = graph.index_of(graph.snapshot.column("type.address"))  # -1 for one that is no row
    is_made_for_each = bool((is_new[classes] & (classes >= 0))[graph.types[nearest]].any())
    return name if policy.one_each <= per_entry <= 1 / policy.one_each and not is_made_for_each else ""


def representative(graph: HeapGraph, of: Unit, policy: Policy = POLICY) -> Candidate | None:
    """The class that stands for a unit, None where all of it is plumbing."""
    found = [candidate for candidate in candidates(graph, of) if candidate.per_entry >= policy.per_entry]
    most = max((candidate.share for candidate in found), default=0.0)
    likely = [candidate for candidate in found if candidate.share >= policy.as_much * most]
    return min(likely, key=lambda one: (round(one.times_off), -one.share), default=None)


def candidates(graph: HeapGraph, of: Unit) -> list[Candidate]:
    """The classes of a unit that say something, each with its share of it."""
    names = graph.snapshot.type_names
    number_by_name = {name: number for number, name in enumerate(names)}
    canonical = np.array([number_by_name[name] for name in names], dtype=np.int64)
    says = ~graph.facts.are(SAYS_NOTHING | SAYS_LITTLE)
    kinds = np.where(says, canonical, -1)[graph.types[of.objects]]
    topmost = _topmost(kinds, of)
    weights = np.bincount(kinds[topmost], weights=of.retained_bytes[topmost], minlength=len(names))
    total = max(1.0, float(graph.sizes[of.objects].sum()))
    counts = np.bincount(kinds[topmost], minlength=len(names))
    return [
        Candidate(names[row], float(weights[row]) / total, float(counts[row]) / of.entries)
        for row in np.flatnonzero(counts).tolist()
    ]


def _topmost(kinds: Ints, of: Unit) -> Ints:
    """Numbers of the objects of a kind that no other of the same kind dominates; kind -1 is none."""
    count = len(of.objects)
    kind_of, up = kinds.tolist(), of.idom.tolist()
    found = []
    for number in np.flatnonzero(kinds >= 0).tolist():
        above = up[number]
        while above < count and kind_of[above] != kind_of[number]:
            above = up[above]
        if above >= count:
            found.append(number)
    return np.array(found, dtype=np.int64)


def _metaclass(graph: HeapGraph, of: Unit, is_new: Bools, policy: Policy) -> str:
    """Of objects whose classes are new themselves, one for every few entries: what most of these classes are."""
    says = ~graph.facts.are(SAYS_NOTHING | SAYS_LITTLE)
    rows = np.unique(graph.types[of.objects])
    addresses = graph.snapshot.column("type.address")[rows[says[rows]]]
    classes = graph.index_of(addresses)
    made = Counter(graph.type_name(i) for i in classes[classes >= 0].tolist() if is_new[i])
    if not made:
        return ""
    name, number = made.most_common(1)[0]
    return name if number >= policy.carried * of.entries else ""


def _carrier(graph: HeapGraph, children: Ints, policy: Policy) -> str:
    """Where all is plumbing: the class of most entries, or of atoms the one that takes most bytes."""
    direct = Counter(graph.type_name(int(i)) for i in children)
    solid = [(name, n) for name, n in direct.most_common() if not graph.facts.is_named(name, schema.TYPE_ATOM)]
    if solid and solid[0][1] >= policy.majority * max(direct.values()):
        return solid[0][0]
    weight: Counter[str] = Counter()
    for index in children.tolist():
        weight[graph.type_name(index)] += int(graph.sizes[index])
    return weight.most_common(1)[0][0]


def carried(graph: HeapGraph, children: Ints, within: Bools, policy: Policy = POLICY) -> list[int]:
    """New objects that are more than carriers, the nearest ones on each way down from `children`.

    Weak references are no carriers: what one of them watches, something else keeps.
    """
    carrier = graph.facts.are(schema.TYPE_PLUMBING) & ~graph.facts.are(schema.TYPE_WEAK)
    atom = graph.facts.are(schema.TYPE_ATOM)
    found: list[int] = []
    seen = np.zeros(graph.count, dtype=bool)
    layer = [int(i) for i in children if within[i]]
    for _ in range(CARRIED_MAX):
        following: list[int] = []
        for index in layer:
            if seen[index]:
                continue
            seen[index] = True
            row = int(graph.types[index])
            if carrier[row]:
                following.extend(int(r) for r in graph.referents(index) if within[r] and not seen[r])
            elif not atom[row]:
                found.append(index)
        if len(found) >= policy.carried * len(children):
            break
        layer = following
    return found


def code_name(graph: HeapGraph, children: Ints) -> str:
    """Of leaked functions, coroutines and generators: the qualified name most of them share, "" for none."""
    told = graph.facts.are(schema.TYPE_SUSPENDED)
    names = Counter(
        graph.names[int(i)][0]
        for i in children
        if int(i) in graph.names and (told[graph.types[int(i)]] or graph.type_name(int(i)) == "builtins.function")
    )
    return names.most_common(1)[0][0] if names else ""
