"""What a place gained that keeps nothing alive: weak references, each to an object that something else holds."""

from __future__ import annotations

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.policy import POLICY

from .graph import Bools, HeapGraph, Ints
from .representative import carried

SAMPLE = 3000


def is_mostly_weakrefs(graph: HeapGraph, children: Ints, reached: Ints, is_new: Bools, members: int = 1) -> bool:
    """Whether so much of what is behind `children` only watches that what keeps it alive is elsewhere."""
    return watching(graph, children, reached, is_new, members) >= POLICY.watching


def watching(graph: HeapGraph, children: Ints, reached: Ints, is_new: Bools, members: int = 1) -> float:
    """The share of what is behind `children` that are weak references to living objects, each to another.

    `children` are of so many `members`, each of which may watch the same objects (ABCs, one and all their subclasses).
    There are as many of them as of those objects, whose own holders are judged. Not so where many watch one object, or
    where what the place gained (`reached`) is what keeps them alive, as values of a WeakKeyDictionary may their keys.
    """
    sample = children[np.linspace(0, len(children) - 1, min(SAMPLE, len(children))).astype(int)]
    leaves = np.array(carried(graph, sample, is_new), dtype=np.int64)
    references = leaves[graph.are(schema.TYPE_WEAK)[leaves]]
    watched = np.unique(weakly_held(graph, references))
    elsewhere = len(np.setdiff1d(watched, reached, assume_unique=True))
    return members * elsewhere / len(leaves) if len(leaves) else 0.0


def weakly_held(graph: HeapGraph, references: Ints) -> Ints:
    """Living referents of those of `references` that are weak references."""
    sources, targets = graph.snapshot.column("weak.source"), graph.snapshot.column("weak.target")
    found = graph.index_of(targets[np.isin(sources, references)].astype(np.uint64))
    return found[found >= 0]
