"""The cheap snapshot: how many instances of each class the collector lists, their bytes, and the larger containers."""

import gc
import sys
from _collections import _count_elements
from array import array
from itertools import islice, repeat

from . import listing, schema
from .walk import all_of, grouped, length_of, size_of

SLICE = 4096


def census(listed, types, own, breathe):
    """Columns census.* and container.* (schema.py) of what is `listed`, the agent's `own` objects taken off.

    Tuples and frozensets are counted on their own: `listed` leaves them out (listing.py).

    Classes are keyed by `id()`, so that no metaclass's `__hash__` or `__eq__` runs.
    """
    tally = Tally(types)
    for start in range(0, len(listed), SLICE):
        tally.add(listed[start : start + SLICE])
        breathe()
    unseen = listing.unfinished_sizes()
    breathe()
    for kind in (tuple, frozenset):
        tally.add_unseen(kind, [size for address, size in unseen if address == id(kind)])
        breathe()
    return tally.columns(young_counts(), own_counts(own))


def own_counts(own):
    counts = {}
    _count_elements(counts, [id(type(item)) for item in own if gc.is_tracked(item)])
    return counts


def young_counts():
    """Instances by id(class) in generations 0 and 1; free-threaded builds have one generation, and all is old."""
    counts = {}
    if "t" not in sys.abiflags:
        _count_elements(counts, listing.kinds(0))
        _count_elements(counts, listing.kinds(1))
    return counts


class Tally:
    """Counts, bytes and container lengths, added up slice by slice."""

    def __init__(self, types):
        self._types = types
        self._counts, self._bytes = {}, {}
        self._sized = set()
        self._containers = {
            "container.address": array("Q"), "container.type": array("I"), "container.length": array("Q"),
        }  # fmt: skip

    def add(self, slice_):
        ids = list(map(id, map(type, slice_)))
        sample_by_id = dict(zip(ids, slice_))
        for address in sample_by_id.keys() - self._counts.keys():
            self._meet(sample_by_id[address], address)
        _count_elements(self._counts, ids)
        for address, items in grouped(slice_, ids, self._sized).items():
            self._measure(items, self._types.plan_by_id[address])

    def add_unseen(self, kind, sizes):
        """Instances of an exact builtin class that are known by their sizes only."""
        self._types.plan_of(kind)
        self._counts[id(kind)] = len(sizes)
        self._bytes[id(kind)] = sum(sizes)

    def _meet(self, item, address):
        plan = self._types.plan_of(type(item))
        size_of(item, plan)  # learns the size that all instances share
        if plan.size_bytes is None or plan.length is not None:
            self._sized.add(address)
            self._bytes[address] = 0

    def _measure(self, items, plan):
        sizes = repeat(plan.size_bytes) if plan.size_bytes is not None else all_of(size_of, plan.size, items, plan)
        self._bytes[id(plan.kind)] += sum(islice(sizes, len(items)))
        if plan.length is None:
            return
        lengths = all_of(length_of, plan.length, items, plan)
        if max(lengths) >= schema.CONTAINER_FLOOR:
            for item, length in zip(items, lengths):
                if schema.CONTAINER_FLOOR <= length < schema.NO_LENGTH:
                    for column, value in zip(self._containers.values(), (id(item), plan.row, length)):
                        column.append(value)

    def columns(self, young, own):
        rows = {name: array(code) for name, code in zip(("type", "count", "old", "bytes"), "IQQQ")}
        for address, listed in self._counts.items():
            plan = self._types.plan_by_id[address]
            count = max(listed - own.get(address, 0), 0)
            size = self._bytes.get(address)
            rows["type"].append(plan.row)
            rows["count"].append(count)
            rows["old"].append(max(count - young.get(address, 0), 0))
            rows["bytes"].append(count * plan.size_bytes if size is None else size)
        return {**{"census." + name: column for name, column in rows.items()}, **self._containers}
