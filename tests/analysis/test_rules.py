"""For each verdict the heap that has it, and the nearest healthy one that has not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from heap import Heap, Thing

from leakhunt.agent import schema
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.snapshot import Snapshot

from .judging import accused, told

REUSE = pytest.mark.parametrize("reuse", [False, True], ids=["fresh addresses", "addresses used again"])


# Registries, caches, queues


# module shop -> SESSIONS -> Session, Session, …
def test_a_registry_that_is_never_pruned_leaks() -> None:
    heap = Heap()
    sessions = heap.dict()
    heap.module("shop", SESSIONS=sessions)

    def serve(k: int) -> None:
        for _ in range(10):
            sessions.add(heap.instance("shop.Session", user=heap.string()))

    assert told(heap.live(serve)) == [("python-leak", "shop.Session", "shop.SESSIONS")]


@pytest.mark.parametrize(("every", "leaks"), [(4, True), (9, False)], ids=["six bursts", "two bursts"])
def test_a_job_that_comes_now_and_then_and_leaves_all_of_it_leaks(every: int, leaks: bool) -> None:
    heap = Heap()
    ledger = heap.list([heap.instance("shop.Invoice")])
    heap.module("shop", LEDGER=ledger)

    def serve(k: int) -> None:
        if k % every == every - 1:
            ledger.extend(heap.instance("shop.Invoice") for _ in range(40))

    expected = [("python-leak", "shop.Invoice", "shop.LEDGER")] if leaks else []
    assert told(heap.live(serve, moments=28)) == expected


@REUSE
def test_a_job_whose_batch_goes_when_the_next_one_comes_does_not(reuse: bool) -> None:
    heap = Heap(reuse)
    shop = heap.instance("shop.Shop", batch=heap.list())
    heap.module("shop", SHOP=shop)

    def serve(k: int) -> None:
        if k % 4 == 3:
            shop.batch = heap.list([heap.instance("shop.Invoice") for _ in range(40 + 4 * k)])

    assert told(heap.live(serve, moments=28)) == []


# module shop -> SIGNAL -> Signal .receivers -> int: Handler;   .by_sender -> int: tuple
@pytest.mark.parametrize(
    ("index_bytes", "expected"),
    [
        (50, [("shop.Handler", "shop.Signal.receivers")]),
        (5000, [("builtins.tuple", "shop.Signal.by_sender"), ("shop.Handler", "shop.Signal.receivers")]),
    ],
    ids=["light", "heavy"],
)
def test_a_registry_and_its_index_are_one_leak_unless_the_index_is_what_takes_the_memory(
    index_bytes: int, expected: list[tuple[str, str]]
) -> None:
    heap = Heap()
    receivers, by_sender = heap.dict(), heap.dict()
    heap.module("shop", SIGNAL=heap.instance("shop.Signal", receivers=receivers, by_sender=by_sender))

    def serve(k: int) -> None:
        for _ in range(10):
            receivers[heap.instance("builtins.int")] = heap.instance("shop.Handler", size=60)
            by_sender[heap.instance("builtins.int")] = heap.instance("builtins.tuple", size=index_bytes)

    assert [(kind, owner) for _, kind, owner in told(heap.live(serve))] == expected


def test_two_registries_of_one_module_are_two_leaks() -> None:
    heap = Heap()
    receivers, names = heap.dict(), heap.dict()
    heap.module("shop", RECEIVERS=receivers, NAMES=names)

    def serve(k: int) -> None:
        for _ in range(10):
            receivers[heap.instance("builtins.int")] = heap.instance("shop.Handler", size=60)
            names[heap.instance("builtins.int")] = heap.instance("builtins.tuple", size=60)

    assert {owner for _, _, owner in told(heap.live(serve))} == {"shop.RECEIVERS", "shop.NAMES"}


@pytest.mark.parametrize(("at_exit", "leaks"), [(10, True), (0, False), (-30, False)])
def test_of_a_run_with_few_graphs_the_one_at_exit_counts_where_it_has_more(at_exit: int, leaks: bool) -> None:
    heap = Heap()
    sessions = heap.dict()
    heap.module("shop", SESSIONS=sessions)

    def serve(k: int) -> None:
        for _ in range(10):
            sessions.add(heap.instance("shop.Session"))

    seen = heap.live(serve, moments=14, deep=lambda k: k in (7, 13))
    for _ in range(at_exit):
        sessions.add(heap.instance("shop.Session"))
    for _ in range(-at_exit):
        sessions.pop_oldest()
    # censuses list the dict too; without them only graphs know it, as a dict of texts that the collector leaves out
    seen = [snapshot for snapshot in seen if snapshot.is_deep] + [heap.snapshot(deep=True, moment="exit")]
    assert bool(told(seen)) == leaks


@REUSE
def test_a_registry_whose_oldest_are_dropped_when_their_time_is_over_does_not(reuse: bool) -> None:
    heap = Heap(reuse)
    sessions = heap.dict()
    heap.module("shop", SESSIONS=sessions)

    def serve(k: int) -> None:
        for _ in range(10):
            sessions.add(heap.instance("shop.Session"))
        while len(sessions) > 40:
            sessions.pop_oldest()

    assert told(heap.live(serve, moments=20)) == []


@REUSE
@pytest.mark.parametrize("container", ["dict", "list", "deque"])
def test_a_growing_population_that_turns_over_does_not(container: str, reuse: bool) -> None:
    """More users every minute, and each of them stays for four intervals."""
    heap = Heap(reuse)
    sessions, arrivals = getattr(heap, container)(), []
    heap.module("shop", SESSIONS=sessions)

    def serve(k: int) -> None:
        arrivals.append(10 + 5 * k)
        for _ in range(arrivals[-1]):
            sessions.add(heap.instance("shop.Session", user=heap.instance("shop.User")))
        while len(sessions) > sum(arrivals[-4:]):
            sessions.pop_oldest()

    assert told(heap.live(serve, moments=14)) == []


# module shop -> PAGES -> Page, Page, …   the one used last at the end
def test_a_cache_that_moves_what_was_used_to_its_end_and_has_no_bound_leaks() -> None:
    heap = Heap()
    pages, chance = heap.dict(), random.Random(5)
    heap.module("shop", PAGES=pages)

    def serve(k: int) -> None:
        for number in range(10):
            pages[10 * k + number] = heap.instance("shop.Page")
        for number in chance.sample(range(10 * k + 10), 5):
            page = pages[number]
            del pages[number]
            pages[number] = page

    assert told(heap.live(serve)) == [("python-leak", "shop.Page", "shop.PAGES")]


# module shop -> JOBS -> Job, Job, …   in an order that changes all the time
def test_a_leaking_list_that_is_sorted_anew_all_the_time_leaks() -> None:
    heap = Heap()
    jobs, chance = heap.list(), random.Random(5)
    heap.module("shop", JOBS=jobs)

    def serve(k: int) -> None:
        for _ in range(10):
            jobs.append(heap.instance("shop.Job"))
        jobs.sort(lambda job: chance.random())

    assert told(heap.live(serve)) == [("python-leak", "shop.Job", "shop.JOBS")]


def test_a_cache_that_fills_ever_more_slowly_does_not() -> None:
    """Half of the keys that are left are asked for in eight intervals."""
    heap = Heap()
    prices = heap.dict()
    heap.module("shop", PRICES=prices)

    def serve(k: int) -> None:
        while len(prices) < 400 * (1 - 0.5 ** ((k + 1) / 8)):
            prices.add(heap.instance("shop.Price"))

    assert told(heap.live(serve, moments=20)) == []


def test_a_registry_filled_at_the_start_does_not() -> None:
    heap = Heap()
    plugins = heap.dict()
    heap.module("shop", PLUGINS=plugins)

    def start(k: int) -> None:
        for _ in range(100 if k < 2 else 0):
            plugins.add(heap.instance("shop.Plugin"))

    assert told(heap.live(start)) == []


# module shop -> USERS -> User -> .visits -> Visit, Visit, …
def test_inner_lists_of_a_registry_of_constant_size_leak_under_one_name() -> None:
    heap = Heap()
    users = heap.list([heap.instance("shop.User", visits=heap.list()) for _ in range(20)])
    heap.module("shop", USERS=users)

    def serve(k: int) -> None:
        for user in users:
            user.visits.append(heap.instance("shop.Visit"))

    assert told(heap.live(serve)) == [("python-leak", "shop.Visit", "shop.User.visits")]


# class logging.Manager .loggerDict -> PlaceHolder .loggerMap -> Logger;   loggerDict -> Logger
def test_of_two_registries_one_of_which_is_in_the_other_the_outer_is_named() -> None:
    heap = Heap()
    loggers, below = heap.dict(), heap.list()
    manager = heap.instance("logging.Manager", loggerDict=loggers)
    heap.module("logging", MANAGER=manager)
    loggers["app"] = heap.instance("logging.PlaceHolder", loggerMap=below)

    def serve(k: int) -> None:
        for _ in range(10):
            logger = heap.instance("logging.Logger", manager=manager)
            loggers.add(logger)
            below.append(logger)

    (verdict,) = accused(heap.live(serve))
    assert verdict.owner == "logging.Manager.loggerDict"
    assert "logging.PlaceHolder.loggerMap" in verdict.also_owned_by


# frame shop.main -> <history> -> bytes, bytes, …
def test_a_list_that_only_a_running_function_holds_leaks() -> None:
    heap = Heap()
    history = heap.list()
    heap.frame("shop.main", history=history)

    def serve(k: int) -> None:
        for _ in range(10):
            history.append(heap.bytes(5000))

    assert told(heap.live(serve)) == [("python-leak", "builtins.bytes", "shop.main.<history>")]


# module shop -> PAGES -> str: bytes
def test_bytes_that_pile_up_in_a_dict_leak() -> None:
    heap = Heap()
    pages = heap.dict()
    heap.module("shop", PAGES=pages)

    def serve(k: int) -> None:
        for n in range(10):
            pages[f"/{k}/{n}"] = heap.bytes(20_000)

    assert told(heap.live(serve)) == [("python-leak", "builtins.bytes", "shop.PAGES")]


@REUSE
def test_a_dict_of_which_values_are_replaced_does_not(reuse: bool) -> None:
    heap = Heap(reuse)
    pages = heap.dict()
    heap.module("shop", PAGES=pages)

    def serve(k: int) -> None:
        for n in range(40):
            pages[f"/{n}"] = heap.bytes(20_000)

    assert told(heap.live(serve)) == []


# module shop -> price (lru_cache) -> tuple, Price, …
def test_an_unbounded_lru_cache_leaks_by_the_name_of_its_function() -> None:
    heap = Heap()
    cache = heap.lru_cache(None)
    heap.module("shop", price=cache)

    def serve(k: int) -> None:
        for _ in range(10):
            cache.call([heap.string(), heap.string()], heap.instance("shop.Price"))

    assert told(heap.live(serve)) == [("python-leak", "shop.Price", "shop.price")]


@pytest.mark.parametrize("maxsize", [128, 1000])
def test_an_lru_cache_that_fills_up_to_its_bound_does_not(maxsize: int) -> None:
    heap = Heap()
    cache = heap.lru_cache(maxsize)
    heap.module("shop", price=cache)

    def serve(k: int) -> None:
        for _ in range(maxsize // 13):
            cache.call([heap.string(), heap.string()], heap.instance("shop.Price"))

    assert told(heap.live(serve, moments=12)) == []


# class shop.Report -> .total (lru_cache) -> tuple -> Report (self)
def test_an_lru_cache_on_a_method_that_keeps_self_leaks_though_it_is_bounded() -> None:
    heap = Heap()
    cache = heap.lru_cache(1000)
    heap.module("shop", Report=heap.class_("shop.Report", total=cache))

    def serve(k: int) -> None:
        for _ in range(10):
            cache.call([heap.instance("shop.Report", rows=heap.list()), heap.string()], heap.string())

    assert told(heap.live(serve)) == [("python-leak", "shop.Report", "shop.Report.total")]


def test_an_lru_cache_on_a_method_of_one_instance_does_not() -> None:
    heap = Heap()
    cache, report = heap.lru_cache(1000), heap.instance("shop.Report")
    heap.module("shop", Report=heap.class_("shop.Report", total=cache), REPORT=report)

    def serve(k: int) -> None:
        for _ in range(10):
            cache.call([report, heap.string()], heap.string())

    assert told(heap.live(serve)) == []


# module shop -> RECENT (deque, maxlen) -> Order, …
def test_a_deque_leaks_without_maxlen_and_not_with_it() -> None:
    def life(maxlen: int | None) -> list[tuple[str, str, str | None]]:
        heap = Heap()
        recent = heap.deque(maxlen)
        heap.module("shop", RECENT=recent)

        def serve(k: int) -> None:
            for _ in range(10):
                recent.append(heap.instance("shop.Order"))

        return told(heap.live(serve))

    assert life(None) == [("python-leak", "shop.Order", "shop.RECENT")]
    assert life(1000) == []
    assert life(50) == []


# module shop -> CACHE (LRUCache, maxsize) -> ._data -> Page, …
@pytest.mark.parametrize(("capacity", "leaks"), [(10_000, False), (100_000_000, True)])
def test_a_bound_at_which_it_would_take_a_gigabyte_is_none(capacity: int, leaks: bool) -> None:
    heap = Heap()
    records = heap.deque(capacity)
    heap.module("shop", RECORDS=records)

    def serve(k: int) -> None:
        records.extend(heap.instance("logging.LogRecord", msg=heap.string()) for _ in range(20))

    assert bool(told(heap.live(serve))) == leaks


def test_a_cache_that_declares_its_bound_on_its_owner_does_not_leak() -> None:
    def life(limit: int | None) -> list[tuple[str, str, str | None]]:
        heap = Heap()
        data = heap.dict()
        cache = heap.instance("lrucache.LRUCache", separate_dict=True, _data=data)
        cache._bound = limit
        heap.module("shop", CACHE=cache)

        def serve(k: int) -> None:
            for _ in range(10):
                data.add(heap.instance("shop.Page"))

        return told(heap.live(serve))

    assert life(None) == [("python-leak", "shop.Page", "lrucache.LRUCache._data")]
    assert life(1000) == []
    assert life(60) != []  # its bound is passed: it does not keep to it


def test_a_queue_that_drains_does_not_leak() -> None:
    heap = Heap()
    queue = heap.deque()
    heap.module("shop", QUEUE=queue)

    def serve(k: int) -> None:
        for _ in range(10 + 2 * k):
            queue.append(heap.instance("shop.Job"))
        while len(queue) > 5 + k:
            queue.pop(0)

    assert told(heap.live(serve, moments=16)) == []


@REUSE
@pytest.mark.parametrize("period", [3, 4, 5, 7])
def test_a_batch_that_is_dropped_and_begun_anew_does_not_leak(reuse: bool, period: int) -> None:
    """The list itself is new for each batch, as in `batch = []`."""
    heap = Heap(reuse)
    writer = heap.instance("shop.Writer", batch=heap.list())
    heap.module("shop", WRITER=writer)

    def serve(k: int) -> None:
        if k % period == 0:
            writer.batch = heap.list()
        for _ in range(20):
            writer.batch.append(heap.instance("shop.Row"))

    assert told(heap.live(serve, moments=16)) == []


@pytest.mark.parametrize("period", [3, 4, 5, 7])
def test_a_batch_that_is_cleared_does_not_leak(period: int) -> None:
    heap = Heap()
    batch = heap.list()
    heap.module("shop", BATCH=batch)

    def serve(k: int) -> None:
        if k % period == 0:
            batch.clear()
        for _ in range(20):
            batch.append(heap.instance("shop.Row"))

    assert told(heap.live(serve, moments=16)) == []


@pytest.mark.parametrize(("each", "leaks"), [(10, False), (60, True)], ids=["below its bound", "past it"])
def test_a_cache_that_is_known_to_be_pruned_leaks_only_when_it_has_passed_its_bound(each: int, leaks: bool) -> None:
    heap = Heap()
    cache = heap.dict()
    heap.module("re", _cache=cache)

    def serve(k: int) -> None:
        for _ in range(each):
            cache.add(heap.instance("re.Pattern"))

    assert bool(told(heap.live(serve))) == leaks


# module shop -> BUS -> .listeners -> function, function, …
def test_listeners_that_are_never_removed_leak_by_the_name_of_the_function() -> None:
    heap = Heap()
    listeners = heap.list()
    heap.module("shop", BUS=heap.instance("shop.Bus", listeners=listeners))

    def serve(k: int) -> None:
        for _ in range(10):
            request = heap.instance("shop.Request")
            listeners.append(heap.function("shop.handle.<locals>.done", "shop.py", 9, {"request": request}))

    (verdict,) = accused(heap.live(serve))
    assert (verdict.kind, verdict.owner) == ("python-leak", "shop.Bus.listeners")
    assert verdict.type in ("shop.Request", "builtins.function")


# module shop -> ROOMS (defaultdict) -> set, set, … -> Client
def test_sets_in_a_dict_of_constant_size_leak_by_the_name_of_the_dict() -> None:
    heap = Heap()
    rooms = heap.dict({n: heap.list(kind="builtins.set") for n in range(15)}, kind="collections.defaultdict")
    heap.module("chat", ROOMS=rooms)

    def serve(k: int) -> None:
        for n in range(15):
            rooms[n].add(heap.instance("chat.Client"))

    assert told(heap.live(serve)) == [("python-leak", "chat.Client", "chat.ROOMS")]


def test_one_bytearray_that_grows_where_it_is_leaks() -> None:
    heap = Heap()
    buffer = heap.bytearray(100)
    heap.module("shop", BUFFER=buffer)
    assert told(heap.live(lambda k: buffer.grow(100_000))) == [("python-leak", "builtins.bytearray", "shop.BUFFER")]


def test_a_buffer_with_a_small_text_of_its_own_is_no_view_of_that() -> None:
    # module shop -> SESSION -> Session .transcript -> StringIO -> str (its newline)
    heap = Heap()
    heap.type("_io.StringIO", flags=schema.TYPE_BUFFER)
    transcript = heap.instance("_io.StringIO", size=184)
    transcript._others = [(heap.string(50), "")]
    written = [0]
    kind = type("Buffered", (type(transcript),), {"_length": lambda self: written[0]})
    object.__setattr__(transcript, "__class__", kind)
    heap.module("shop", SESSION=heap.instance("shop.Session", transcript=transcript))

    def serve(k: int) -> None:
        written[0] += 60_000

    assert told(heap.live(serve)) == [("python-leak", "_io.StringIO", "shop.Session.transcript")]


def test_one_string_that_is_added_to_leaks() -> None:
    """`self.log += line`"""
    heap = Heap()
    state = heap.instance("shop.State")
    heap.module("shop", STATE=state)

    def serve(k: int) -> None:
        state.log = heap.string(1_000_000 * (k + 1))

    assert [(kind, name) for kind, name, _ in told(heap.live(serve))] == [("python-leak", "builtins.str")]


@pytest.mark.parametrize("last_is_named", [True, False])
def test_it_is_the_same_string_where_it_was_replaced_before_it_could_be_named(last_is_named: bool) -> None:
    heap = Heap()
    state = heap.instance("shop.State")
    heap.module("shop", STATE=state)

    def serve(k: int) -> None:
        text, is_named = heap.string(1_000_000 * (k + 1)), k % 3 == (2 if last_is_named else 0)
        state.log = text if is_named else heap.string()
        heap.refer(state, *([] if is_named else [text]))

    assert told(heap.live(serve)) == [("python-leak", "builtins.str", "shop.State.log")]


def test_counters_by_ever_new_names_leak_their_names() -> None:
    # module metrics -> COUNTS -> str: 1
    heap = Heap()
    counts, one = heap.dict(), heap.instance("builtins.int")
    heap.module("metrics", COUNTS=counts)

    def serve(k: int) -> None:
        for _ in range(20):
            counts[heap.string()] = one

    assert told(heap.live(serve)) == [("python-leak", "builtins.str", "metrics.COUNTS")]


# module shop -> ERRORS -> ValueError .__traceback__ -> traceback .tb_frame -> frame <request> -> Request
@pytest.mark.parametrize(("key_bytes", "told_as"), [(28, "float"), (400, "str")], ids=["light keys", "heavy keys"])
def test_a_dict_from_atoms_to_atoms_is_told_by_its_values_unless_the_keys_take_the_memory(
    key_bytes: int, told_as: str
) -> None:
    heap = Heap()
    scores = heap.dict()
    heap.module("shop", SCORES=scores)

    def serve(k: int) -> None:
        for _ in range(10):
            scores[heap.string(key_bytes)] = heap.instance("builtins.float", size=24)

    assert told(heap.live(serve)) == [("python-leak", f"builtins.{told_as}", "shop.SCORES")]


def test_stored_exceptions_leak_with_the_frames_they_drag_along() -> None:
    heap = Heap()
    errors = heap.list()
    heap.module("shop", ERRORS=errors)

    def serve(k: int) -> None:
        for _ in range(10):
            frame = heap.instance("builtins.frame", request=heap.instance("shop.Request"))
            traceback = heap.instance("builtins.traceback", tb_frame=frame)
            errors.append(heap.instance("builtins.ValueError", __traceback__=traceback))

    (verdict,) = accused(heap.live(serve))
    assert (verdict.type, verdict.owner) == ("builtins.ValueError", "shop.ERRORS")
    assert len(verdict.objects) == 4 * len(verdict.direct)


# module threading -> _active -> Thread <- frame shop.worker
def test_threads_that_never_end_leak_though_their_own_frames_hold_them_too() -> None:
    heap = Heap()
    active = heap.dict()
    heap.module("threading", _active=active)

    def serve(k: int) -> None:
        for n in range(3):
            thread = heap.instance("threading.Thread")
            active.add(thread)
            heap.frame("shop.worker", f"Thread-{k}-{n}", self=thread)

    (verdict,) = accused(heap.live(serve))
    assert (verdict.type, verdict.owner) == ("threading.Thread", "threading._active")
    assert "join them" in verdict.advice


def test_classes_made_at_run_time_leak() -> None:
    heap = Heap()
    made = heap.list()
    heap.module("shop", MADE=made)

    def serve(k: int) -> None:
        made.extend(heap.class_(f"shop.Made{k}_{n}") for n in range(5))

    assert told(heap.live(serve)) == [("python-leak", "builtins.type", "shop.MADE")]


# module shop -> STATE -> State .handlers -> tuple (anew each time) -> Handler
def test_a_tuple_that_is_made_anew_with_one_more_leaks() -> None:
    heap = Heap()
    state, handlers = heap.instance("shop.State"), []
    heap.module("shop", STATE=state)

    def serve(k: int) -> None:
        handlers.extend(heap.instance("shop.Handler") for _ in range(10))
        state.handlers = heap.tuple(handlers)

    assert [(kind, name) for kind, name, _ in told(heap.live(serve))] == [("python-leak", "shop.Handler")]


@REUSE
def test_a_population_that_is_thinned_at_random_does_not_leak(reuse: bool) -> None:
    heap = Heap(reuse)
    dice, sessions = random.Random(1), heap.list()
    heap.module("shop", SESSIONS=sessions)

    def serve(k: int) -> None:
        for _ in range(40):
            sessions.append(heap.instance("shop.Session"))
        for _ in range(40 if k > 3 else 20):
            sessions.pop(dice.randrange(len(sessions)))

    assert told(heap.live(serve, moments=16)) == []


def test_a_pool_that_fills_up_to_its_bound_does_not_leak() -> None:
    heap = Heap()
    free = heap.bound(heap.list(), 100)
    heap.module("db", POOL=heap.instance("db.Pool", free=free))

    def serve(k: int) -> None:
        for _ in range(5):
            free.append(heap.instance("db.Connection"))

    assert told(heap.live(serve, moments=16)) == []


def test_a_cache_of_few_keys_that_fills_ever_more_slowly_does_not_leak() -> None:
    heap = Heap()
    pages = heap.dict()
    heap.module("shop", PAGES=pages)

    def serve(k: int) -> None:
        while len(pages) < 400 * (1 - math.exp(-k / 5)):
            pages.add(heap.instance("shop.Page"))

    assert told(heap.live(serve, moments=16)) == []


def test_a_slow_leak_of_a_class_that_churns_elsewhere_is_seen() -> None:
    # module shop -> AUDIT -> Event (one more each time);   module shop -> QUEUE -> Event, Event, … (coming and going)
    heap = Heap()
    dice, audit, queue = random.Random(2), heap.list(), heap.deque()
    heap.module("shop", AUDIT=audit, QUEUE=queue)

    def serve(k: int) -> None:
        audit.append(heap.instance("shop.Event"))
        for _ in range(dice.randrange(200)):
            queue.append(heap.instance("shop.Event"))
        for _ in range(min(dice.randrange(200), len(queue))):
            queue.pop(0)

    assert told(heap.live(serve, moments=40)) == [("python-leak", "shop.Event", "shop.AUDIT")]


@pytest.mark.parametrize("is_leak", [True, False], ids=["all stay", "the oldest goes"])
def test_of_three_looks_after_the_start_up_it_counts_that_every_item_stayed(is_leak: bool) -> None:
    # module shop -> SESSIONS -> Session, Session, …
    heap = Heap()
    sessions = heap.list()
    heap.module("shop", SESSIONS=sessions)

    def serve(k: int) -> None:
        sessions.extend(heap.instance("shop.Session") for _ in range(40))
        if not is_leak and k:
            sessions.pop_oldest()

    expected = [("python-leak", "shop.Session", "shop.SESSIONS")] if is_leak else []
    assert told(heap.live(serve, moments=3)) == expected


@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "ends with the imports"])
def test_what_grows_while_the_program_imports_its_modules_is_its_start_up(goes_on: bool) -> None:
    # module shop -> RULES -> Rule, Rule, …;   the modules of the shop come at the first three of seven looks
    heap = Heap()
    rules = heap.list()
    heap.module("shop", RULES=rules)

    def serve(k: int) -> None:
        if k < 4:
            for number in range(20):
                heap.module(f"shop.part{k}_{number}")
        if k < 4 or goes_on:
            rules.extend(heap.instance("shop.Rule") for _ in range(30))
        else:
            rules.append(heap.instance("shop.Rule"))

    expected = [("python-leak", "shop.Rule", "shop.RULES")] if goes_on else []
    assert told(heap.live(serve, moments=7)) == expected


# module shop -> STACK -> ExitStack -> deque -> partial -> Entry;  the stack is not there yet at the first of 3 graphs
def test_of_a_container_that_is_not_old_enough_to_be_a_place_the_frontier_tells_the_name() -> None:
    heap = Heap()
    shop, stacks = heap.module("shop"), []

    def serve(k: int) -> None:
        if k == 5:
            stacks.append(heap.deque())
            shop.STACK = heap.instance("contextlib.ExitStack", _exit_callbacks=stacks[0])
        for _ in range(10 if stacks else 0):
            stacks[0].append(heap.instance("functools.partial", func=heap.instance("shop.Entry", text=heap.string())))

    found = told(heap.live(serve, moments=26, deep=lambda k: k in (3, 7, 25)))
    assert found == [("python-leak", "shop.Entry", "contextlib.ExitStack._exit_callbacks")]


# Without a container


# module shop -> HEAD -> Node -> .next -> Node -> …
def test_linked_nodes_leak_though_no_container_grows() -> None:
    heap = Heap()
    log = heap.instance("shop.Log")
    log.head = log.tail = heap.instance("shop.Entry")
    heap.module("shop", LOG=log)

    def serve(k: int) -> None:
        for _ in range(10):
            entry = heap.instance("shop.Entry", text=heap.string())
            log.tail.next = entry
            log.tail = entry

    assert [(kind, name) for kind, name, _ in told(heap.live(serve))] == [("python-leak", "shop.Entry")]


def registry_made_anew(length: Callable[[int], int]) -> list[Snapshot]:
    # module shop -> STATE -> State .handlers -> tuple (another one each time) -> Handler, Handler, …
    heap = Heap()
    state = heap.instance("shop.State")
    heap.module("shop", STATE=state)
    handlers: list[Any] = []

    def serve(k: int) -> None:
        handlers.extend(heap.instance("shop.Handler") for _ in range(10))
        del handlers[: -length(k)]
        state.handlers = heap.tuple(handlers)

    return heap.live(serve)


def test_a_tuple_made_anew_with_every_item_is_named_by_its_attribute() -> None:
    assert told(registry_made_anew(lambda k: 1000)) == [("python-leak", "shop.Handler", "shop.State.handlers")]


def test_a_tuple_made_anew_of_the_latest_items_does_not_leak() -> None:
    assert told(registry_made_anew(lambda k: 40)) == []


@REUSE
def test_a_list_of_plain_dicts_made_anew_at_every_call_leaks_by_owner_and_name(reuse: bool) -> None:
    # module shop -> INTERPRETER -> Interpreter .scope -> ChainMap .maps -> list -> dict, …  (all but the dicts anew)
    heap = Heap(reuse)
    interpreter = heap.instance("shop.Interpreter")
    heap.module("shop", INTERPRETER=interpreter)
    kept: list[Any] = []

    def serve(k: int) -> None:
        kept.extend(heap.dict({heap.string(): heap.string()}) for _ in range(10))
        interpreter.scope = heap.instance("collections.ChainMap", maps=heap.list(kept))

    assert [owner for _, _, owner in told(heap.live(serve))] == ["shop.Interpreter.scope.maps"]


@REUSE
def test_a_list_made_anew_of_other_items_each_time_does_not(reuse: bool) -> None:
    heap = Heap(reuse)
    page = heap.instance("shop.Page")
    heap.module("shop", PAGE=page)

    def serve(k: int) -> None:
        page.rows = heap.list([heap.dict({heap.string(): heap.string()}) for _ in range(20 + 10 * k)])

    assert told(heap.live(serve)) == []


def test_a_registry_that_is_made_after_the_first_looks_leaks() -> None:
    heap = Heap()
    shop, made = heap.module("shop"), []

    def serve(k: int) -> None:
        if k == 5:
            made.append(heap.dict())
            shop.SESSIONS = made[0]
        for _ in range(10 if made else 0):
            made[0].add(heap.instance("shop.Session"))

    assert told(heap.live(serve, moments=14)) == [("python-leak", "shop.Session", "shop.SESSIONS")]


def test_nodes_that_know_each_other_are_named_by_the_global_that_leads_to_the_first_of_them() -> None:
    # module shop -> FIRST -> Node <-> Node <-> … <-> Node <- NEWEST <- module shop
    heap = Heap()
    first = heap.instance("shop.Node")
    shop = heap.module("shop", FIRST=first, NEWEST=first)
    newest = [first]

    def serve(k: int) -> None:
        for _ in range(10):
            node = heap.instance("shop.Node")
            newest[0].next, node.previous = node, newest[0]
            newest[0] = node
        shop.NEWEST = newest[0]

    assert told(heap.live(serve)) == [("python-leak", "shop.Node", "shop.FIRST")]


def test_one_buffer_in_an_object_that_is_made_anew_is_named_by_the_attribute_of_who_has_that() -> None:
    # module shop -> LOG -> Log .table -> Frame (anew) .values -> bytes (longer each time)
    heap = Heap()
    log = heap.instance("shop.Log")
    heap.module("shop", LOG=log)

    def serve(k: int) -> None:
        log.table = heap.instance("shop.Frame", values=heap.bytes(100_000 * (k + 1)))

    assert told(heap.live(serve)) == [("python-leak", "shop.Frame", "shop.Log.table")]


@pytest.mark.parametrize(("each", "leaks"), [(20, False), (150, True)], ids=["below the limit", "beyond it"])
def test_weak_references_that_an_object_of_c_keeps_may_be_pruned_at_a_limit_of_its_own(each: int, leaks: bool) -> None:
    # module shop -> POOL -> Pool .connection -> Connection (C) -> list -> weakref (dead), …
    heap = Heap()
    connection, cursors = heap.instance("db.Connection"), heap.list()
    heap.type("db.Connection", flags=schema.TYPE_EXTENSION)
    connection._others = [(cursors, "")]
    heap.module("shop", POOL=heap.instance("shop.Pool", connection=connection))

    def serve(k: int) -> None:
        cursors.extend(heap.instance("weakref.ReferenceType") for _ in range(each))

    assert bool(told(heap.live(serve))) == leaks


def test_a_class_that_grows_as_garbage_is_not_told_as_held_by_its_few_living() -> None:
    # frame shop.main -> Scope -> Task (one of now);   Task <-> Coroutine: garbage that waits for a rare collection
    heap = Heap()
    scope = heap.instance("shop.Scope")
    heap.frame("shop.main", scope=scope)

    def serve(k: int) -> None:
        for _ in range(20):
            task = heap.instance("shop.Task")
            task.itself = heap.instance("shop.Coroutine", task=task)
        scope.task = heap.instance("shop.Task", itself=heap.instance("shop.Coroutine"))

    assert [kind for kind, _, owner in told(heap.live(serve)) if owner] == []


@REUSE
def test_a_linked_queue_whose_head_moves_on_does_not_leak(reuse: bool) -> None:
    heap = Heap(reuse)
    log = heap.instance("shop.Log")
    log.head = log.tail = heap.instance("shop.Entry")
    heap.module("shop", LOG=log)

    def serve(k: int) -> None:
        for _ in range(30):
            entry = heap.instance("shop.Entry")
            log.tail.next = entry
            log.tail = entry
        for _ in range(30 if k > 2 else 0):
            log.head = log.head.next

    assert told(heap.live(serve)) == []


# C -> Context -> hamt -> hamt_bitmap_node -> ContextVar, Request, …
def test_context_variables_made_per_request_leak_in_the_context() -> None:
    """The mapping inside of a Context is made anew at every change; what it holds stays."""
    heap = Heap()
    context = heap.hold_by_c(heap.instance("_contextvars.Context"))
    heap.module("shop")
    held: list[Thing] = []

    def serve(k: int) -> None:
        for _ in range(10):
            held.extend([heap.instance("_contextvars.ContextVar"), heap.instance("shop.Request")])
        context.map = heap.instance("builtins.hamt", root=heap.list(held, kind="builtins.hamt_bitmap_node"))

    (verdict,) = accused(heap.live(serve))
    assert verdict.kind == "python-leak"
    assert verdict.type in ("shop.Request", "_contextvars.ContextVar")
    assert verdict.owner == "current contextvars.Context of a thread"


def test_one_context_for_each_running_task_does_not_leak() -> None:
    heap = Heap()
    tasks = heap.deque()
    heap.module("shop", TASKS=tasks)

    def serve(k: int) -> None:
        for _ in range(20):
            context = heap.instance("_contextvars.Context", map=heap.instance("builtins.hamt"))
            tasks.append(heap.instance("shop.Task", context=context))
        while len(tasks) > 30:
            tasks.pop(0)

    assert told(heap.live(serve)) == []


# Garbage and finalizers


def cycle(heap: Heap, kind: str) -> Thing:
    parent = heap.instance(kind)
    parent.child = heap.instance("shop.Child", parent=parent)
    return parent


@pytest.mark.parametrize(
    "figures", [{"gc_enabled": 0}, {"gc_threshold": "100000 50 100", "gc_collections": "3 0 0"}], ids=["off", "lazy"]
)
def test_cycles_that_no_collector_takes_apart_are_delayed(figures: dict[str, object]) -> None:
    # Cursor <-> Child
    heap = Heap()
    heap.type("shop.Cursor", del_at="shop.py:40")
    heap.module("shop")

    def serve(k: int) -> dict[str, object]:
        for _ in range(10):
            cycle(heap, "shop.Cursor")
        return figures

    (verdict,) = accused(heap.live(serve))
    assert (verdict.kind, verdict.type, verdict.owner) == ("delayed-finalizer", "shop.Cursor", None)
    assert "their __del__ has not run" in verdict.reason


def waiting(collections: str, flags: int = 0, del_at: str = "shop.py:40") -> list[Verdict]:
    """Accusations of a program with cycles that wait; `collections` by generation, times the moment's number."""
    heap = Heap()
    heap.type("shop.Cursor", del_at=del_at, flags=flags)
    heap.module("shop")

    def serve(k: int) -> dict[str, object]:
        for _ in range(10):
            cycle(heap, "shop.Cursor")
        counts = " ".join(str(int(word) * k) for word in collections.split())
        return {"gc_collections": counts, "gc_threshold": "700 10 10", "gc_enabled": 1}

    return accused(heap.live(serve))


