"""Memory of C code that belongs to leaked objects: found by its growing together with their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from leakhunt.agent import schema
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.trends import POINTS_MIN, Floats
from leakhunt.analysis.heap.graph import HeapGraph, Ints

from . import ledger
from .verdicts import Verdict

VIEWS = frozenset(("numpy.ndarray", "builtins.memoryview", "mmap.mmap"))


@dataclass(frozen=True)
class Fit:
    """`values` as a constant plus `each` for every one of `counts`; `fits` is the share of variance explained (R²)."""

    each: float
    fits: float


def fit(counts: Floats, values: Floats) -> Fit:
    """Least squares of two series.

    >>> fit(np.array([0.0, 1, 2, 3]), np.array([5.0, 7, 9, 11]))
    Fit(each=2.0, fits=1.0)
    """
    x, y = counts - counts.mean(), values - values.mean()
    if not x.any() or not y.any():
        return Fit(0.0, 0.0)
    each = float(x @ y) / float(x @ x)
    return Fit(round(each, 6), round(1.0 - float(np.sum((y - each * x) ** 2)) / float(y @ y), 6))


def may_own(graph: HeapGraph, objects: Ints) -> Ints:
    """Those of the objects that may have memory which C took: of an extension's classes, and views.

    What such an object allocates for itself is in no size that Python knows. Of buffers the bytes are counted, but a
    view may be all that keeps the whole of another's.
    """
    classes = graph.facts.are(schema.TYPE_EXTENSION) & ~graph.facts.are(schema.TYPE_BUFFER)
    classes |= np.array([name in VIEWS for name in graph.snapshot.type_names], dtype=bool)
    return np.asarray(objects[classes[graph.types[objects]]], dtype=np.int64)


def have_memory_in_c(evidence: Evidence, objects: Ints) -> bool:
    """Whether so many of the objects may have memory in C that what grew there may be theirs."""
    return len(may_own(evidence.graph, objects)) >= evidence.policy.c_objects


def with_native_memory(evidence: Evidence, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts; of those sure enough to be accusations, the one whose objects C's memory grows with is given it."""
    found, policy = list(verdicts), evidence.policy
    book = ledger.ledger(evidence, [verdict for verdict in found if not verdict.is_ended])
    if book is None or len(book.seconds) < POINTS_MIN:
        return found
    values = book.parts[ledger.NATIVE] + book.parts[ledger.UNSEEN]
    if values[-1] < max(policy.native_bytes, policy.native_of_growth * book.grown_bytes):
        return found
    sure = [verdict.weighed(policy).confidence >= policy.accuse_at for verdict in found]
    numbers = [n for n, verdict in enumerate(found) if sure[n] and len(verdict.objects) and not verdict.is_ended]
    fits = {n: one for n in numbers if (one := _fit_of(evidence, found[n], values)) is not None}
    if fits:
        best = max(fits, key=lambda n: fits[n].fits)
        found[best] = _given(evidence, found[best], fits[best], float(values[-1]))
    return found


def owner_counts(evidence: Evidence, objects: Ints) -> Floats:
    """How many of those that may own memory of C code there were at each graph after the warm-up."""
    owners = may_own(evidence.graph, objects)
    by_birth = np.bincount(evidence.lineage.born[owners], minlength=len(evidence.lineage.graphs))
    return np.cumsum(by_birth)[evidence.first :].astype(float)


def _fit_of(evidence: Evidence, verdict: Verdict, values: Floats) -> Fit | None:
    """How C's memory grows with those objects of a verdict that may own it; None where it does not."""
    counts = owner_counts(evidence, verdict.objects)
    if counts[-1] < evidence.policy.c_objects:
        return None
    found = fit(counts, values)
    share = found.each * float(counts[-1] - counts[0]) / float(values[-1])
    policy = evidence.policy
    return found if found.fits >= policy.native_fits and share >= policy.native_share else None


def _given(evidence: Evidence, verdict: Verdict, found: Fit, gain: float) -> Verdict:
    graph = evidence.graph
    named = [i for i in verdict.objects.tolist() if graph.type_name(i) == verdict.type]
    number = len(named) or len(verdict.direct) or len(verdict.objects)
    each = gain / number
    size = f"{each / 1e6:.1f} MB" if each >= 1e6 else f"{each / 1e3:,.0f} kB" if each >= 1e3 else f"{each:.0f} B"
    reason = f"{verdict.reason}; C code's memory grew with them, by {size} for each (fits {found.fits:.0%})"
    return replace(verdict, reason=reason, weight=verdict.weight + gain, native_bytes=gain)
