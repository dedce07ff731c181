"""A reference graph of thousands of boxes made one that a person can read.

Each step merges more boldly than the one before, and the first result that fits is taken.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from leakhunt.findings import Edge, Node, RefGraph

OTHERS = " and others"
"""How the type of a box ends that holds several types."""

SHOWN = 8
"""Of the boxes that were joined, those that are kept to be unfolded."""

Key = Callable[[Node], Hashable]


def fold(graph: RefGraph, limit: int = 60) -> RefGraph:
    """At most `limit` boxes, by merging siblings; counts and sizes add up, so nothing is lost, only joined.

    Roots and holders stay, and so does the faulty reference; only where there are more roots than fit are
    roots of one type merged. A box that was merged has `count` above 1.
    """
    graph = _sound(graph)
    for key_of in (_twin_key, _sibling_key, _cousin_key, _root_key):
        while len(graph.nodes) > limit:
            folded = _merge(graph, key_of(graph))
            if len(folded.nodes) == len(graph.nodes):
                break
            graph = folded
    return graph if len(graph.nodes) <= limit else _without_far(graph, limit)


def _sound(graph: RefGraph) -> RefGraph:
    """Without references to boxes that are not there."""
    known = {node.id for node in graph.nodes}
    return replace(graph, edges=tuple(e for e in graph.edges if e.source in known and e.target in known))


def _is_kept(graph: RefGraph) -> Callable[[Node], bool]:
    sources = {edge.source for edge in graph.edges if edge.faulty}
    return lambda node: node.role in ("root", "holder") or node.id in sources


def _neighbours(graph: RefGraph) -> tuple[dict[int, set[tuple[int, bool]]], dict[int, set[tuple[int, bool]]]]:
    parents, children = defaultdict(set), defaultdict(set)
    for edge in graph.edges:
        parents[edge.target].add((edge.source, edge.faulty))
        children[edge.source].add((edge.target, edge.faulty))
    return parents, children


def _twin_key(graph: RefGraph) -> Key:
    """Same type, same holders, same held."""
    (parents, children), kept = _neighbours(graph), _is_kept(graph)
    return lambda n: n.id if kept(n) else (n.type, n.role, frozenset(parents[n.id]), frozenset(children[n.id]))


def _sibling_key(graph: RefGraph) -> Key:
    """Same type and same holders, whatever they hold; repeated, it folds subtrees that look alike."""
    (parents, _), kept = _neighbours(graph), _is_kept(graph)
    return lambda n: n.id if kept(n) else (n.type, n.role, frozenset(parents[n.id]))


def _cousin_key(graph: RefGraph) -> Key:
    """Same holders, of any type."""
    (parents, _), kept = _neighbours(graph), _is_kept(graph)
    return lambda n: n.id if kept(n) else (n.role, frozenset(parents[n.id]))


def _root_key(graph: RefGraph) -> Key:
    sources = {edge.source for edge in graph.edges if edge.faulty}
    return lambda n: (n.type, n.role) if n.role == "root" and n.id not in sources else n.id


def _far_key(graph: RefGraph, limit: int) -> Key:
    """The boxes nearest to a holder, a root or a faulty reference stay; the rest become one."""
    near = set(_by_distance(graph)[: max(1, limit - 1)])
    return lambda n: n.id if n.id in near else "far"


def _without_far(graph: RefGraph, limit: int) -> RefGraph:
    """The rest as one box, with only those of its references that touch what matters: no hairball."""
    kept = set(_by_distance(graph)[: max(1, limit - 1)])
    merged = _merge(graph, _far_key(graph, limit))
    far = {node.id for node in merged.nodes if node.id not in kept}
    plain = {node.id for node in merged.nodes if not node.role} | far
    return replace(
        merged,
        edges=tuple(e for e in merged.edges if not ({e.source, e.target} & far and plain >= {e.source, e.target})),
    )


def _by_distance(graph: RefGraph) -> list[int]:
    parents, children = _neighbours(graph)
    ends = [end for edge in graph.edges if edge.faulty for end in (edge.source, edge.target)]
    starts = ends + [n.id for role in ("holder", "root", "leaked") for n in graph.nodes if n.role == role]
    order = dict.fromkeys(starts)
    queue = deque(order)
    while queue:
        at = queue.popleft()
        for near, _ in sorted(parents[at] | children[at]):
            if near not in order:
                order[near] = None
                queue.append(near)
    return [*order, *(n.id for n in graph.nodes if n.id not in order)]


def _merge(graph: RefGraph, key: Key) -> RefGraph:
    groups: dict[Hashable, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        groups[key(node)].append(node)
    nodes = tuple(_joined(group) for group in groups.values())
    home = {node.id: group[0].id for group in groups.values() for node in group}
    bundles: dict[tuple[int, int, bool], list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        bundles[home[edge.source], home[edge.target], edge.faulty].append(edge)
    return replace(graph, nodes=nodes, edges=tuple(_bundled(ends, edges) for ends, edges in bundles.items()))


def _joined(group: list[Node]) -> Node:
    first = group[0]
    if len(group) == 1:
        return first
    one_type = len({node.type for node in group}) == 1
    return replace(
        first,
        type=first.type if one_type else first.type.removesuffix(OTHERS) + OTHERS,
        count=sum(node.count for node in group),
        size_bytes=sum(node.size_bytes for node in group),
        role=first.role if len({node.role for node in group}) == 1 else "",
        detail=_common(node.detail for node in group),
        retained_bytes=0,
        inside=_largest(group),
    )


def _largest(group: list[Node]) -> tuple[Node, ...]:
    """The largest of what was joined, each with what had been folded into it before, and the rest as one."""
    ranked = sorted(group, key=lambda node: -node.size_bytes)
    shown, rest = ranked[:SHOWN], ranked[SHOWN:]
    if not rest:
        return tuple(shown)
    size_bytes, count = sum(node.size_bytes for node in rest), sum(node.count for node in rest)
    return *shown, Node(-1, "", count, size_bytes)


def _bundled(ends: tuple[int, int, bool], edges: list[Edge]) -> Edge:
    source, target, faulty = ends
    label = _common(edge.label for edge in edges) or ("[*]" if edges[0].label.startswith("[") else "")
    return Edge(source, target, label, sum(edge.count for edge in edges), faulty)


def _common(words: Iterable[str]) -> str:
    """The word that all have, or ""."""
    different = set(words)
    return different.pop() if len(different) == 1 else ""
