"""Small reference graphs for people: the chain to a holder, and who refers to a class, folded by class and label."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.heap.dominators import is_affordable, kept_dominators
from leakhunt.analysis.heap.finalizers import finalizable
from leakhunt.analysis.heap.graph import HeapGraph, Ints, Root
from leakhunt.analysis.heap.naming import Names, reading
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.findings import Edge, Node, RefGraph

from .grouped import folded

SHOWN_CLASSES = 4
GATHERED_MIN = 10


@dataclass
class GraphBuilder:
    """A RefGraph while it is drawn up: one box for each key. `retained_sizes` are None where they take too long."""

    heap: HeapGraph
    names: Names
    retained_sizes: Ints | None
    nodes: dict[object, Node] = field(default_factory=dict)
    edges: Counter[tuple[int, int, str, bool]] = field(default_factory=Counter)

    def box(self, key: object, type_name: str, role: str = "", detail: str = "") -> int:
        if key not in self.nodes:
            self.nodes[key] = Node(len(self.nodes), type_name, role=role, detail=detail)
        return self.nodes[key].id

    def box_of(self, key: object, objects: Ints, role: str, detail: str = "") -> int:
        """One box for objects of one class."""
        if key not in self.nodes:
            size_bytes = int(self.heap.sizes[objects].sum())
            inside = folded(self.heap, self.names, objects, self.retained_sizes)
            kind = self.heap.type_name(int(objects[0]))
            self.nodes[key] = Node(len(self.nodes), kind, len(objects), size_bytes, role, detail, inside=inside)
        return self.nodes[key].id

    def link(self, source: int, target: int, label: str, count: int = 1, faulty: bool = False) -> None:
        self.edges[source, target, label, faulty] += count

    def graph(self, title: str) -> RefGraph:
        edges = tuple(Edge(s, t, label, n, faulty) for (s, t, label, faulty), n in self.edges.items())
        return RefGraph(title, tuple(self.nodes.values()), edges)


def of_verdict(evidence: Evidence, verdict: Verdict) -> RefGraph:
    """From the root down the chain to the holder, the reference to cut marked, and what hangs on it by class."""
    graph, names = evidence.graph, evidence.names
    sketch = GraphBuilder(graph, names, evidence.dominators.retained_sizes if is_affordable(graph) else None)
    above = -1
    if verdict.holder >= 0:
        above = _draw_chain(sketch, names, verdict.holder)
    faulty = above >= 0
    if above < 0:
        word = verdict.owner or ("cyclic garbage" if verdict.kind == "delayed-finalizer" else "outside the Python heap")
        above = sketch.box("root", word, role="root")
    for name, members in _by_class(graph, verdict.direct)[:SHOWN_CLASSES]:
        box = sketch.box_of(("direct", name), members, _role(graph, members, True))
        sketch.link(above, box, "[*]" if faulty else "", len(members), faulty)
        _draw_below(sketch, graph, box, members, verdict.objects)
    return sketch.graph(f"What keeps {verdict.type or 'this'} alive")


def _draw_chain(sketch: GraphBuilder, names: Names, holder: int) -> int:
    """Boxes from the root to the holder; namespaces and cells are drawn as labels only. Gives the holder's box."""
    chain = names.chain(holder).links
    box = sketch.box("root", chain[0].label, role="root")
    for number, link in enumerate(chain[1:]):
        is_last = number == len(chain) - 2
        role = "holder" if is_last else "finalizer" if link.finalizer else ""
        following = sketch.box(("chain", number), link.type, role=role, detail=link.finalizer or "")
        sketch.link(box, following, link.label)
        box = following
    return box


def _draw_below(sketch: GraphBuilder, graph: HeapGraph, box: int, members: Ints, leaked: Ints) -> None:
    """One level further down: what the leaked objects refer to that leaks with them."""
    inside = np.zeros(graph.count, dtype=bool)
    inside[leaked] = True
    following = [graph.referents(int(i)) for i in members[:2000]]
    children = np.unique(np.concatenate(following)).astype(np.int64) if following else np.empty(0, dtype=np.int64)
    for name, below in _by_class(graph, children[inside[children]])[:SHOWN_CLASSES]:
        key = sketch.box_of(("below", name), below, _role(graph, below, False))
        sketch.link(box, key, _common_label(graph, members, below), len(below))