def test_finalizers_that_wait_while_full_collections_are_put_off_are_delayed() -> None:
    (verdict,) = waiting("100 10 0")
    assert (verdict.kind, verdict.type) == ("delayed-finalizer", "shop.Cursor")
    assert "was due 8 times and put off" in verdict.reason


def test_garbage_without_finalizers_may_wait_for_a_full_collection() -> None:
    assert waiting("100 10 0", del_at="") == []


def test_finalizers_that_wait_for_the_next_full_collection_are_not_accused() -> None:
    assert waiting("100 10 1") == []


def test_objects_that_their_finalizer_makes_anew_are_delayed() -> None:
    (verdict,) = waiting("10 1 0", flags=schema.TYPE_DEL_NAMES_ITSELF)
    assert (verdict.kind, verdict.type) == ("delayed-finalizer", "shop.Cursor")
    assert "its __del__ makes anew" in verdict.reason


def test_finalizers_that_make_nothing_are_not_accused_before_a_full_collection_is_due() -> None:
    assert waiting("10 1 0") == []


def test_cycles_that_wait_before_the_first_full_collection_are_not_accused() -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> dict[str, str]:
        for _ in range(20):
            cycle(heap, "shop.Cursor")
        return {"gc_collections": "50 5 0"}

    assert told(heap.live(serve)) == []


