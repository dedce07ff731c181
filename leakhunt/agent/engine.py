"""Which walker takes the snapshot, and why not the other; from the moment to the file's bytes."""

import gc
import sys
from time import perf_counter, sleep, time

from . import __builtins__, census, headroom, ledger, listing, native, own, plans, roots, values, write
from .type_table import Types
from .walk import Walk

HOLD_SECONDS = 0.002
FRONTIER_MIN = 1000000
SLICED_MIN = 1000000  # … the GIL is given away while they are counted
STRINGS_MIN = 20000  # that may come to those of the first graph before they are made anew


def frontier_min():
    """From how many listed objects on a graph has what is young and what leads to it, and counts the rest."""
    return FRONTIER_MIN if listing.is_in_order_of_birth() and not gc.get_freeze_count() else native.NEVER


class GilYielder:
    """Called between slices: gives the GIL away when it was held for HOLD_SECONDS, and keeps the longest hold."""

    __slots__ = ("_since", "_stopped", "longest")

    def __init__(self, begun, stopped):
        self._since = begun
        self._stopped = stopped
        self.longest = 0.0

    def __call__(self):
        held = perf_counter() - self._since
        self.longest = max(self.longest, held)
        if self._stopped():
            raise Interrupted
        if held > HOLD_SECONDS:
            sleep(0)
            self.resume()

    def resume(self):
        """The GIL is held from here on: it was given away meanwhile."""
        self._since = perf_counter()


class Interrupted(Exception):
    """The program forks or ends: this snapshot is given up."""


def version():
    return "%d.%d.%d" % sys.version_info[:3]


