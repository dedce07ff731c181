"""Who makes the objects of a suspected class, and who puts something into a suspected container: stacks, on request.

    RUN/pid-4711.0/000001.births      the answer to request 1 (asked.py), whole at any moment, lines as there

    births     version of this format, number of the request
    state      "armed" or "over", seconds for which it was armed, seconds that the hooks took, what went wrong
    class      address, name, way ("alloc", "tracer", "tracemalloc" or "-"), births seen, why not
    place      address, way ("watcher", "lengths" or "-"), additions seen, why not
    frame      file, line, function, kind ("program", "library" or "stdlib"); numbered by their order, from 0 on
    stack      numbers of frames, innermost first; then those of who awaits the task that it is of, if any
    birth      address of the class, of the object, seconds since the agent's beginning, number of the stack
    addition   address of the container, of what was put in and of its key (0: not known), seconds, number of the stack

What sees it is C (_walk_births.c), armed here and let go of as soon as enough was seen. A stack has DEPTH frames at the
most: where there are more, those of the program first.
"""

import os
import sys
from time import monotonic

from . import __builtins__, asked, awaiting, plans, schema, windows, write
from .type_table import is_stdlib

VERSION = 1
SUFFIX = ".births"
DEPTH = 16
ENOUGH = 150  # stacks of a class, and of a container: of these 50 are told, those of what stayed
FRAMES_MAX, STACKS_MAX = 4000, 2000
TICK_SECONDS = 0.1
TICK_SECONDS_MAX = 1.0  # where little happens
ARMED_SECONDS = 120.0
WRITE_SECONDS = 1.0
LOOKS_FOR_TASKS = 6
EVENT_SECONDS = 4e-7  # what an event of monitoring costs
BIRTH, ADDITION = 0, 1
TOOL_IDS = (4, 3, 2)  # 0 is for debuggers, 1 for coverage, 5 for the interpreter's optimizer
PROGRAM, LIBRARY, STDLIB = "program", "library", "stdlib"


