"""Workers that live too short for a verdict of their own are judged together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from heap import Heap, Thing

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.rules import siblings
from leakhunt.analysis.rules.siblings import (
    Life,
    Pooled,
    groups,
    lives,
    pooled,
)
from leakhunt.snapshot import Snapshot

Serve = Callable[[Heap, Thing, int], None]


def leak(heap: Heap, kept: Thing, k: int) -> None:
    for _ in range(5):
        kept.append(heap.instance("shop.Order"))


def warm_up(heap: Heap, kept: Thing, k: int) -> None:
    """A cache of few keys: full by the middle of a life."""
    for _ in range(12 if k < 2 else 0):
        kept.append(heap.instance("shop.Order"))


def worker(pid: int, serve: Serve, moments: int = 4, bounded: bool = False) -> list[Snapshot]:
    # module shop -> KEPT -> Order
    heap = Heap(pid=pid)
    kept = heap.deque(maxlen=1000) if bounded else heap.list()
    heap.module("shop", KEPT=kept)
    return heap.live(lambda k: serve(heap, kept, k), moments)


def judged(workers: Sequence[Sequence[Snapshot]]) -> list[tuple[Pooled, float]]:
    """The pooled places with the confidence in them, 0.0 for those that do not grow."""
    evidences = [Evidence(snapshots) for snapshots in workers]
    found = []
    for place in pooled([lives(evidence) for evidence in evidences]):
        verdict = siblings.verdict(evidences[0], place)
        found.append((place, verdict.confidence if verdict else 0.0))
    return found


def test_a_leak_in_every_short_lived_worker_is_named() -> None:
    ((place, confidence),) = judged([worker(100 + n, leak) for n in range(8)])
    assert (place.owner, place.growing, place.of) == ("shop.KEPT", 8, 8)
    assert confidence >= 0.75
    verdict = siblings.verdict(Evidence(worker(1, leak)), place)
    assert verdict is not None
    assert (verdict.type, verdict.kind) == ("shop.Order", "python-leak")
    assert verdict.reason.startswith("11 more items in each of 8 of 8 processes of the same kind")


def test_one_of_them_is_too_young_for_a_verdict_of_its_own() -> None:
    from leakhunt.analysis.rules.detectors import judge

    assert all(found.confidence < 0.75 for found in judge(Evidence(worker(1, leak))))


def test_what_every_worker_fills_when_it_starts_is_no_leak() -> None:
    assert all(confidence == 0.0 for _, confidence in judged([worker(100 + n, warm_up, 8) for n in range(8)]))


def test_a_bound_is_respected() -> None:
    assert judged([worker(100 + n, leak, bounded=True) for n in range(8)]) == []


@pytest.mark.parametrize("growing", [3, 5])
def test_a_place_that_grows_in_some_of_the_workers_only_is_not_the_codes(growing: int) -> None:
    still: Serve = lambda heap, kept, k: None  # noqa: E731
    workers = [worker(100 + n, leak if n < growing else still) for n in range(8)]
    assert judged(workers) == []


def test_four_workers_are_too_few() -> None:
    assert judged([worker(100 + n, leak) for n in range(4)]) == []


def test_a_worker_that_was_seen_once_shows_nothing() -> None:
    assert lives(Evidence(worker(1, leak, moments=1))) == []


def test_lives_of_different_length_are_laid_over_each_other() -> None:
    # Two looks each, at other ages: together they cover the whole life.
    def life(begin: float, end: float) -> Life:
        return Life("shop.KEPT", np.array([begin, end]), np.array([100 + 3 * begin, 100 + 3 * end]), 1.0, None)

    (place,) = pooled([[life(0, 4)], [life(2, 8)], [life(0, 8)], [life(1, 8)], [life(0, 6)], [life(4, 8)]])
    assert place.items[-1] == pytest.approx(3 * (place.seconds[-1] - place.seconds[0]))
    assert place.seconds[-1] == pytest.approx(8)


def test_processes_of_one_command_and_one_parent_are_siblings() -> None:
    kinds = [("gunicorn app", "1"), ("gunicorn app", "7"), ("gunicorn app", "7"), ("python job.py", "7")]
    assert list(groups(kinds).values()) == [[0], [1, 2], [3]]


def test_a_place_that_stopped_growing_in_others_of_its_kind_is_no_leak_below_that_level() -> None:
    same = [siblings.levels(lives(Evidence(worker(100 + n, warm_up, 12))))["shop.KEPT"] for n in range(3)]
    assert same == [24.0] * 3
    assert siblings.is_below_level(20.0, same) and siblings.is_below_level(24.0, same)
    assert not siblings.is_below_level(60.0, same)
    assert not siblings.is_below_level(20.0, same[:1])


def test_a_leak_has_no_level() -> None:
    assert siblings.levels(lives(Evidence(worker(1, leak, 16)))) == {}
