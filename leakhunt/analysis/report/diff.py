"""Classes between two or three snapshots: counts, sizes, births, deaths, survivors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leakhunt.analysis.growth.age import spectra
from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.lineage import same
from leakhunt.findings import Diff, DiffRow
from leakhunt.snapshot import Snapshot

Lives = dict[str, tuple[int, int, int]]


def diff(snapshots: Sequence[Snapshot]) -> Diff:
    """What changed from the first snapshot to the last; a middle one tells what was born before it and still lives.

    Births, deaths and survivors need the object graph of both; without it they are None.
    """
    first, last = snapshots[0], snapshots[-1]
    both_deep = _is_whole(first) and _is_whole(last)
    before, after = (counts(s, both_deep) for s in (first, last))
    lives = lifetimes(HeapGraph(first), HeapGraph(last)) if both_deep else {}
    middle = snapshots[1] if len(snapshots) == 3 else None
    alive = born_and_alive([HeapGraph(s) for s in snapshots]) if middle and all(map(_is_whole, snapshots)) else {}
    ages = {name: tuple(tenths.tolist()) for name, tenths in spectra(last).items() if tenths.any()}
    rows = []
    for name in before.keys() | after.keys():
        old, new = before.get(name, (0, 0)), after.get(name, (0, 0))
        births, deaths, survivors = lives.get(name, (0, 0, 0)) if both_deep else (None, None, None)
        middle_count = alive.get(name, 0) if alive or (middle and both_deep) else None
        found = births, deaths, survivors, middle_count, ages.get(name)
        rows.append(DiffRow(name, old[0], new[0], old[1], new[1], *found))
    rows.sort(key=lambda row: (row.bytes_before - row.bytes_after, row.before - row.after, row.type))
    seconds = round(seconds_between(first, last), 3)
    return Diff(first.path, last.path, seconds, tuple(rows), middle.path if middle else None, _notes(snapshots))


def seconds_between(first: Snapshot, last: Snapshot) -> float:
    """By the life of the process: snapshots taken by hand each have an agent of their own, whose clock begins anew."""
    key = "process_seconds" if first.number("process_seconds") and last.number("process_seconds") else "elapsed"
    return last.number(key) - first.number(key)


def _notes(snapshots: Sequence[Snapshot]) -> tuple[str, ...]:
    if all(map(_is_whole, snapshots)):
        return ()
    if all(s.is_deep for s in snapshots):
        return (
            "Not all of these graphs have all of the heap: only what the collector lists is counted, and births are "
            "not known. The first graph of a process, as `leakhunt snapshot` takes it, is whole.",
        )
    return ("Not all of these snapshots are deep: only what the collector lists is counted, and births are not known.",)


def _is_whole(snapshot: Snapshot) -> bool:
    """Whether it has a graph, and leaves out nothing."""
    return snapshot.is_deep and not snapshot.is_frontier


def counts(snapshot: Snapshot, deep: bool) -> dict[str, tuple[int, int]]:
    """(instances, shallow bytes) by class: of all objects where `deep`, else of those that the collector lists."""
    if not deep:
        return snapshot.census
    rows = snapshot.column("object.type").astype(np.int64)
    size = len(snapshot.type_names)
    numbers = np.bincount(rows, minlength=size)
    sizes = np.bincount(rows, weights=snapshot.column("object.size").astype(float), minlength=size)
    found: dict[str, tuple[int, int]] = {}
    for name, number, total in zip(snapshot.type_names, numbers.tolist(), sizes.tolist(), strict=True):
        old = found.get(name, (0, 0))
        if number:
            found[name] = (old[0] + number, old[1] + int(total))
    return found


def lifetimes(before: HeapGraph, after: HeapGraph) -> Lives:
    """(births, deaths, survivors) by class name."""
    survived = same(before, after) >= 0
    found: dict[str, tuple[int, int, int]] = {}
    stayed = _per_class(after, survived)
    born = _per_class(after, ~survived)
    old = _per_class(before, np.ones(before.count, dtype=bool))
    for name in old.keys() | stayed.keys() | born.keys():
        survivors = stayed.get(name, 0)
        found[name] = (born.get(name, 0), max(0, old.get(name, 0) - survivors), survivors)
    return found


def born_and_alive(graphs: Sequence[HeapGraph]) -> dict[str, int]:
    """By class: objects of the last snapshot that were in the middle one and not in the first."""
    first, middle, last = graphs
    in_middle = same(middle, last)
    in_first = same(first, last)
    return _per_class(last, (in_middle >= 0) & (in_first < 0))


def _per_class(graph: HeapGraph, chosen: np.ndarray) -> dict[str, int]:
    found: dict[str, int] = {}
    numbers = np.bincount(graph.types[chosen], minlength=len(graph.snapshot.type_names))
    for name, number in zip(graph.snapshot.type_names, numbers.tolist(), strict=True):
        if number:
            found[name] = found.get(name, 0) + number
    return found