class Births:
    """One request, from arming to disarming; `tick` is called every `tick_seconds` meanwhile, by one thread."""

    def __init__(self, request, engine, folder, elapsed, budget, seconds, yield_gil, by_caller=False):
        """`elapsed` is the agent's clock now; `seconds` how long tracemalloc may run, 0 for not at all.

        `yield_gil` is called between slices, as of engine.py, and may raise. `by_caller`: the thread that asks is one
        of the program's, and what it makes is looked at, too.
        """
        self.is_over = False
        self.tick_seconds = TICK_SECONDS
        self._native = engine.native
        self._refusal, self._package = engine.refusal, engine.package if engine.shows_stacks() else ""
        self._package_folder = os.path.dirname(os.path.abspath(__file__))
        self.path = "%s/%06d%s" % (folder, request.number, SUFFIX)
        self.number, self._pid = request.number, os.getpid()
        self._began = monotonic()
        self._offset = elapsed - self._began
        self._until = self._began + ARMED_SECONDS
        self._budget = budget
        self._wrote = self._ticked = self._began
        self._is_changed = True
        self._figures = (0, 0, 0, 0.0, 1)
        # All of these hold atoms only: what the collector would list is made once, and hidden from the snapshots.
        self._frame_lines, self._frame_numbers = [], {}
        self._stack_lines, self._stack_numbers = [], {}
        self._record_lines = []
        self._seen, self._ways, self._whys, self._names = {}, {}, {}, {}
        self._places = list(request.places)
        self._constructors = {}
        self._looks_for_tasks = LOOKS_FOR_TASKS
        self._monitoring = None
        self._window = None
        self._yield_gil, self._by_caller = yield_gil, by_caller
        try:
            self._arm(request, seconds)
        except BaseException:
            self.abandon()
            raise
        finally:
            plans.forget()

    def _arm(self, request, seconds):
        heap = asked.Heap(self._yield_gil)
        try:
            self._arm_for(request, seconds, heap)
        finally:
            heap.close()

    def _arm_for(self, request, seconds, heap):
        kinds = asked.classes(request.classes)
        containers = asked.containers(request.places, heap, self._package)
        for address, name in request.classes.items():
            self._names[address], self._seen[address] = name, 0
            self._ways[address], self._whys[address] = "-", "" if address in kinds else "the class is gone"
        for address in self._places:
            self._seen[address], self._ways[address] = 0, "-"
            self._whys[address] = "" if address in containers else "the container is gone"
        try:
            if self._native is None:
                raise RuntimeError("the C library is not used here: %s" % self._refusal)
            monitoring = sys.monitoring if sys.version_info >= (3, 12) else None
            self._native.births_arm(monitoring.DISABLE if monitoring is not None else None, self._by_caller)
        except RuntimeError as problem:
            self._tell_why(str(problem))
        else:
            for address, kind in kinds.items():
                self._whys[address] = self._native.births_of(kind) or ""
                if not self._whys[address]:
                    is_made_here = plans.flags_of(kind) & plans.HEAP_FLAG
                    self._ways[address] = "alloc" if is_made_here else "tracer"
            lengths = [a for a, container in containers.items() if self._watch(a, container) == "lengths"]
            if lengths:
                self._monitor(request, heap, lengths)
        for address, kind in kinds.items():
            self._constructors[address] = constructors(kind)
        unseen = {address for address in request.classes if address in kinds and self._ways[address] == "-"}
        if unseen:
            try:
                self._window = windows.Window(unseen, request.places, seconds, self._package)
            except windows.Refused as problem:
                for address in unseen:
                    self._whys[address] = "; ".join(filter(None, (self._whys[address], str(problem))))
            else:
                for address in unseen:
                    self._ways[address], self._whys[address] = "tracemalloc", ""

    def _tell_why(self, text):
        for address in self._ways:
            self._whys[address] = self._whys[address] or text

    def _watch(self, address, container):
        kind = asked.kind_of(container)
        if kind is None:
            self._whys[address] = "nothing tells that it grows while it does"
            return ""
        if sys.version_info < (3, 12):
            self._whys[address] = "before Python 3.12 nothing tells who adds to a container but at a high price"
            return ""
        way = self._native.additions_to(container, kind)
        if way == "watched":
            self._ways[address] = "watcher"
        elif way != "lengths":
            self._whys[address] = way
        return way

    def _monitor(self, request, heap, lengths):
        """Ask for the lengths of these containers at every line of functions that may add to them."""
        codes = asked.functions(request, heap, self._package_folder)
        why = "" if codes else "no function uses it by its name"
        if codes:
            try:
                self._monitoring = Monitoring(self._native, codes)
                self._monitoring.turn_on()
            except Exception as problem:  # an audit hook of the program may refuse it
                self._monitoring, why = None, "sys.monitoring can't be used: %s" % problem
        for address in lengths:
            self._ways[address], self._whys[address] = ("-", why) if why else ("lengths", "")

    def tick(self):
        """Take what was recorded; disarm when it is enough, or the time is over."""
        now = monotonic()
        since, self._ticked = now - self._ticked, now
        if self._native is not None:
            count = self._take(now, max(since, TICK_SECONDS) * self._budget)
            is_quiet = count == 0 and (self._monitoring is None or self._monitoring.is_quiet)
            self.tick_seconds = min(2 * self.tick_seconds, TICK_SECONDS_MAX) if is_quiet else TICK_SECONDS
        if self._window is not None and self._window.is_due(now):
            self._close_window()
        if self._is_done(now):
            self.end()
        elif self._is_changed and now - self._wrote > WRITE_SECONDS:
            self._write("armed")

    def _is_done(self, now):
        waits = [a for a, way in self._ways.items() if way != "-" and (self._seen[a] < ENOUGH or way == "tracemalloc")]
        return now >= self._until or (not waits and self._window is None)

    def _take(self, now, allowed):
        records = self._native.births_take(allowed)
        figures = self._native.births_figures()
        if self._monitoring is not None:
            self._monitoring.spare((figures[1] - self._figures[1]) * EVENT_SECONDS, allowed)
        self._figures = figures
        awaiting_ = self._awaiting({record[4] for record in records} - {0})
        for kind, of, item, key, generator, seconds, _, spots in records:
            if self._seen.get(of, ENOUGH) < ENOUGH:
                self._add(kind, of, item, key, seconds, spots, awaiting_.get(generator, ()))
                if self._seen[of] == ENOUGH:
                    self._native.births_enough(of)
        return len(records)

    def _awaiting(self, coroutines):
        """Who awaits the tasks that run these coroutines, asked a few times only: it looks through the whole heap."""
        if not coroutines or self._looks_for_tasks <= 0:
            return {}
        self._looks_for_tasks -= 1
        heap = asked.Heap(self._yield_gil)
        try:
            return awaiting.awaiting(coroutines, heap)
        except Exception:  # the program forks or ends, and the stacks are worth more than who awaits
            return {}
        finally:
            heap.close()

    def _add(self, kind, of, item, key, seconds, spots, waiting):
        frames = []
        for index in range(0, len(spots), 2):
            code, line = spots[index], spots[index + 1]
            if not frames and kind == BIRTH and id(code) in self._constructors.get(of, ()):
                continue  # the class itself, not who asked for an object
            frames.append((plans.text_of(code.co_filename), line, plans.text_of(qualified(code))))
        self._note(kind, of, item, key, seconds, frames, waiting)

    def _note(self, kind, of, item, key, seconds, frames, waiting=()):
        if not frames or any(frame[0].startswith(self._package_folder) for frame in frames):
            return
        numbers = " ".join([str(self._frame(frame)) for frame in chosen(frames)])
        others = " ".join([str(self._frame(frame)) for frame in chosen(waiting)])
        if "-1" in numbers + others:
            return
        stack = self._stack(numbers + "\t" + others)
        if stack < 0:
            return
        self._seen[of] += 1
        self._is_changed = True
        place = "%d\t%d\t%d" % (of, item, key) if kind == ADDITION else "%d\t%d" % (of, item)
        word = "addition" if kind == ADDITION else "birth"
        self._record_lines.append("%s\t%s\t%.4f\t%d\n" % (word, place, seconds + self._offset, stack))

    def _frame(self, frame):
        file, line, function = frame
        text = "frame\t%s\t%d\t%s\t%s\n" % (schema.escape(file), line, schema.escape(function), kind_of_file(file))
        return numbered(self._frame_numbers, self._frame_lines, text, FRAMES_MAX)

    def _stack(self, text):
        return numbered(self._stack_numbers, self._stack_lines, "stack\t%s\n" % text, STACKS_MAX)

    def _close_window(self):
        window, self._window = self._window, None
        heap = asked.Heap(self._yield_gil)
        try:
            for of, item, frames in window.close(heap):
                self._note(BIRTH, of, item, 0, self._ticked, frames)
        finally:
            heap.close()
        for address, way in self._ways.items():
            if way == "tracemalloc" and not self._seen[address]:
                self._whys[address] = "nothing of it that was born while it watched was there at the end"

    def end(self):
        """Disarm and write what is known; again, it does nothing."""
        if self.is_over:
            return
        self.is_over = True
        if self._pid != os.getpid():
            return
        self._yield_gil = nothing  # at the program's end there is no other time
        try:
            if self._window is not None:
                self._close_window()
            if self._native is not None:
                self._take(monotonic(), 0.0)
        finally:
            self._disarm()
        self._write("over")

    def abandon(self):
        """Let go of the hooks in a forked child: they were asked for in its parent."""
        self.is_over = True
        self._disarm()

    def _disarm(self):
        monitoring, self._monitoring = self._monitoring, None
        window, self._window = self._window, None
        try:
            if monitoring is not None:
                monitoring.free()
        finally:
            try:
                if window is not None:
                    window.stop()
            finally:
                if self._native is not None:
                    self._native.births_disarm()

    def _write(self, state):
        self._wrote, self._is_changed = monotonic(), False
        head = "births\t%d\t%d\n" % (VERSION, self.number)
        head += "state\t%s\t%.3f\t%.6f\t\n" % (state, self._wrote - self._began, self._figures[3])
        for address in self._ways:
            if address in self._names:
                words = ("class", str(address), self._names[address])
            else:
                words = ("place", str(address))
            why = self._whys[address]
            if not why and not self._figures[4] and self._ways[address] == "tracer":
                why = "another tool took the interpreter's tracer of references"
            words += (self._ways[address], str(self._seen[address]), why)
            head += "\t".join([schema.escape(word) for word in words]) + "\n"
        lines = [head] + self._frame_lines + self._stack_lines + self._record_lines
        write.write_whole(self.path, ["".join(lines).encode("utf-8", "backslashreplace")])


