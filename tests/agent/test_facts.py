"""What the agent says of classes: by what they are, not by what they are called."""

from __future__ import annotations

import asyncio
import collections
import functools
import itertools
import queue
import threading
import types
import weakref

import pytest

from leakhunt.agent import facts, plans, schema, type_table


class PredictionList(list):  # type: ignore[type-arg]
    """No mapping, whatever letters are in its name."""


class Registry(dict):  # type: ignore[type-arg]
    """A mapping, whatever it is called."""


class Watch(weakref.ref):  # type: ignore[type-arg]
    """A weak reference of the program's own."""


class Job(functools.partial):  # type: ignore[type-arg]
    """A partial that somebody gave a name."""


class Flags(int):
    """A number that somebody gave a name."""


def bits(kind: type) -> int:
    return facts.Facts().of(kind, plans.class_name(kind), type_table.is_ours(kind))


M, S, W, P, A = (
    schema.TYPE_MAPPING, schema.TYPE_SEQUENCE, schema.TYPE_WEAK, schema.TYPE_PLUMBING, schema.TYPE_ATOM,
)  # fmt: skip
CASES = {
    dict: M | P,
    collections.Counter: M | P,
    collections.OrderedDict: M | P,
    Registry: M,
    list: S | P,
    collections.deque: S | P,
    PredictionList: S,
    collections.UserDict: P,
    weakref.ref: W | P,
    weakref.KeyedRef: W | P,
    weakref.finalize: P,
    weakref.WeakKeyDictionary: P,
    Watch: W,
    functools.partial: P,
    Job: 0,
    types.MethodType: P,
    types.FunctionType: P,
    types.CellType if hasattr(types, "CellType") else types.FunctionType: P,
    type(iter([])): P,
    itertools.chain: P,
    asyncio.Future: P,
    asyncio.Task: 0,
    str: A,
    bool: A,
    Flags: 0,
    types.SimpleNamespace: P,
    queue.Queue: 0,
    threading.Thread: 0,
    type(threading.Lock()): P,
}


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__qualname__)
def test_a_class_is_what_it_is(kind: type) -> None:
    assert bits(kind) & (M | S | W | P | A) == CASES[kind]
    assert bits(kind) & schema.TYPE_TOLD


def test_what_is_made_in_c_by_the_interpreter_is_told_from_what_its_library_makes_in_python() -> None:
    assert bits(asyncio.Task) & schema.TYPE_INTERPRETER
    assert bits(functools.partial) & schema.TYPE_INTERPRETER
    assert not bits(queue.Queue) & schema.TYPE_INTERPRETER
    assert not bits(Registry) & schema.TYPE_INTERPRETER


def test_exceptions_suspended_things_contexts_and_buffers_are_told() -> None:
    class Refused(ConnectionError):
        pass

    async def coroutine() -> None:
        pass

    running = coroutine()
    running.close()
    import contextvars

    assert bits(Refused) & schema.TYPE_EXCEPTION
    assert bits(type(running)) & schema.TYPE_SUSPENDED
    assert bits(contextvars.Context) & schema.TYPE_CONTEXT
    assert bits(bytearray) & schema.TYPE_BUFFER
    assert not bits(list) & schema.TYPE_BUFFER