@pytest.mark.parametrize("is_kept", [False, True], ids=["waiting for the collector", "kept by the finalizer"])
def test_finalizers_of_what_waits_for_the_collector_go_with_it(is_kept: bool) -> None:
    # module weakref -> REGISTRY -> _Info -> weakref (to an Engine in a cycle), Tracer;   or _Info -> the Engine, too
    heap = Heap()
    registry = heap.dict()
    heap.module("weakref", REGISTRY=registry)

    def serve(k: int) -> dict[str, object]:
        for _ in range(10):
            engine = heap.instance("shop.Engine")
            engine.pool = heap.instance("shop.Pool", engine=engine)
            info = heap.instance("weakref.finalize._Info", weakref=heap.weakref(engine))
            info.func = heap.instance("shop.Tracer")
            if is_kept:
                info.args = heap.tuple([engine])
            registry.add(info)
        return {"gc_enabled": 1, "gc_collections": f"{40 * k} {4 * k} 0", "gc_threshold": "700 10 10"}

    assert [owner for _, _, owner in told(heap.live(serve))] == (["weakref.REGISTRY"] if is_kept else [])


def test_cycles_that_wait_for_a_collector_at_work_are_not_accused() -> None:
    heap = Heap()
    heap.type("shop.Cursor", del_at="shop.py:40")
    heap.module("shop")

    def serve(k: int) -> None:
        for _ in range(10):
            cycle(heap, "shop.Cursor")
        if k % 6 == 5:
            heap.collect()

    assert told(heap.live(serve, moments=18)) == []


