"""What one snapshot of the whole graph tells: who holds a container, and why objects are alive."""

from __future__ import annotations

import numpy as np

from leakhunt.analysis.heap import chains
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names
from leakhunt.findings import Chain
from leakhunt.snapshot import Snapshot


class DeepView:
    """A deep snapshot, its graph read once. Takes a second for a million objects, so it is made beside the view."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.seconds = snapshot.number("elapsed")
        self._graph = HeapGraph(snapshot)
        self._names = Names(self._graph)
        self._owner_by_container: dict[tuple[int, str], str] = {}

    def owner(self, address: int, type_name: str) -> str:
        """The place that holds a container, as `shop.Store.orders`; "" when it was not there yet, or has no name."""
        key = address, type_name
        if key not in self._owner_by_container:
            index = self._find(address, type_name)
            owners = self._names.owners(index) if index >= 0 else []
            self._owner_by_container[key] = owners[0] if owners else ""
        return self._owner_by_container[key]

    def chains(self, type_name: str, limit: int = 3) -> tuple[Chain, ...]:
        """Retaining chains of a class.

        Raises:
            UsageError: no object of it was there.
        """
        return chains.chains(self._graph, type_name, limit)

    def chain_to(self, address: int, type_name: str) -> tuple[Chain, ...]:
        """The retaining chain of one container; none when it was not there yet."""
        index = self._find(address, type_name)
        return (self._names.chain(index),) if index >= 0 else ()

    def _find(self, address: int, type_name: str) -> int:
        """The object of that class at an address, or -1."""
        index = int(self._graph.index_of(np.array([address], dtype=np.uint64))[0])
        return index if index >= 0 and self._graph.type_name(index) == type_name else -1