class Engine:
    """Takes snapshots in this process. `package` is the name under which the agent is loaded.

    `wanted` is "c", "python", or "auto" for C where it fits; `refusal` says why it is not C. `with_values`: deep
    snapshots tell of the program's data, too (values.py). `pauses_per_deep`: a deep snapshot's pause is at most so many
    times that of a census, as measured (benchmarks/README.md). `native` is the C library or None.
    """

    def __init__(self, package, wanted="auto", with_values=False):
        self.package, self._wanted, self._with_values = package, wanted, with_values
        self._own = ()
        self.name, self.refusal, self.native = "python", "not wanted", None
        if wanted != "python":
            try:
                self.native = native.load(package)
                self.name, self.refusal = "c", ""
            except native.Refused as problem:
                self.refusal = str(problem)
        self.pauses_per_deep = 1.0 if self.native is None else 4.0
        self.frontier_min = native.NEVER if self.native is None else FRONTIER_MIN
        self._allocators = ledger.Allocators(self.native)
        self._known = self._strings = None  # names of the last graph, and the strings that they are
        self._strings_max = 0
        self._holders = b""  # old objects far from the roots that held young ones at the last graph, as addresses

    def settle(self):
        """Learn what belongs to the agent; call again when it has loaded more."""
        self._own = own.objects(self.package)
        plans.forget()

    def leave(self):
        """Leave the process's memory as it was found, as far as that can be: called when no snapshot will follow."""
        self._own = ()  # this engine is among them, and would wait for the collector with all of it
        self._known = self._strings = None
        self._allocators.trim()

    def forget_own(self):
        """The agent has made more: it is looked for again at the next snapshot."""
        self._own = ()

    def memory(self):
        """The ledger's figures that the agent itself moves: resident bytes, and what the allocators hold."""
        found = {"rss_anonymous_bytes": ledger.system_figures().get("rss_anonymous_bytes", 0)}
        found.update(self._allocators.figures())
        found.pop("pymalloc_blocks", None)
        return found

    def figures(self):
        """The whole ledger."""
        return ledger.figures(self._allocators)

    def snapshot(self, deep, meta, stopped=lambda: False):
        """(meta, strings, columns) of this moment, ready for `write.pieces`.

        A census in place of a deep snapshot that would take more memory than there is (headroom.py), or where there are
        interpreters with a GIL of their own: `graph_refused` in the meta data says so. `stopped` is asked between
        slices; Interrupted is raised when it says yes.
        """
        begun = perf_counter()
        if not self._own:
            self.settle()
        meta = dict(meta, engine=self.name)
        if self.refusal:
            meta["engine_wanted"], meta["engine_refusal"] = self._wanted, self.refusal
        if deep and self._has_sub_interpreters():
            deep, meta["graph_refused"] = False, "sub-interpreters"
        try:
            if deep:
                try:
                    return self._taken(True, meta, begun, stopped)
                except MemoryError:
                    meta["graph_refused"] = "memory"
            return self._taken(False, meta, begun, stopped)  # what the try had in its hands has gone
        finally:
            plans.forget()

    def shows_stacks(self):
        """Whether the frames of all threads can be looked at."""
        return not self._has_sub_interpreters()

    def _has_sub_interpreters(self):
        """Whether the stacks of this process can't be read without harm.

        From 3.12 on others may have a GIL and a memory of their own, and `sys._current_frames()` reaches into theirs:
        the frame objects that it makes there are freed by the wrong allocator, and the process aborts.
        """
        if sys.version_info < (3, 12):
            return False
        if self.native is not None:
            return self.native.interpreters() > 1
        for name in ("_interpreters", "_xxsubinterpreters"):
            every = plans.module_entry(name, "list_all")
            if type(every) is type(len) and len(every()) > 1:
                return True
        return False

    def _taken(self, deep, meta, begun, stopped):
        """As `snapshot`; a pause since `begun` that came to nothing is part of this one's."""
        meta.update(time=time(), kind="deep" if deep else "census")
        take = self._by_python if self.native is None else self._by_c
        strings, columns, yield_gil = take(deep, meta, begun, stopped)
        if deep and self._with_values:
            columns.update(values.columns(strings, yield_gil))
        meta["pause_ms"] = round(yield_gil.longest * 1e3, 3)
        meta["cost_ms"] = round((perf_counter() - begun) * 1e3, 3)
        return meta, strings, columns

    def _ask_system(self, meta, yield_gil, is_walk):
        """The ledger into `meta`; how many bytes a walk may take. While the system is asked, others have the GIL."""
        yield_gil()
        meta.update(self.figures())
        limit_bytes = headroom.limit_bytes() if is_walk else 0
        yield_gil.resume()
        return limit_bytes

    def _hidden(self):
        """Addresses of what is the agent's own at this moment."""
        hidden = set(map(id, self._own))
        hidden.add(id(self._own))
        hidden.update(own.frames())
        if (3, 12) <= sys.version_info < (3, 12, 6):  # gh-122695: traversing this module corrupts asyncio
            hidden.add(id(plans.entry_of(sys.modules, "_asyncio")))
        return hidden

    def _by_python(self, deep, meta, begun, stopped):
        """The rows in slices: the program runs in between, and what it changes meanwhile is seen before or after."""
        listed, is_by_age = listing.by_age()  # first of all: what is made from here on is not in it
        yield_gil = GilYielder(begun, stopped)
        limit_bytes = self._ask_system(meta, yield_gil, deep)
        strings = write.Strings()
        types = Types(strings)
        columns = census.census(listed, types, self._own, yield_gil, is_by_age)
        if deep:
            hidden = self._hidden()
            hidden.add(id(meta))
            found = roots.listed(self.package)
            hidden.update([root.made for root in found])
            walk = Walk(strings, types, hidden, yield_gil, limit_bytes)
            walk.run(listed, found)
            meta["walk_bytes"] = walk.taken_bytes()
            columns.update(walk.columns())
            if not is_by_age:
                del columns["object.place"]
        columns.update(types.columns)
        return strings, columns, yield_gil

    def _lasting(self):
        """(KnownNames, LastingStrings): names are made anew where most of their strings are of what has gone."""
        if self._known is None:
            self._known = self.native.known_names()
        if self._strings is None or len(self._strings) > self._strings_max > 0:
            self._known.forget()
            self._strings, self._strings_max = write.LastingStrings(), 0
        elif self._strings_max == 0 and len(self._strings) > 1:
            self._strings_max = 2 * len(self._strings) + STRINGS_MIN
        return self._known, self._strings

    def _by_c(self, deep, meta, begun, stopped):
        """The rows in one call that holds the GIL, then their names in slices."""
        yield_gil = GilYielder(begun, stopped)
        limit_bytes = self._ask_system(meta, yield_gil, True)
        found = roots.listed(self.package) if deep else []
        known, strings = self._lasting()
        marks = known.line_marks()
        hidden = self._hidden()
        hidden.update((id(meta), id(hidden), id(yield_gil)))
        hidden.update(map(id, (known, marks, *marks, *strings.parts())))
        if not deep:
            strings = write.Strings()
        hidden.update([root.made for root in found])
        line = (marks, frontier_min(), self._holders)
        hidden.add(id(line))
        rows = native.take(self.native, deep, hidden, found, limit_bytes, *line, yield_gil, SLICED_MIN)
        known.mark_line()
        left_out = rows.left_out()
        if left_out is not None:
            meta["left_out"], self._holders = left_out, rows.holders()
        held_seconds, memory_bytes = rows.figures()
        meta["walk_ms"], meta["walk_bytes"] = round(held_seconds * 1e3, 3), memory_bytes
        yield_gil()
        types = Types(strings)
        for kind in rows.take_types():
            types.plan_of(kind)
            yield_gil()
        kind = None
        columns = native.census(rows, types)
        if deep:
            columns.update(native.name(rows, types, found, strings, known, yield_gil))
        if not listing.is_in_order_of_birth():
            del columns["spectrum.count"]
        elif deep and rows.places() is not None:
            columns["object.place"] = rows.places()
        elif deep:
            meta["generation_rows"] = "%d %d" % rows.generations()
        columns.update(types.columns)
        return strings, columns, yield_gil
