"""The cheap snapshot: how many instances of each class the collector lists, their bytes, and the larger containers."""

import gc
import sys
from _collections import _count_elements
from array import array

from . import __builtins__, listing, schema
from .walk import grouped, lengths_of, size_of, sizes_of

SLICE = 4096
FLOOR_BYTES = 8 * schema.CONTAINER_FLOOR  # at a pointer an item, whatever is smaller holds fewer


def census(listed, types, own, yield_gil, is_by_age=False):
    """Columns census.*, container.*, spectrum.* (schema.py) of what is `listed`, the agent's `own` objects taken off.

    `is_by_age`: the oldest come first in `listed`; without it there is no spectrum.

    Tuples and frozensets are counted on their own: `listed` leaves them out (listing.py).

    Classes are keyed by `id()`, so that no metaclass's `__hash__` or `__eq__` runs.
    """
    tally = Tally(types, own if is_by_age else None)
    for tenth in range(schema.TENTHS):
        end = len(listed) * (tenth + 1) // schema.TENTHS
        for start in range(len(listed) * tenth // schema.TENTHS, end, SLICE):
            tally.add(listed[start : min(start + SLICE, end)], tenth)
            yield_gil()
    tally.add_unfinished(listing.unfinished())
    yield_gil()
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
    """Counts, bytes and container lengths by class, added up slice by slice."""

    def __init__(self, types, left_out=None):
        """With a spectrum, of all but what is `left_out`, where that is given."""
        self._types = types
        self._counts, self._bytes, self._tenths = {}, {}, {}
        self._has_spectrum, self._left_out = left_out is not None, frozenset(map(id, left_out or ()))
        self._containers = {
            "container.address": array("Q"), "container.type": array("I"), "container.length": array("Q"),
        }  # fmt: skip

    def add(self, slice_, tenth):
        for address, items in grouped(slice_, list(map(id, map(type, slice_)))).items():
            if address not in self._counts:
                self._meet(type(items[0]), items[0])
            self._counts[address] += len(items)
            self._tenths[address][tenth] += len(items)
            self._measure(items, self._types.plan_by_id[address])
        if not self._left_out.isdisjoint(map(id, slice_)):
            for item in slice_:
                self._tenths[id(type(item))][tenth] -= id(item) in self._left_out

    def add_unfinished(self, counts):
        """Tuples and frozensets, of which only counts by (id of the class, size) are known."""
        for kind in (tuple, frozenset):
            self._meet(kind, kind())
        for (address, size), count in counts.items():
            self._counts[address] += count
            self._bytes[address] += count * size

    def _meet(self, kind, sample):
        plan = self._types.plan_of(kind)
        size_of(sample, plan)  # learns the size that all instances share
        self._counts[id(kind)] = self._bytes[id(kind)] = 0
        self._tenths[id(kind)] = array("Q", bytes(8 * schema.TENTHS))

    def _measure(self, items, plan):
        if plan.size_bytes is None:
            sizes = sizes_of(items, plan)
            self._bytes[id(plan.kind)] += sum(sizes)
            if plan.header_bytes and max(sizes) < FLOOR_BYTES:  # one of the builtin containers
                return
        if plan.length is not None:
            self._note_lengths(items, plan)

    def _note_lengths(self, items, plan):
        for item, length in zip(items, lengths_of(items, plan)):
            if schema.CONTAINER_FLOOR <= length < schema.NO_LENGTH:
                for column, value in zip(self._containers.values(), (id(item), plan.row, length)):
                    column.append(value)

    def columns(self, young, own):
        rows = {name: array(code) for name, code in zip(("type", "count", "old", "bytes"), "IQQQ")}
        for address, listed in self._counts.items():
            plan = self._types.plan_by_id[address]
            count = max(listed - own.get(address, 0), 0)
            rows["type"].append(plan.row)
            rows["count"].append(count)
            rows["old"].append(max(count - young.get(address, 0), 0))
            rows["bytes"].append(self._bytes[address] if plan.size_bytes is None else count * plan.size_bytes)
        columns = {**{"census." + name: column for name, column in rows.items()}, **self._containers}
        if self._has_spectrum:
            columns["spectrum.count"] = array("Q")
            for tenths in self._tenths.values():
                columns["spectrum.count"].extend(tenths)
        return columns