def test_a_collector_that_is_off_while_nothing_waits_is_no_leak() -> None:
    heap = Heap()
    heap.module("shop")
    assert told(heap.live(lambda k: {"gc_enabled": 0})) == []


# gc.garbage -> Legacy <-> Child -> …
def test_what_lies_in_gc_garbage_is_uncollectable() -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> None:
        for _ in range(10):
            heap.garbage.append(cycle(heap, "shop.Legacy"))

    verdicts = accused(heap.live(serve))
    assert [(v.kind, v.type, v.owner) for v in verdicts] == [("uncollectable", "shop.Legacy", "gc.garbage")]
    assert len(verdicts[0].objects) == 2 * len(verdicts[0].direct)  # the child of each is dragged along


def connections(heap: Heap, after: Callable[[Thing], object]) -> list[tuple[str, str, str | None]]:
    """Ten connections more at each moment in a pool, `after` done to each."""
    heap.type("shop.Connection", del_at="shop.py:7")
    pool = heap.list()
    heap.module("shop", POOL=pool)

    def serve(k: int) -> None:
        for _ in range(10):
            connection = heap.instance("shop.Connection")
            after(connection)
            pool.append(connection)

    return told(heap.live(serve))


def test_what_its_own_finalizer_put_back_is_resurrected() -> None:
    heap = Heap()
    assert connections(heap, heap.finalize) == [("resurrected", "shop.Connection", "shop.POOL")]


