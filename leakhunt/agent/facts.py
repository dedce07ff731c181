"""What the classes of a program are, as TYPE_* bits: by identity and by their MRO, never by running their code.

A class of the program that derives from dict is a mapping, and is more than plumbing: it has a name that somebody gave
it. So what a class inherits is told apart from what only the interpreter's and standard library's own classes are.
"""

import sys
from _collections import deque
from _thread import LockType
from _thread import _local as ThreadLocal
from _weakref import CallableProxyType, ProxyType, ReferenceType

from . import __builtins__, plans, schema
from .plans import FunctionType, ModuleType

NAMESPACE = type(sys.implementation)
INHERITED = (
    (dict, schema.TYPE_MAPPING),
    (list, schema.TYPE_SEQUENCE),
    (deque, schema.TYPE_SEQUENCE),
    (ReferenceType, schema.TYPE_WEAK),
    (ProxyType, schema.TYPE_WEAK),
    (CallableProxyType, schema.TYPE_WEAK),
    (BaseException, schema.TYPE_EXCEPTION),
    (str, schema.TYPE_BUFFER),
    (bytes, schema.TYPE_BUFFER),
    (bytearray, schema.TYPE_BUFFER),
    (memoryview, schema.TYPE_BUFFER),
)
# Classes with memory of their own that a program may have loaded, by module.
BUFFERS = ("array", ("array",)), ("numpy", ("ndarray",)), ("_io", ("BytesIO", "StringIO")), ("mmap", ("mmap",))
NUMBERS = int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented)
EXACT = (
    *[(kind, schema.TYPE_ATOM | schema.TYPE_CONSTANT) for kind in NUMBERS],
    *[(kind, schema.TYPE_ATOM) for kind in (str, bytes, bytearray, range)],
    *[(kind, schema.TYPE_FIXED) for kind in (str, bytes, int, tuple, frozenset)],
    *[(kind, schema.TYPE_CONSTANT) for kind in (FunctionType, ModuleType)],
    *[
        (kind, schema.TYPE_PLUMBING)
        for kind in (
            tuple, list, dict, set, frozenset, deque, property, staticmethod, classmethod, slice, super,
            ReferenceType, ProxyType, CallableProxyType, ThreadLocal, LockType, NAMESPACE, FunctionType,
            plans.MethodType, plans.CodeType, type(len), type(type.__dict__), type([].__len__),
        )
    ],
    *[(kind, schema.TYPE_SUSPENDED | schema.TYPE_PLUMBING) for kind in plans.suspended_types()],
    *[(kind, schema.TYPE_BARE) for kind in (ThreadLocal, NAMESPACE)],
    *[
        (kind, schema.TYPE_DESCRIPTOR)
        for kind in (
            plans.SlotType, type(list.append), type(object.__init__), type(dict.__dict__["fromkeys"]),
            type(FunctionType.__code__), type(len),
        )
    ],
)  # fmt: skip
# Classes of the standard library that carry others, by module; "*" for all of them.
CARRIERS = (
    ("collections", ("OrderedDict", "defaultdict", "Counter", "ChainMap", "UserDict", "UserList", "UserString")),
    ("functools", ("partial", "partialmethod", "_lru_cache_wrapper", "cached_property")),
    ("itertools", "*"),
    ("operator", ("attrgetter", "itemgetter", "methodcaller")),
    ("weakref", ("finalize", "KeyedRef", "WeakMethod", "WeakKeyDictionary", "WeakValueDictionary")),
    ("_weakrefset", ("WeakSet", "_IterationGuard")),
    ("types", ("TracebackType", "FrameType", "MethodWrapperType", "CellType", "GenericAlias")),
    ("_thread", ("RLock",)),
    ("_asyncio", ("Future",)),
    ("asyncio.futures", ("Future", "_PyFuture")),
    ("asyncio.events", ("Handle", "TimerHandle")),
    ("_contextvars", ("Context", "ContextVar", "Token")),
)  # fmt: skip
# Classes of C that no module has under a name. A program can't make a static class.
UNNAMED = frozenset(
    "builtins." + name
    for name in (
        "cell", "traceback", "frame", "coroutine_wrapper", "TaskStepMethWrapper", "TaskWakeupMethWrapper",
    )
)  # fmt: skip
HAMT = frozenset("builtins." + name for name in ("hamt", "hamt_bitmap_node", "hamt_array_node", "hamt_collision_node"))
# What a class statement leaves in the class's namespace; from 3.13 on classes of C may have the older ones, too.
MADE_BY_STATEMENT = (
    ("__firstlineno__", "__static_attributes__") if sys.version_info >= (3, 13) else ("__weakref__", "__slots__")
)


class Facts:
    """TYPE_* bits of classes, with what the program has loaded by now."""

    def __init__(self):
        self._exact, self._inherited = {}, {}
        for kind, bits in EXACT:
            self._exact[id(kind)] = self._exact.get(id(kind), 0) | bits
        for kind, bits in INHERITED:
            self._inherited[id(kind)] = bits
        for module, names in BUFFERS:
            for kind in classes_of(module, names):
                self._inherited[id(kind)] = schema.TYPE_BUFFER
        for module, names in CARRIERS:
            for kind in classes_of(module, names):
                self._exact[id(kind)] = self._exact.get(id(kind), 0) | schema.TYPE_PLUMBING
        for kind in classes_of("_contextvars", ("Context",)):
            self._exact[id(kind)] |= schema.TYPE_CONTEXT
        for finalize in classes_of("weakref", ("finalize",)):
            self._exact[id(plans.namespace_proxy_of(finalize).get("_Info"))] = schema.TYPE_PLUMBING

    def of(self, kind, name, is_ours):
        """The bits of one class called `name`; `is_ours`: its module is the interpreter's or the standard library's."""
        bits = schema.TYPE_TOLD | self._exact.get(id(kind), 0)
        mro = plans.mro_of(kind)
        for base in mro:
            bits |= self._inherited.get(id(base), 0)
        is_static = not plans.flags_of(kind) & plans.HEAP_FLAG
        if is_static or (is_ours and not any(map(is_made_by_statement, mro[:-1]))):
            bits |= schema.TYPE_INTERPRETER if is_ours else 0
            if is_ours and (name in UNNAMED or name == "functools._lru_list_elem" or is_iterator(kind)):
                bits |= schema.TYPE_PLUMBING
            if is_static and name in HAMT:
                bits |= schema.TYPE_PLUMBING | schema.TYPE_CONTEXT
        return bits


def classes_of(module_name, names):
    """Classes of a loaded module, by their names there."""
    if not plans.is_module(module_name):
        return []
    if names == "*":
        chosen = list(dict.values(plans.generic_getattr(plans.entry_of(sys.modules, module_name), "__dict__")))
    else:
        chosen = [plans.module_entry(module_name, name) for name in names]
    return [entry for entry in chosen if issubclass(type(entry), type)]


def is_iterator(kind):
    """Whether instances only lead to the next of what they go through; a file does more than that."""
    return "__next__" in plans.namespace_proxy_of(kind) and plans.lookup(kind, "close")[1] is None


def is_made_by_statement(kind):
    """Whether a class was made by Python code rather than in C."""
    if not plans.flags_of(kind) & plans.HEAP_FLAG:
        return False
    namespace = plans.namespace_proxy_of(kind)
    if any(name in namespace for name in MADE_BY_STATEMENT):
        return True
    return any(type(entry) is FunctionType for entry in list(namespace.values()))
