"""The C walker beside the agent: whether it fits this interpreter, and a snapshot's rows taken by it.

A library that does not fit is refused, not tried: what a wrong one does to the process can't be caught.
"""

import gc
import os
import sys
from array import array

from . import __builtins__, labels, plans, schema

FILE = "_walk.abi3.so"
OLDEST = (3, 11)
ELF_KIND = slice(4, 6)  # 32 or 64 bits, byte order
ELF_MACHINE = slice(18, 20)
OLDEST_GLIBC = (2, 17)
SLICE = 64
NEVER = (1 << 64) - 1
RECALL_SLICE = 2048


class Refused(Exception):
    """The C walker can't be used here; says why."""


def load(package):
    """The module `_walk`, loaded by its path under the agent's own name.

    Raises:
        Refused: it does not fit this interpreter, is not there, or can't be loaded.
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), FILE)
    check_interpreter()
    check_file(path)
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import ExtensionFileLoader

    name = package + "._walk"
    spec = ModuleSpec(name, ExtensionFileLoader(name, path), origin=path)
    try:
        module = spec.loader.create_module(spec)
        spec.loader.exec_module(module)
    except ImportError as problem:
        raise Refused("the C library can't be loaded: %s" % problem) from None
    sys.modules[name] = module
    return module


def check_interpreter():
    if sys.version_info < OLDEST:
        raise Refused("Python %d.%d is older than the C library's oldest, %d.%d" % (sys.version_info[:2] + OLDEST))
    if "t" in sys.abiflags:
        raise Refused("a free-threaded interpreter")
    if "d" in sys.abiflags or hasattr(sys, "getobjects"):
        raise Refused("a debug build")


def check_file(path):
    """Refuse a library for another machine or C library than the interpreter's."""
    try:
        library, interpreter = head(path), head("/proc/self/exe")
    except OSError:
        raise Refused("no C library is built for this agent") from None
    for part in (slice(0, 4), ELF_KIND, ELF_MACHINE):
        if library[part] != interpreter[part]:
            raise Refused("the C library is for another platform")
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
        fits = name == "glibc" and tuple(map(int, version.split(".")[:2])) >= OLDEST_GLIBC
    except (AttributeError, ValueError, OSError):
        fits = False
    if not fits:
        raise Refused("the C library needs glibc %d.%d" % OLDEST_GLIBC)


def head(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 20)
    finally:
        os.close(descriptor)


def rules():
    """What `take` needs to know of classes; all of it is C, so that no bytecode runs while the heap is walked."""
    named = (plans.FunctionType, plans.ModuleType, type, *plans.suspended_types(), *plans.BOUND_TYPES)
    return (
        gc.get_objects, plans.getsizeof, plans.raw_mro_of, plans.raw_namespace_proxy_of, plans.itemsize_of,
        plans.ReferenceType, plans.referent_of, plans.known_sizes(), plans.buffer_rules(), plans.base_rules(), named,
        "__sizeof__",
    )  # fmt: skip


def take(
    walk, deep, hidden, roots, limit_bytes, line_marks=(), frontier_min=0, sought=b"", yield_gil=None, sliced_min=NEVER
):
    """The rows of this moment. `hidden` are addresses that are never rows; `roots` as from roots.listed().

    In a list of `frontier_min` objects and more, what is older than all of the objects `line_marks` has no rows but
    where it leads to what is younger (_walk_frontier.h), or to `sought`, the `holders()` of the last rows.
    Lists of `sliced_min` and more are counted in slices, between which `yield_gil` is called (_walk_slices.h).

    Raises MemoryError when the walk would take more than `limit_bytes`.
    """
    flat, given = [], rules()
    for root in roots:
        flat.extend((root.target, root.locals))
    hidden = list(hidden)
    for group in (
        roots,
        (roots, flat, hidden, given, given[7], given[8], given[9], given[10]),
        given[8],
        given[9],
        [r.locals for r in roots if r.locals],
    ):
        hidden.extend(map(id, group))
    line_marks = list(line_marks)
    hidden.append(id(line_marks))
    return walk.take(given, hidden, flat, deep, limit_bytes, line_marks, frontier_min, sought, yield_gil, sliced_min)


def census(rows, types):
    """Columns census.* and container.* of rows; `types` must have the walk's classes, in their order."""
    columns = {name: array(code) for name, code in zip(("type", "count", "old", "bytes"), "IQQQ")}
    for number, (count, young, size) in enumerate(rows.counts()):
        for column, value in zip(columns.values(), (number, count, max(count - young, 0), size)):
            column.append(value)
    return {**{"census." + name: column for name, column in columns.items()}, **rows.containers()}


def name(rows, types, roots, strings, known, yield_gil):
    """Columns of the graph: C's, and the names, given now in slices to what the walk kept for that.

    `known` (_walk_names.c) has the names of the last graph: only what changed since is named again.
    """
    given = labels.Labels(strings)
    rows.number()
    known.begin()
    table = name_roots(rows, roots, given, strings)
    given.note()
    held, changed = rows.take_held(), []
    while held:
        yield_gil()
        changed.extend(known.recall(rows, held[-RECALL_SLICE:], plans.FunctionType))
        del held[-RECALL_SLICE:]
    given.limit_by(known.columns()[-1], types.plan_by_id)
    while changed:
        yield_gil()
        for item in changed[-SLICE:]:
            name_object(rows, item, types.plan_of(type(item)), given)
        item = None
        del changed[-SLICE:]
    for mapping in list(given.namespaces.values()):
        yield_gil()
        found = rows.locate(id(mapping))
        if found is not None and not known.recall_namespace(rows, id(mapping)):
            given.namespace(mapping, found[2], found[1])
            given.note(id(mapping))
    known.remember(rows, *given.named())
    given.recalled(known.columns())
    known.end()
    return {**rows.columns(), **given.columns(), **table}


def name_object(rows, item, plan, given):
    if plan.shape not in labels.UNLABELLED:
        found = rows.locate(id(item))
        if found is not None:
            row, base, ids = found
            given.add(item, plan, ids, base, row)
            if plan.shape in labels.LASTING:
                given.note(id(item), *given.identity(item, plan))
            else:
                given.note()


def name_roots(rows, roots, given, strings):
    """Columns root.*; names the locals of frames, and takes off the references that `roots` and `take` held."""
    columns = {"root.address": array("Q"), "root.kind": array("I"), "root.label": array("I")}
    for root in roots:
        values = (id(root.target), strings.id_of(root.kind), strings.id_of(root.label))
        for column, value in zip(columns.values(), values):
            column.append(value)
        rows.give_back(id(root.target), 2)
        if root.locals:
            found = rows.locate(id(root.target))
            for index, variable in enumerate(root.locals):
                if found is not None and index < len(found[2]) and type(variable) is str:
                    given.mark(found[1] + index, schema.LABEL_LOCAL + variable)
            for value in root.locals.values():
                rows.give_back(id(value), 1)
        root.locals = root.target = None
    return columns