def test_what_has_a_finalizer_that_never_ran_is_a_plain_leak() -> None:
    assert connections(Heap(), lambda _: None) == [("python-leak", "shop.Connection", "shop.POOL")]


# Held by C


def test_objects_that_c_code_never_gives_back_are_a_refcount_leak() -> None:
    # C -> Token, C -> Token, …
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> None:
        for _ in range(10):
            heap.hold_by_c(heap.instance("shop.Token", text=heap.string()))

    verdicts = accused(heap.live(serve))
    assert [(v.kind, v.type, v.owner) for v in verdicts] == [("refcount-leak", "shop.Token", None)]


@pytest.mark.parametrize(
    ("flags", "kinds"), [(schema.TYPE_GREENLET, ["python-leak"]), (0, ["python-leak", "refcount-leak"])]
)
def test_what_waiting_greenlets_may_have_on_their_stacks_is_not_accused(flags: int, kinds: list[str]) -> None:
    # module shop -> WAITING -> Task, Task, …   and, on the stack of each, Token
    heap = Heap()
    heap.type("shop.Task", flags=flags)
    waiting = heap.list()
    heap.module("shop", WAITING=waiting)

    def serve(k: int) -> None:
        for _ in range(10):
            waiting.append(heap.instance("shop.Task"))
            heap.hold_by_c(heap.instance("shop.Token"))

    assert sorted(kind for kind, _, _ in told(heap.live(serve))) == kinds


