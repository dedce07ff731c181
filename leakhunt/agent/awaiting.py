"""Who awaits the asyncio task that a coroutine is of, read from outside of its loop.

3.14 notes it in every task. Before, a task awaits another where its innermost coroutine is suspended in that one's
iterator; who awaits by `gather` or `wait` does so by a callback, and is not seen.
"""

import sys
from gc import get_referents

from . import __builtins__, plans

CHAIN_MAX = 40


def awaiting(coroutines, heap):
    """Frames (file, line, function) of who awaits, innermost first, by the addresses of coroutines that tasks run.

    `heap` lists what there is (asked.Heap). Those of which nothing is known are left out.
    """
    base = plans.module_entry("_asyncio", "Task")
    if type(base) is not type:
        return {}
    kinds = {id(kind) for kind in derived(base)}
    coroutine_of = base.get_coro
    tasks = [(task, coroutine_of(task)) for task in heap.of_classes(kinds)]
    wanted = {id(task): id(coroutine) for task, coroutine in tasks if id(coroutine) in coroutines}
    coroutine_by_task = {id(task): coroutine for task, coroutine in tasks}
    found = {}
    if not wanted:
        return found
    for task, coroutine in tasks:
        if id(task) in wanted and sys.version_info >= (3, 14):
            for waiter in list(task._asyncio_awaited_by or ()):
                if id(waiter) in coroutine_by_task:
                    found[wanted[id(task)]] = chain(coroutine_by_task[id(waiter)])[0]
                    break
        frames, innermost = chain(coroutine)
        for referent in get_referents(innermost) if innermost is not None else ():
            if id(referent) in wanted and wanted[id(referent)] not in found:
                found[wanted[id(referent)]] = frames
    return found


def derived(kind):
    """The class and all that derive from it."""
    found, layer = [], [kind]
    while layer:
        found.extend(layer)
        layer = [below for above in layer for below in type.__subclasses__(above) if below not in found]
    return found


def chain(coroutine):
    """(frames of a suspended coroutine and of those that it awaits, innermost first, what the last of them awaits)."""
    kind, frames = plans.suspended_types()[1], []
    while type(coroutine) is kind and len(frames) < CHAIN_MAX:
        frame = coroutine.cr_frame
        if frame is not None:
            code = frame.f_code
            name = getattr(code, "co_qualname", code.co_name)
            frames.insert(0, (plans.text_of(code.co_filename), frame.f_lineno or 0, plans.text_of(name)))
        coroutine = coroutine.cr_await
    return frames, coroutine
