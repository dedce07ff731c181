"""What the classes of a snapshot are: the agent's TYPE_* bits, asked as masks over rows of the type table.

Snapshots of an older agent say less. For them, and for them only, the bits are derived from exact class names here.
"""

from __future__ import annotations

import builtins
import functools

import numpy as np
from numpy.typing import NDArray

from leakhunt.agent import schema
from leakhunt.snapshot import Snapshot

Bools = NDArray[np.bool_]
# What has no say in what a leak is called: it only holds together, holds weakly, or holds nothing.
SAYS_NOTHING = schema.TYPE_PLUMBING | schema.TYPE_ATOM | schema.TYPE_WEAK
# Told by the name of their code, or by the name of what they are an attribute of.
SAYS_LITTLE = schema.TYPE_SUSPENDED | schema.TYPE_BARE


class Facts:
    """TYPE_* bits of each row of a snapshot's type table, `flags` uint32[T]."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._names = snapshot.type_names
        told = snapshot.column("type.flags").astype(np.uint32)
        # Whole tables are told or not; classes without the mark beside others that have it are told nothing of.
        is_old = not bool((told & np.uint32(schema.TYPE_TOLD)).any())
        derived = [_derived(name) for name in self._names] if is_old else [0] * len(self._names)
        self.flags = told | np.array(derived, dtype=np.uint32)

    def are(self, bits: int) -> Bools:
        """Rows that have one of `bits`, bool[T]."""
        return np.asarray(self.flags & np.uint32(bits) > 0)

    @functools.cached_property
    def _bits_by_name(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, bits in zip(self._names, self.flags.tolist(), strict=True):
            found[name] = found.get(name, 0) | bits
        return found

    def is_named(self, name: str, bits: int) -> bool:
        """Whether a class of that name has one of `bits`."""
        return bool(self._bits_by_name.get(name, 0) & bits)


def says_nothing(name: str) -> bool:
    """Whether a class of the interpreter's own has no say in what a leak is called, by its exact name alone.

    For what must not depend on the agent that took a snapshot, as a fingerprint.
    """
    return bool(_derived(name) & SAYS_NOTHING)


def buffer_names() -> frozenset[str]:
    """Names of the interpreter's own classes, and numpy's, that hold bytes."""
    return frozenset(name for bits, names in _BITS for name in names if bits == schema.TYPE_BUFFER)


def _of(module: str, names: str) -> dict[str, int]:
    return dict.fromkeys((f"{module}.{name}" for name in names.split()), 0)


_BITS: tuple[tuple[int, dict[str, int]], ...] = (
    (schema.TYPE_ATOM, _of("builtins", "str bytes bytearray int float complex bool NoneType range ellipsis")),
    (schema.TYPE_CONSTANT, _of("builtins", "int float complex bool NoneType ellipsis function module")),
    (schema.TYPE_FIXED, _of("builtins", "str bytes int tuple frozenset")),
    (schema.TYPE_MAPPING, _of("builtins", "dict") | _of("collections", "OrderedDict defaultdict Counter")),
    (schema.TYPE_SEQUENCE, _of("builtins", "list") | _of("collections", "deque")),
    (
        schema.TYPE_WEAK,
        _of("weakref", "ReferenceType KeyedRef WeakMethod ProxyType CallableProxyType")
        | _of("builtins", "weakref weakproxy weakcallableproxy"),
    ),
    (schema.TYPE_SUSPENDED, _of("builtins", "coroutine generator async_generator")),
    (
        schema.TYPE_CONTEXT,
        _of("_contextvars", "Context")
        | _of("builtins", "Context hamt hamt_bitmap_node hamt_array_node hamt_collision_node"),
    ),
    (
        schema.TYPE_PLUMBING,
        _of(
            "builtins",
            "tuple list dict set frozenset cell method function mappingproxy builtin_function_or_method frame "
            "traceback code property staticmethod classmethod generator coroutine async_generator coroutine_wrapper "
            "dict_itemiterator dict_keyiterator dict_valueiterator list_iterator tuple_iterator set_iterator "
            "list_reverseiterator enumerate zip map filter reversed weakref weakproxy weakcallableproxy Context hamt "
            "hamt_bitmap_node hamt_array_node hamt_collision_node",
        )
        | _of("collections", "OrderedDict deque defaultdict Counter ChainMap UserDict UserList")
        | _of("functools", "partial partialmethod _lru_list_elem _lru_cache_wrapper")
        | _of("weakref", "ReferenceType KeyedRef WeakMethod finalize finalize._Info WeakKeyDictionary")
        | _of("weakref", "WeakValueDictionary")
        | _of("_weakrefset", "WeakSet")
        | _of("types", "SimpleNamespace")
        | _of("itertools", "chain count cycle islice tee _tee _tee_dataobject starmap zip_longest repeat")
        | _of("_thread", "lock RLock _local _localdummy")
        | _of("_asyncio", "Future TaskStepMethWrapper TaskWakeupMethWrapper")
        | _of("builtins", "TaskStepMethWrapper TaskWakeupMethWrapper")
        | _of("asyncio.events", "Handle TimerHandle")
        | _of("_contextvars", "Context ContextVar Token"),
    ),
    (
        schema.TYPE_BUFFER,
        _of("builtins", "str bytes bytearray memoryview")
        | _of("array", "array")
        | _of("numpy", "ndarray")
        | _of("_io", "BytesIO StringIO")
        | _of("mmap", "mmap"),
    ),
    (
        schema.TYPE_DESCRIPTOR,
        _of(
            "builtins",
            "wrapper_descriptor method_descriptor classmethod_descriptor getset_descriptor member_descriptor "
            "builtin_function_or_method",
        ),
    ),
    (schema.TYPE_BARE, _of("_thread", "_local") | _of("types", "SimpleNamespace")),
)
_C_MODULES = frozenset(
    (
        "builtins", "collections", "functools", "itertools", "_asyncio", "_contextvars", "_weakref", "_queue",
        "_thread", "_io", "array", "mmap", "weakref",
    )
)  # fmt: skip


@functools.cache
def _derived(name: str) -> int:
    """TYPE_* bits of a class as far as its exact name tells them."""
    found = sum(bits for bits, names in _BITS if name in names)
    module, _, word = name.rpartition(".")
    kind = getattr(builtins, word, None) if module == "builtins" else None
    if isinstance(kind, type) and issubclass(kind, BaseException):
        found |= schema.TYPE_EXCEPTION
    return found | (schema.TYPE_INTERPRETER if module in _C_MODULES else 0)
