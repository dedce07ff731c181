"""For each doubt the innocent that it is made for, and the nearest leak, which it leaves alone.

Those about memory, the collector, greenlets and threads, bounds and indexes stand with their detectors, in `test_rules`
and `test_memory`; those about the shape of a series in `test_verdicts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from heap import Heap

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.growth.known import BUILT_IN, Known
from leakhunt.analysis.policy import POLICY, reasons, varied
from leakhunt.analysis.rules import tracks
from leakhunt.analysis.rules.detectors import judge
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.snapshot import Snapshot

from .judging import AT_ANY_AGE

Life = Callable[[bool], list[Snapshot]]


def few_more(is_leak: bool) -> list[Snapshot]:
    # module shop -> PLUGINS -> Plugin, …   one more at half of the looks, or three at each
    heap = Heap()
    plugins = heap.list()
    heap.module("shop", PLUGINS=plugins)

    def serve(k: int) -> None:
        plugins.extend(heap.instance("shop.Plugin") for _ in range(3 if is_leak else k % 2))

    return heap.live(serve)


def no_growth(is_leak: bool) -> list[Snapshot]:
    # module shop -> JOBS -> Job, …   a queue that is emptied every fourth time, or never
    heap = Heap()
    jobs = heap.list()
    heap.module("shop", JOBS=jobs)

    def serve(k: int) -> None:
        if k % 4 == 0 and not is_leak:
            jobs.clear()
        jobs.extend(heap.instance("shop.Job") for _ in range(10 + k))

    return heap.live(serve, moments=16)


def turnover(is_leak: bool) -> list[Snapshot]:
    # module shop -> SESSIONS -> Session, …   the oldest go after five looks, or stay
    heap = Heap()
    sessions = heap.list()
    heap.module("shop", SESSIONS=sessions)
    arrivals = [10 + 8 * k for k in range(14)]

    def serve(k: int) -> None:
        sessions.extend(heap.instance("shop.Session") for _ in range(arrivals[k]))
        while not is_leak and len(sessions) > sum(arrivals[max(0, k - 4) : k + 1]):
            sessions.pop_oldest()

    return heap.live(serve, moments=14)


def carriers_go(is_leak: bool) -> list[Snapshot]:
    # module shop -> USERS -> User -> .visits -> Visit   the users are others after a while, or the same ones
    heap = Heap()
    users = heap.deque()
    heap.module("shop", USERS=users)
    users.extend(heap.instance("shop.User", visits=heap.list()) for _ in range(40))

    def serve(k: int) -> None:
        for user in list(users):
            user.visits.extend(heap.instance("shop.Visit") for _ in range(3))
        for _ in range(0 if is_leak else 3):
            users.pop_oldest()
            users.append(heap.instance("shop.User", visits=heap.list()))

    return heap.live(serve)


def watches(is_leak: bool) -> list[Snapshot]:
    # module shop -> SEEN -> weakref to an Order that module shop -> ORDERS keeps;   or to one that is gone
    heap = Heap()
    seen, orders = heap.list(), heap.list()
    heap.module("shop", SEEN=seen, ORDERS=orders)

    def serve(k: int) -> None:
        for _ in range(10):
            order = heap.instance("shop.Order")
            reference = heap.weakref(order)
            seen.append(reference)
            if is_leak:
                reference._weak = None
            else:
                orders.append(order)

    return heap.live(serve)


def held_now_and_then(is_leak: bool) -> list[Snapshot]:
    # C -> Token, …   given back after three looks, or never
    heap = Heap()
    heap.module("shop")
    held: list[list[object]] = []

    def serve(k: int) -> None:
        held.append([heap.hold_by_c(heap.instance("shop.Token")) for _ in range(10 + 6 * k)])
        for token in held[k - 3] if k >= 3 and not is_leak else ():
            heap.hold_by_c(token, -1)  # type: ignore[arg-type]

    return heap.live(serve, moments=14)


def keys_come_back(is_leak: bool) -> list[Snapshot]:
    # module shop -> PRICES -> Price by article: fewer new articles each time, and new values for some of the old ones
    heap = Heap()
    prices = heap.dict()
    heap.module("shop", PRICES=prices)

    def serve(k: int) -> None:
        for _ in range(30 - 2 * k):
            prices[len(prices)] = heap.instance("shop.Price")
        for number in range(0 if is_leak else 3):
            prices[3 * k + number] = heap.instance("shop.Price")

    return heap.live(serve)


def not_at_every_look(is_leak: bool) -> list[Snapshot]:
    # module shop -> STATE -> State .page -> str   a page of any size, or a log that grows
    heap = Heap()
    state = heap.instance("shop.State")
    heap.module("shop", STATE=state)

    def serve(k: int) -> None:
        state.page = heap.string(100_000 * (k + (3 if k % 2 and not is_leak else 1)))

    return heap.live(serve)


def class_does_not_follow(is_leak: bool) -> list[Snapshot]:
    # module shop -> WRITER -> Writer .rows -> Row, …   graphs at four moments; other rows in between are dropped with
    # their batch, or are cycles that a full collection takes
    heap = Heap()
    rows, other = heap.list(), heap.list()
    heap.module("shop", WRITER=heap.instance("shop.Writer", rows=rows, other=other))

    def serve(k: int) -> dict[str, str]:
        rows.extend(heap.instance("shop.Row") for _ in range(10))
        for _ in range(60):
            row = heap.instance("shop.Row")
            if is_leak:
                row.itself = row
            else:
                other.append(row)
        if k % 5 == 4:
            other.clear()
            heap.collect()
        return {"gc_collections": f"0 0 {(k + 1) // 5 if is_leak else 0}"}

    return heap.live(serve, moments=16, deep=lambda k: k in (4, 8, 12, 15))


def same_objects(is_leak: bool) -> list[Snapshot]:
    # module shop -> ORDERS -> Order <- BY_KEY <- module shop;   or each of its own orders
    heap = Heap()
    orders, by_key = heap.list(), heap.dict()
    heap.module("shop", ORDERS=orders, BY_KEY=by_key)

    def serve(k: int) -> None:
        for _ in range(10):
            order = heap.instance("shop.Order")
            orders.append(order)
            by_key.add(heap.instance("shop.Order") if is_leak else order)

    return heap.live(serve)


PAIRS: dict[str, tuple[Life, str]] = {
    "few more": (few_more, "shop.PLUGINS"),
    "no growth": (no_growth, "shop.JOBS"),
    "turnover": (turnover, "shop.SESSIONS"),
    "carriers go": (carriers_go, "shop.User.visits"),
    "watches": (watches, "shop.SEEN"),
    "held now and then": (held_now_and_then, "shop.Token"),
    "keys come back": (keys_come_back, "shop.PRICES"),
    "class does not follow": (class_does_not_follow, "shop.Writer.rows"),
    "not at every look": (not_at_every_look, "shop.State.page"),
    "same objects": (same_objects, "shop.ORDERS"),
}


def called(snapshots: list[Snapshot], name: str, known: Known = BUILT_IN) -> list[Verdict]:
    evidence = Evidence(snapshots, known, AT_ANY_AGE)
    return tracks.matching(evidence, judge(evidence), name)


@pytest.mark.parametrize("name", PAIRS)
def test_the_innocent_is_doubted_and_the_leak_is_not(name: str) -> None:
    life, owner = PAIRS[name]
    innocent, leak = called(life(False), owner), called(life(True), owner)
    assert name in {doubt.name for candidate in innocent for doubt in candidate.doubts}
    assert name not in {doubt.name for doubt in leak[0].doubts}
    assert leak[0].confidence >= POLICY.accuse_at


@pytest.mark.parametrize("name", [name for name in PAIRS if name not in ("keys come back", "same objects")])
def test_the_innocent_is_not_accused(name: str) -> None:
    life, owner = PAIRS[name]
    assert all(candidate.confidence < POLICY.accuse_at for candidate in called(life(False), owner) if candidate.type)


def test_what_the_user_says_is_harmless_is_ended_by_their_reason() -> None:
    (candidate,) = [c for c in called(no_growth(True), "JOBS", Known({"shop.JOBS": "done at night"}, {})) if c.place]
    assert [(doubt.name, doubt.sentence) for doubt in candidate.doubts] == [("known", "done at night")]


# Nothing is lost


def test_a_candidate_that_is_doubted_away_is_found_by_its_place_its_class_and_the_class_of_what_is_in_it() -> None:
    snapshots = turnover(False)
    for name in ("shop.SESSIONS", "SESSIONS", "shop.Session", "Session", "sessions"):
        assert "shop.SESSIONS" in {candidate.owner for candidate in called(snapshots, name)}, name


def test_of_a_name_that_was_never_a_candidate_near_ones_are_told() -> None:
    assert tracks.near(["shop.SESSIONS", "shop.ORDERS"], "Sesions") == ("shop.SESSIONS",)
    assert tracks.near(["shop.SESSIONS", "shop.ORDERS"], "order") == ("shop.ORDERS",)
    assert tracks.near(["shop.SESSIONS"], "zebra") == ()


def test_a_track_tells_what_was_seen_measured_and_doubted() -> None:
    evidence = Evidence(turnover(False), policy=AT_ANY_AGE)
    (candidate,) = [c for c in tracks.matching(evidence, judge(evidence), "SESSIONS") if c.place]
    told = tracks.track(evidence, candidate, 4711)
    assert not told.named and told.what == "a builtins.list" and told.items[-1] > told.items[0]
    assert told.doubts[-1].ends and "come and go" in told.doubts[-1].sentence


# Thresholds


def test_every_threshold_has_its_reason() -> None:
    assert all(len(why) > 8 for why in reasons().values())


@pytest.mark.parametrize("name", reasons())
def test_every_threshold_can_be_moved_both_ways(name: str) -> None:
    value = getattr(POLICY, name)
    assert getattr(varied(POLICY, name, 0.75), name) < value < getattr(varied(POLICY, name, 1.25), name)


def test_the_same_evidence_is_judged_by_another_policy_as_if_it_were_new() -> None:
    snapshots, strict = turnover(True), replace(AT_ANY_AGE, gain=10_000)
    evidence = Evidence(snapshots, policy=AT_ANY_AGE)
    before = [(v.owner, v.type, v.confidence) for v in judge(evidence)]
    again = [(v.owner, v.confidence) for v in judge(evidence.with_policy(strict))]
    assert again == [(v.owner, v.confidence) for v in judge(Evidence(snapshots, policy=strict))]
    assert before == [(v.owner, v.type, v.confidence) for v in judge(evidence.with_policy(AT_ANY_AGE))]
