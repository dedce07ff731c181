"""Retaining chains of a class: why its objects are alive, one chain for each kind of way."""

from __future__ import annotations

from collections import Counter

import numpy as np

from leakhunt.errors import UsageError
from leakhunt.findings import Chain

from .graph import HeapGraph, Ints
from .naming import Names

SAMPLE = 3000


def instances(graph: HeapGraph, type_name: str) -> Ints:
    """Objects whose class is called `type_name`.

    Raises:
        UsageError: there is none; near matches are named.
    """
    rows = [row for row, name in enumerate(graph.snapshot.type_names) if name == type_name]
    found = np.flatnonzero(np.isin(graph.types, rows))
    if not len(found):
        raise _absent(graph, type_name)
    return found


def _absent(graph: HeapGraph, type_name: str) -> UsageError:
    counted = graph.snapshot.census.get(type_name, (0, 0))[0]
    if graph.snapshot.is_frontier and counted:
        return UsageError(
            f"The {counted:,} objects of class {type_name} are older than the first look at their process, and this "
            "graph leaves them out.",
            "Take a snapshot of the running process, which has all of the heap: leakhunt snapshot PID -o S.leak.",
        )
    return UsageError(f"No object of class {type_name} is in this snapshot.", suggestions(graph, type_name))


def suggestions(graph: HeapGraph, type_name: str) -> str:
    """A hint with class names that resemble the one asked for."""
    import difflib

    present = sorted({graph.snapshot.type_names[row] for row in np.unique(graph.types).tolist()})
    tails = [name.rpartition(".")[2].lower() for name in present]
    tail = type_name.rpartition(".")[2].lower()
    like = difflib.get_close_matches(tail, set(tails), n=3, cutoff=0.75)
    close = (
        [name for name, last in zip(present, tails, strict=True) if last == tail]
        or difflib.get_close_matches(type_name, present, n=3, cutoff=0.6)
        or [name for last_like in like for name, last in zip(present, tails, strict=True) if last == last_like]
    )
    if close:
        return f"Did you mean {' or '.join(close[:3])}?"
    return "Class names are module.qualname, as in builtins.dict."


def chains(graph: HeapGraph, type_name: str, limit: int) -> tuple[Chain, ...]:
    """The commonest retaining chains of a class, shortest first among equals."""
    names = Names(graph)
    found = instances(graph, type_name)
    sample = found[np.linspace(0, len(found) - 1, min(SAMPLE, len(found))).astype(int)]
    by_path: Counter[tuple[str, ...]] = Counter()
    example: dict[tuple[str, ...], Chain] = {}
    for index in sample.tolist():
        chain = names.chain(index)
        path = tuple(f"{'' if link.kind == 'item' else link.label} {link.type}" for link in chain.links)
        by_path[path] += 1
        example.setdefault(path, chain)
    ranked = sorted(by_path, key=lambda path: (-by_path[path], len(path)))
    return tuple(example[path] for path in ranked[:limit])