def nothing():
    """In the place of a pause."""


def write_failure(folder, number, text):
    """The answer to a request that could not be obeyed."""
    lines = "births\t%d\t%d\nstate\tover\t0\t0\t%s\n" % (VERSION, number, schema.escape(text))
    write.write_whole("%s/%06d%s" % (folder, number, SUFFIX), [lines.encode("utf-8", "backslashreplace")])


class Monitoring:
    """Local events of sys.monitoring on some code, under an id that nobody has; on while their price is right.

    Raises RuntimeError when every id is taken.
    """

    def __init__(self, native, codes):
        self._api, self._native, self._codes = sys.monitoring, native, codes
        events = self._api.events
        self._events = events.LINE | events.PY_START | events.PY_RESUME | events.PY_RETURN | events.PY_YIELD
        self._is_on, self._rest, self.is_quiet = False, 0.0, True
        self._id = -1
        for number in TOOL_IDS:
            if self._api.get_tool(number) is None:
                self._api.use_tool_id(number, "leakhunt")
                self._id = number
                break
        if self._id < 0:
            raise RuntimeError("other tools have all of its ids")
        try:
            for event, callback in (
                (events.LINE, native.on_line), (events.PY_START, native.on_start), (events.PY_RESUME, native.on_start),
                (events.PY_RETURN, native.on_leave), (events.PY_YIELD, native.on_leave),
            ):  # fmt: skip
                self._api.register_callback(self._id, event, callback)
        except BaseException:
            self.free()
            raise

    def turn_on(self):
        self._native.births_settle()
        self._is_on = True
        for code in self._codes:
            self._api.set_local_events(self._id, code, self._events)

    def _turn_off(self):
        self._is_on = False
        for code in self._codes:
            self._api.set_local_events(self._id, code, 0)

    def spare(self, cost, allowed):
        """Rest for as long as it takes to earn what the last events cost."""
        self.is_quiet = cost == 0.0 and self._is_on
        if self._is_on:
            self._rest = cost
        self._rest -= allowed
        if self._is_on and self._rest > 0.0:
            self._turn_off()
        elif not self._is_on and self._rest <= 0.0:
            self.turn_on()
        else:
            self._native.births_settle()

    def free(self):
        number, self._id = self._id, -1
        if number < 0:
            return
        try:
            self._id = number
            self._turn_off()
        finally:
            self._id = -1
            for event in ("LINE", "PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD"):
                self._api.register_callback(number, getattr(self._api.events, event), None)
            self._api.free_tool_id(number)