def _common_label(graph: HeapGraph, sources: Ints, targets: Ints) -> str:
    """The label that most of a few references from `sources` to `targets` carry."""
    labels: Counter[str] = Counter()
    wanted = set(targets.tolist())
    for source in sources[:20].tolist():
        for edge in range(int(graph.offsets[source]), int(graph.offsets[source + 1])):
            if int(graph.targets[edge]) in wanted and graph.label(edge):
                labels[reading(graph.label(edge))] += 1
    return labels.most_common(1)[0][0] if labels else ""


def _by_class(graph: HeapGraph, objects: Ints) -> list[tuple[str, Ints]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index in objects.tolist():
        groups[graph.type_name(index)].append(index)
    return [(name, np.array(rows)) for name, rows in sorted(groups.items(), key=lambda item: -len(item[1]))]


def _role(graph: HeapGraph, objects: Ints, leaked: bool) -> str:
    if len(finalizable(graph, objects)):
        return "finalizer"
    return "leaked" if leaked else ""


def backrefs(graph: HeapGraph, names: Names, starts: Ints, depth: int, width: int) -> RefGraph:
    """Who refers to `starts`, `depth` references back, the `width` commonest kinds of referrer at each step.

    The first reference at which one object holds most of many is the one to cut, should they be a leak.
    """
    sketch = GraphBuilder(graph, names, kept_dominators(graph).retained_sizes if is_affordable(graph) else None)
    first = sketch.box_of("start", starts, "leaked", _called(names, starts))
    layer = [(first, starts)]
    roots = {root.index: root for root in graph.roots}
    seen = set(starts.tolist())
    is_marked = False
    for _ in range(depth):
        following = []
        for box, members in layer:
            for (name, label), sources in _referrers(graph, members, seen)[:width]:
                key = (name, label, box)
                role, detail = _standing(graph, roots, sources)
                above = sketch.box_of(key, sources, role, detail or _called(names, sources))
                held = 0 if is_marked else _gathered(graph, sources, members)
                is_marked |= held > 0
                sketch.link(above, box, label, held or len(sources), held > 0)
                following.append((above, sources))
                seen.update(sources.tolist())
        layer = following
    return sketch.graph(f"Back-references of {graph.type_name(int(starts[0]))}")


def _gathered(graph: HeapGraph, sources: Ints, members: Ints) -> int:
    """How many of many `members` a lone source holds, 0 where that is not most of them."""
    if len(sources) > 1 or len(members) < GATHERED_MIN:
        return 0
    held = int(np.isin(members, graph.referents(int(sources[0]))).sum())
    return held if 2 * held > len(members) else 0


def _referrers(graph: HeapGraph, members: Ints, seen: set[int]) -> list[tuple[tuple[str, str], Ints]]:
    """Referrers by class and label, those with most references to `members` first: a lone list may have them all."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index in members[:5000].tolist():
        for edge in graph.referrer_edges(index).tolist():
            source = int(graph.sources[edge])
            if source not in seen:
                groups[graph.type_name(source), reading(graph.label(edge))].append(source)
    return [(key, np.unique(rows)) for key, rows in sorted(groups.items(), key=lambda item: -len(item[1]))]


def _standing(graph: HeapGraph, roots: dict[int, Root], sources: Ints) -> tuple[str, str]:
    for index in sources[:50].tolist():
        if index in roots:
            return "root", f"{roots[index].kind} {roots[index].label}"
    return ("finalizer", "") if len(finalizable(graph, sources)) else ("", "")


def _called(names: Names, sources: Ints) -> str:
    """For a lone object: its name (a function's, a class's), or its value where values were stored."""
    if len(sources) > 1:
        return ""
    index = int(sources[0])
    return names.graph.names.get(index, ("",))[0] or names.graph.values.get(index, "")
