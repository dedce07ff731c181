"""GC roots that can be listed from inside: modules, frames of every thread, tables of the interpreter."""

import gc
import sys

from . import __builtins__, plans

FRAMES_MAX = 5000
FORK_TABLE = "at-fork callback table"
CO_OPTIMIZED = 1
_fork_tables = None


class Root:
    """An object held by the interpreter itself. `locals` maps names to values for a frame, else None.

    `made` is the address of the dict that reading the locals left in the frame, 0 for none.
    """

    __slots__ = ("kind", "label", "locals", "made", "target")

    def __init__(self, kind, label, target, variables=None, made=0):
        self.kind, self.label, self.target, self.locals, self.made = kind, label, target, variables, made


def listed(own_name):
    """Every root that can be listed, but the agent's own (its modules are `own_name` and below)."""
    found = [Root("interpreter", "sys.modules", sys.modules)]
    for name, module in list(dict.items(sys.modules)):
        if type(name) is str and not is_own(name, own_name):
            found.append(Root("module", name, module))
    found.append(Root("gc.garbage", "gc.garbage", gc.garbage))
    found.append(Root("interpreter", "gc.callbacks", gc.callbacks))
    found.extend(Root("interpreter", FORK_TABLE, table) for table in fork_tables(own_name))
    found.extend(frames(own_name))
    return found


def fork_tables(own_name):
    """The interpreter's lists behind os.register_at_fork, by the one hook that the agent has in each of them.

    Looked for once: that goes through the whole heap, and the lists stay the same as long as the process lives.
    """
    global _fork_tables
    if _fork_tables is None:
        agent = getattr(plans.entry_of(sys.modules, own_name), "__dict__", {})
        hooks = tuple(agent[name] for name in ("_before_fork", "_after_fork", "_in_child") if name in agent)
        mine = set(map(id, hooks))
        holders = gc.get_referrers(*hooks) if agent.get("_hooked") else ()
        _fork_tables = [one for one in holders if type(one) is list and len(mine.intersection(map(id, one))) == 1]
    return _fork_tables


def is_own(module, own_name):
    return module == own_name or module.startswith(own_name + ".")


def frames(own_name):
    """A root for each running frame of every thread, innermost first; the agent's own are left out."""
    found = []
    for ident, frame in list(sys._current_frames().items()):
        thread = thread_name(ident, frame)
        while frame is not None and len(found) < FRAMES_MAX:
            module = plans.text_of(plans.entry_of(frame.f_globals, "__name__"))
            if not is_own(module, own_name):
                label = "%s (%s)" % (function_name(frame, module), thread)
                found.append(Root("frame", label, frame, *local_values(frame)))
            frame = frame.f_back
    return found


def function_name(frame, module):
    code = frame.f_code
    return "%s.%s" % (module or "?", getattr(code, "co_qualname", code.co_name))


def thread_name(ident, frame):
    """The name `threading` gave a thread, or its number; asks no method of the program's thread class.

    `frame` is its innermost: where `threading` was never imported, the thread that runs `__main__` is the main one.
    """
    threading = plans.entry_of(sys.modules, "threading")
    if type(threading) is plans.ModuleType:
        active = plans.entry_of(plans.generic_getattr(threading, "__dict__"), "_active")
        if type(active) is dict:
            thread = active.get(ident)
            if thread is not None:
                try:
                    return plans.text_of(plans.generic_getattr(thread, "_name")) or "thread"
                except AttributeError:
                    pass
    elif threading is None:
        while frame.f_back is not None:
            frame = frame.f_back
        if (
            plans.text_of(plans.entry_of(frame.f_globals, "__name__")) == "__main__"
            and frame.f_code.co_name == "<module>"
        ):
            return "MainThread"
    return "thread %d" % ident


def local_values(frame):
    """(names and values of a running frame's locals, address of the dict that this left in the frame or 0).

    {} for frames whose locals are a namespace walked anyway. Up to 3.12 `f_locals` fills a dict that stays in the frame
    and would keep old values alive: it is emptied again unless the program holds it too. From 3.13 on it is a view
    (PEP 667) and nothing is left behind.
    """
    if not frame.f_code.co_flags & CO_OPTIMIZED:
        return {}, 0
    try:
        view = frame.f_locals
        values = dict(view)
    except Exception:
        return {}, 0
    if type(view) is dict and sys.getrefcount(view) <= 3:
        view.clear()
        return values, id(view)
    return values, 0