def constructors(kind):
    """ids of code that makes objects of a class, and is not who asks for them."""
    found = []
    for owner, names in ((kind, ("__init__", "__new__")), (type(kind), ("__call__", "__new__"))):
        for base in plans.mro_of(owner):
            for name in names:
                entry = plans.namespace_proxy_of(base).get(name)
                entry = entry.__func__ if type(entry) in (staticmethod, classmethod) else entry
                if type(entry) is plans.FunctionType:
                    found.append(id(entry.__code__))
    return frozenset(found)


def qualified(code):
    """The name of a function with its class, where the interpreter knows it (3.11+)."""
    return getattr(code, "co_qualname", code.co_name)


def kind_of_file(file):
    if file.startswith("<frozen ") or is_stdlib(file):
        return STDLIB
    return LIBRARY if "site-packages" in file or "dist-packages" in file else PROGRAM


def chosen(frames):
    """DEPTH frames of a stack, in order: the innermost, the program's with the outermost among them, then others."""
    if len(frames) <= DEPTH:
        return frames
    own = [n for n, frame in enumerate(frames) if kind_of_file(frame[0]) == PROGRAM]
    picked = dict.fromkeys([0] + own[-1:] + own + list(range(len(frames))))
    return [frames[n] for n in sorted(list(picked)[:DEPTH])]


def numbered(numbers, lines, text, most):
    """The number of a line of text, which is added where it is new; -1 where there are too many."""
    number = numbers.get(text)
    if number is None:
        if len(lines) >= most:
            return -1
        number = numbers[text] = len(lines)
        lines.append(text)
    return number