@pytest.mark.parametrize(
    ("tokens", "kinds"), [(2, ["python-leak"]), (40, ["python-leak", "refcount-leak"])], ids=["in hand", "too many"]
)
def test_what_waiting_threads_may_have_in_hand_is_not_accused(tokens: int, kinds: list[str]) -> None:
    # module threading -> _active -> Thread;   frame shop.worker, and on the stack of each, Token
    heap = Heap()
    active = heap.dict()
    heap.module("threading", _active=active)

    def serve(k: int) -> None:
        for n in range(3):
            thread = heap.instance("threading.Thread")
            active.add(thread)
            heap.frame("shop.worker", f"Thread-{k}-{n}", self=thread)
            for _ in range(tokens):
                heap.hold_by_c(heap.instance("shop.Token"))

    assert sorted(kind for kind, _, _ in told(heap.live(serve))) == kinds


# module shop -> REQUESTS -> Request -> str, Customer;   and a dict of the same values that the Request does not show
@pytest.mark.parametrize("is_own", [True, False], ids=["attributes", "a dict of its own"])
def test_dicts_that_are_the_attributes_of_objects_are_not_accused(is_own: bool) -> None:
    heap = Heap()
    requests = heap.deque(maxlen=400)
    heap.module("shop", REQUESTS=requests)

    def serve(k: int) -> None:
        for _ in range(10):
            path, customer = heap.string(), heap.instance("shop.Customer")
            requests.append(heap.instance("shop.Request", path=path, customer=customer))
            if is_own:
                heap.hold_by_c(heap.dict({"path": path, "customer": customer}))
            else:
                heap.hold_by_c(heap.dict({"path": path, "when": heap.string()}))

    assert [kind for kind, _, _ in told(heap.live(serve))] == ([] if is_own else ["refcount-leak"])


