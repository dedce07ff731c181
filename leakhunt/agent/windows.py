"""Births by tracemalloc, for what nothing cheaper sees: on for a window, and asked only for objects that are suspected.

Where the program traces already, its traces are read and left alone.
"""

from gc import get_referents
from time import monotonic

from . import __builtins__, asked, plans

DEPTH = 16
OBJECTS_MAX = 150  # of each class
LEVELS = 3  # below a container, to find what no collector lists


class Refused(Exception):
    """It is not to be used here; says why."""


class Window:
    """From its making to `close`. `kinds` are addresses of classes, `places` those of containers, with ways to them."""

    def __init__(self, kinds, places, seconds, package):
        import _tracemalloc

        self._api, self._kinds, self._places, self._package = _tracemalloc, kinds, places, package
        self._is_ours = not _tracemalloc.is_tracing()
        self._until = monotonic() + seconds
        if self._is_ours:
            if not seconds:
                raise Refused("tracemalloc would see it, at 2 to 15 times the program's time: --births SECONDS")
            _tracemalloc.start(DEPTH)

    def is_due(self, now):
        return now >= self._until

    def close(self, heap):
        """[(address of the class, of the object, frames)] of objects that are there and were born in the window."""
        try:
            return self._found(heap)
        finally:
            self.stop()

    def stop(self):
        if self._is_ours:
            self._is_ours = False
            self._api.stop()

    def _found(self, heap):
        counts, traces, items = dict.fromkeys(self._kinds, 0), [], heap.of_classes(self._kinds)
        items += self._below(asked.containers(self._places, heap, self._package).values())
        seen = set()
        for item in reversed(items):  # the youngest are last
            kind = id(type(item))
            if kind not in counts or counts[kind] >= OBJECTS_MAX or id(item) in seen:
                continue
            seen.add(id(item))
            trace = self._api._get_object_traceback(item)
            if trace is not None:
                counts[kind] += 1
                traces.append((kind, id(item), trace))
        items = item = None
        names = functions_at({place for _, _, trace in traces for place in trace}, heap)
        return [(kind, address, [(f, n, names.get((f, n), "?")) for f, n in trace]) for kind, address, trace in traces]

    def _below(self, layer):
        """What containers lead to, the newest entries first where there are many: atoms among them."""
        found = []
        for _ in range(LEVELS):
            following = []
            for item in layer:
                if type(item) not in (plans.FunctionType, plans.ModuleType, plans.CodeType, type):
                    following.extend(get_referents(item)[-100000:])
            found.extend(following)
            layer = following[-20000:]
        return found


def functions_at(places, heap):
    """The name of the function at each (file, line): the innermost of those that begin before it."""
    files, best = {file for file, _ in places}, {}
    lines = {}
    for file, line in places:
        lines.setdefault(file, []).append(line)
    for code in heap.codes():
        if code.co_filename not in files:
            continue
        last = last_line(code)
        for line in lines[code.co_filename]:
            if code.co_firstlineno <= line <= last:
                place = code.co_filename, line
                if place not in best or best[place][0] < code.co_firstlineno:
                    best[place] = code.co_firstlineno, getattr(code, "co_qualname", code.co_name)
    return {place: best[place][1] if place in best else "<module>" for place in places}


def last_line(code):
    """The last line of a function, by its table of lines."""
    if hasattr(code, "co_lines"):
        return max([line for _, _, line in code.co_lines() if line is not None] or [code.co_firstlineno])
    line = last = code.co_firstlineno
    table = code.co_lnotab
    for step in table[1::2]:
        line += step if step < 128 else step - 256
        last = max(last, line)
    return last
