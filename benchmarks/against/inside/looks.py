"""The two looks of each tool, as its documentation tells them. Imported in the program; Python 3.8 syntax.

`prepare()` comes before all. `first()` is the baseline and `second()` looks again; `tables()`, which could as well be
done elsewhere and later, gives the names that the tool then prints as growing, in its own order. `holder()` gives the
names that it prints or draws on the way to an object of the first class listed; a tool without such a view gives none.
"""

import io
import os
import re
import time

CHAIN_SECONDS = 20.0  # a search for a chain is given up after this


class Objgraph:
    """`growth()`; then `show_backrefs()` and `show_chain(find_backref_chain(…))` of a new object, as it teaches."""

    def __init__(self):
        import objgraph

        self.objgraph = objgraph
        self.peaks = {}
        self.grown = []

    def first(self):
        self.objgraph.growth(limit=None, peak_stats=self.peaks, shortnames=False)

    def second(self):
        self.grown = self.objgraph.growth(limit=None, peak_stats=self.peaks, shortnames=False)

    def tables(self):
        return [[name for name, _, _ in self.grown]]

    def prepare(self):
        self.objgraph.get_new_ids(limit=0, shortnames=False)

    def holder(self):
        new = sorted(self.objgraph.get_new_ids(limit=0, shortnames=False)[self.grown[0][0]])
        addresses = new[len(new) // 2 :][:1]
        drawn = io.StringIO()
        for some in self.objgraph.at_addrs(addresses):
            self.objgraph.show_backrefs([some], output=drawn)
            chain = self.objgraph.find_backref_chain(some, self._module_in_time())
            self.objgraph.show_chain(chain, output=drawn)
        return re.findall(r'-> .*\[label="(\w+)"', drawn.getvalue())

    def _module_in_time(self):
        """`is_proper_module`, which says yes to anything when the time is up, to end the search."""
        end = time.monotonic() + CHAIN_SECONDS
        return lambda some: self.objgraph.is_proper_module(some) or time.monotonic() > end


class Tracemalloc:
    """The differences of two snapshots by line, with the filters that the documentation shows. Knows no holders."""

    def __init__(self):
        import tracemalloc

        self.tracemalloc = tracemalloc
        tracemalloc.start()

    def first(self):
        self.before = self.tracemalloc.take_snapshot()

    def second(self):
        self.after = self.tracemalloc.take_snapshot()

    def tables(self):
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "*")
        ignored = ("<frozen importlib._bootstrap>", "<unknown>", self.tracemalloc.__file__, here)
        filters = [self.tracemalloc.Filter(False, name) for name in ignored]
        before, after = (snapshot.filter_traces(filters) for snapshot in (self.before, self.after))
        grown = [line for line in after.compare_to(before, "lineno") if line.size_diff > 0]
        return [[f"{line.traceback[0].filename}:{line.traceback[0].lineno}" for line in grown]]

    def prepare(self):
        pass

    def holder(self):
        return []


class Guppy:
    """`setref()`; then `heap()` and `heapu()`: allocated since and alive, reachable or not; and a path."""

    def __init__(self):
        import guppy

        self.hpy = guppy.hpy()

    def first(self):
        self.hpy.setref()

    def second(self):
        self.heap = self.hpy.heap()
        self.unreachable = self.hpy.heapu()

    def tables(self):
        return [[row.name for row in stat.get_rows() if row.size > 0] for stat in (self.heap.stat, self.unreachable)]

    def prepare(self):
        pass

    def holder(self):
        if not self.heap:
            return []
        objects = self.heap[0].byid
        return re.findall(r"\w+", str(objects[len(objects.nodes) // 2].sp))


class Pympler:
    """`SummaryTracker`: the difference by class, the largest first. Its browser of referrers is walked by hand."""

    def __init__(self):
        from pympler import tracker

        self.new_tracker = tracker.SummaryTracker

    def prepare(self):
        self.tracker = self.new_tracker()

    def first(self):
        self.tracker.diff()  # with what the tracker itself had added

    def second(self):
        self.rows = self.tracker.diff()

    def tables(self):
        rows = sorted(self.rows, key=lambda row: -row[2])
        return [[row[0] for row in rows if row[2] > 0]]

    def holder(self):
        return []


LOOKS = {"objgraph": Objgraph, "tracemalloc": Tracemalloc, "guppy3": Guppy, "pympler": Pympler}