# Made <-> its namespace, its instance -> it: garbage.   Before 3.9 an instance does not show its class
@pytest.mark.parametrize("is_held", [False, True], ids=["waiting for the collector", "held by C"])
def test_classes_that_only_their_instances_hold_are_not_held_from_outside(is_held: bool) -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> None:
        for n in range(10):
            made = heap.class_(f"shop.Made{k}_{n}")
            made.itself = made
            made.only = heap.instance(f"shop.Made{k}_{n}")
            heap.hold_by_c(made, 2 if is_held else 1)  # one reference is the instance's

    assert [kind for kind, _, _ in told(heap.live(serve))] == (["refcount-leak"] if is_held else [])


# C -> list -> weakref (dead), …   as the cursors of a connection;   module shop -> SEEN -> weakref (dead), …
@pytest.mark.parametrize("by_c", [True, False])
def test_weak_references_in_a_list_that_only_c_holds_may_be_pruned_at_a_limit_of_its_own(by_c: bool) -> None:
    heap = Heap()
    seen = heap.list()
    heap.module("shop", **({} if by_c else {"SEEN": seen}))
    if by_c:
        heap.hold_by_c(seen)

    def serve(k: int) -> None:
        for _ in range(10):
            seen.append(heap.instance("weakref.ReferenceType"))

    assert bool(told(heap.live(serve))) == (not by_c)


