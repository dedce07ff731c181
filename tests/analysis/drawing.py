"""Graphs written as they are drawn: `drawn("root -> a -> b, a -> c")`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from heap import Heap

from leakhunt.analysis.heap.graph import HeapGraph

ROOT = "root"


class Drawn:
    """A heap graph whose objects have names: `graph`, and `index["a"]` of each."""

    def __init__(self, edges: Iterable[tuple[str, str]], lone: Iterable[str] = ()) -> None:
        heap = Heap()
        self.edges = list(edges)
        self.nodes = list(dict.fromkeys([n for edge in self.edges for n in edge if n != ROOT] + list(lone)))
        things = {name: heap.list(kind=f"drawn.{name}") for name in self.nodes}
        for source, target in self.edges:
            if source == ROOT:
                heap.root(things[target], "interpreter", target)
            else:
                things[source].append(things[target])
        for thing in things.values():
            heap.hold_by_c(thing)  # what no root reaches is to stay as well
        self.graph = HeapGraph(heap.snapshot())
        kinds = [self.graph.type_name(i) for i in range(self.graph.count)]
        self.index = {name: kinds.index(f"drawn.{name}") for name in self.nodes}
        self.name = {index: name for name, index in self.index.items()}
        self.size = {name: int(self.graph.sizes[index]) for name, index in self.index.items()}


def drawn(text: str) -> Drawn:
    """Chains parted by commas; what follows from `root` is a GC root."""
    edges = []
    for chain in text.split(","):
        names = [word.strip() for word in chain.split("->")]
        edges += itertools.pairwise(names)
    return Drawn(edges)