def test_a_constant_number_that_c_code_holds_is_none() -> None:
    heap = Heap()
    heap.module("shop")
    for _ in range(500):
        heap.hold_by_c(heap.instance("shop.Token"))
    assert told(heap.live(lambda k: None)) == []


@REUSE
def test_what_c_code_holds_for_a_while_is_none(reuse: bool) -> None:
    heap = Heap(reuse)
    heap.module("shop")
    held: list[Thing] = []

    def serve(k: int) -> None:
        held.extend(heap.hold_by_c(heap.instance("shop.Token")) for _ in range(10 + 3 * k))
        while len(held) > 20 + 3 * k:
            heap.hold_by_c(held.pop(0), -1)

    assert told(heap.live(serve, moments=14)) == []


def test_more_references_to_what_a_registry_holds_is_the_registrys_leak() -> None:
    # module shop -> TOKENS -> Token <- C
    heap = Heap()
    tokens = heap.list()
    heap.module("shop", TOKENS=tokens)

    def serve(k: int) -> None:
        for _ in range(10):
            tokens.append(heap.hold_by_c(heap.instance("shop.Token")))

    assert told(heap.live(serve)) == [("python-leak", "shop.Token", "shop.TOKENS")]


# C (a class) -> dict -> weakref, …   and   C (a class of C) -> dict -> wrapper_descriptor, …
def test_tables_of_classes_that_come_with_imports_are_no_references_of_c() -> None:
    heap = Heap()
    modules = heap.list()
    heap.module("shop", PLUGINS=modules)

    def load(k: int) -> None:
        for _ in range(10):
            plugin = heap.instance("builtins.type")
            modules.append(plugin)
            heap.hold_by_c(heap.dict({"id": heap.weakref(plugin)}))
            names = {name: heap.instance("builtins.wrapper_descriptor") for name in ("__init__", "__repr__")}
            heap.hold_by_c(heap.dict({**names, "__doc__": None}))

    assert "refcount-leak" not in [kind for kind, _, _ in told(heap.live(load))]


def test_other_dicts_that_c_keeps_are() -> None:
    heap = Heap()
    heap.module("shop")

    def parse(k: int) -> None:
        for _ in range(10):
            heap.hold_by_c(heap.dict({"name": heap.string(), "when": heap.weakref(heap.modules)}))

    assert told(heap.live(parse)) == [("refcount-leak", "builtins.dict", None)]


# C (atexit) -> method -> Client
def test_callbacks_that_pile_up_at_exit_are_named_by_their_table() -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> dict[str, int]:
        for _ in range(10):
            method = heap.instance("builtins.method", __self__=heap.instance("shop.Client"))
            heap.hold_by_c(method)
        return {"atexit_callbacks": 3 + 10 * (k + 1)}

    assert told(heap.live(serve)) == [("python-leak", "shop.Client", "atexit callback table")]


def test_callbacks_at_exit_leak_though_what_c_holds_is_seen_now_and_then_only() -> None:
    # C (atexit) -> tuple -> Client;   every third tuple is out of sight at every look: the collector gave it up
    heap = Heap()
    heap.module("shop")
    clients: list[Thing] = []

    def serve(k: int) -> dict[str, int]:
        for number in range(10):
            clients.append(heap.instance("shop.Client"))
            heap.hold_by_c(heap.tuple([clients[-1]]) if number % 3 == k % 3 else clients[-1])
        return {"atexit_callbacks": 3 + len(clients)}

    assert told(heap.live(serve)) == [("python-leak", "shop.Client", "atexit callback table")]


# C (atexit, from 3.14 on) -> list -> tuple -> method -> Client
def in_a_list_of_c_s(callbacks: Callable[[int], int]) -> list[tuple[str, str, str | None]]:
    heap = Heap()
    heap.module("shop")
    table = heap.hold_by_c(heap.list())

    def serve(k: int) -> dict[str, int]:
        for _ in range(10):
            method = heap.instance("builtins.method", __self__=heap.instance("shop.Client"))
            table.append(heap.tuple([method]))
        return {"atexit_callbacks": callbacks(10 * (k + 1))}

    return told(heap.live(serve))


def test_the_list_in_which_3_14_has_the_callbacks_is_named_as_the_table_is_before() -> None:
    assert in_a_list_of_c_s(lambda items: items) == [("python-leak", "shop.Client", "atexit callback table")]


def test_a_list_of_c_s_with_another_number_of_items_is_not_the_table() -> None:
    assert in_a_list_of_c_s(lambda items: items + 1) == [("python-leak", "shop.Client", "<builtins.list>")]


def test_the_same_callbacks_held_by_something_else_are_not() -> None:
    heap = Heap()
    heap.module("shop")

    def serve(k: int) -> dict[str, int]:
        for _ in range(10):
            heap.hold_by_c(heap.instance("builtins.method", __self__=heap.instance("shop.Client")))
        return {"atexit_callbacks": 3}

    assert [kind for kind, _, _ in told(heap.live(serve))] == ["refcount-leak"]


# The moment at exit


def test_what_a_program_lets_go_at_its_end_was_a_leak_all_the_same() -> None:
    heap = Heap()
    history = heap.list()
    main = heap.frame("shop.main", history=history)

    def serve(k: int) -> None:
        for _ in range(10):
            history.append(heap.instance("shop.Event"))

    snapshots = heap.live(serve)
    heap.leave(main)
    snapshots.append(heap.snapshot(moment="exit"))
    assert told(snapshots) == [("python-leak", "shop.Event", "shop.main.<history>")]


def test_two_leaks_are_two_findings_the_heavier_first() -> None:
    heap = Heap()
    small, large = heap.list(), heap.list()
    heap.module("shop", SMALL=small, LARGE=large)

    def serve(k: int) -> None:
        for _ in range(10):
            small.append(heap.instance("shop.Small"))
            large.append(heap.instance("shop.Large", size=5000))

    assert [name for _, name, _ in told(heap.live(serve))] == ["shop.Large", "shop.Small"]


def test_one_leak_with_two_holders_is_one_finding() -> None:
    # module shop -> ORDERS -> Order <- BY_KEY <- module shop
    heap = Heap()
    orders, by_key = heap.list(), heap.dict()
    heap.module("shop", ORDERS=orders, BY_KEY=by_key)

    def serve(k: int) -> None:
        for _ in range(10):
            order = heap.instance("shop.Order")
            orders.append(order)
            by_key.add(order)

    (verdict,) = accused(heap.live(serve))
    assert {verdict.owner, *verdict.also_owned_by} == {"shop.ORDERS", "shop.BY_KEY"}
