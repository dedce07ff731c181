"""When the agent looks, and how deep: the budget and the longest pause, by a clock that the test turns."""

from __future__ import annotations

import pytest

from leakhunt.agent import governor as module
from leakhunt.agent import headroom, ledger
from leakhunt.agent.sampler import Options


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def a_run(
    clock: Clock,
    options: str,
    seconds: float,
    census_cost: float,
    deep_cost: float,
    pauses: float = 4.0,
    listed: int = 0,
) -> dict:
    """What becomes of a run in which snapshots cost so much processor time, all of it pause."""
    governor = module.Governor(Options(options), pauses, frontier_min=1000000)
    done = {"census": 0, "deep": 0, "budget": 0, "pause": 0, "waits": []}
    end = clock.now + seconds
    clock.now += governor.waited_seconds
    while clock.now < end:
        deep, refused = governor.choose()
        if deep:
            governor.tried_deep()
        cost = deep_cost if deep else census_cost
        clock.now += cost
        governor.took(deep, cost, cost * 1e3, listed)
        done["deep" if deep else "census"] += 1
        if refused:
            done[refused] += 1
        done["waits"].append(governor.wait())
        clock.now += done["waits"][-1]
    done["share"] = governor.spent_seconds / seconds
    return done


def test_a_small_heap_is_looked_at_every_interval(clock: Clock) -> None:
    done = a_run(clock, "interval=1", 600, census_cost=0.002, deep_cost=0.01)
    assert set(done["waits"]) == {1.0}
    assert done["budget"] == done["pause"] == 0
    assert done["deep"] > 10


def test_graphs_do_not_spend_the_credit_before_a_short_run_can_be_judged(clock: Clock) -> None:
    # A Celery worker under the Python engine: no more censuses came after 7 s, and nothing is accused before 18 intervals.
    done = a_run(clock, "interval=0.5", 10, census_cost=0.04, deep_cost=0.5)
    assert set(done["waits"]) == {0.5}
    assert 4 <= done["deep"] <= 6


@pytest.mark.parametrize(("deep_cost", "least"), [(0.8, 4), (1.0, 4), (1.3, 4), (3.0, 2)])
def test_a_heap_whose_graphs_are_dear_is_seen_often_enough_to_show_a_trend(
    deep_cost: float, least: int, clock: Clock
) -> None:
    done = a_run(clock, "interval=0.5,pause=9", 14, census_cost=deep_cost / 10, deep_cost=deep_cost)
    assert done["deep"] >= least
    assert done["share"] * 14 <= module.CREDIT_SECONDS_MAX + 0.14 + 1.1 * deep_cost


@pytest.mark.parametrize("deep", ["auto", "every", "20"])
def test_a_large_heap_takes_its_share_of_the_time_and_no_more(deep: str, clock: Clock) -> None:
    done = a_run(clock, f"interval=1,deep={deep}", 7200, census_cost=0.1, deep_cost=0.4)
    assert done["share"] * module.SIDE_EFFECTS <= 0.01 + 2 * 0.4 / 7200


def test_what_is_advanced_is_paid_back_in_forty_minutes(clock: Clock) -> None:
    short = a_run(clock, "interval=5", 120, census_cost=0.06, deep_cost=0.5)
    assert short["share"] * 120 > 3.0
    long = a_run(clock, "interval=5", 2400, census_cost=0.06, deep_cost=0.5)
    assert long["share"] * module.SIDE_EFFECTS <= 0.0105
    assert long["deep"] >= 12


def test_an_overdrawn_budget_does_not_end_the_graphs_for_ever(clock: Clock) -> None:
    done = a_run(clock, "interval=1", 7200, census_cost=0.1, deep_cost=0.4)
    assert done["budget"] > 0
    assert done["deep"] > 15


def test_a_graph_that_would_stop_the_program_too_long_is_never_tried(clock: Clock) -> None:
    done = a_run(clock, "interval=5,pause=1", 600, census_cost=0.3, deep_cost=1.2)
    assert done["deep"] == 0
    assert done["pause"] > 0


def test_the_expected_pause_follows_what_was_seen(clock: Clock) -> None:
    # four pauses of a census would be too long, but a graph takes two: the first, of a smaller heap, told so
    governor = module.Governor(Options("interval=5,pause=1,budget=1"), 4.0)
    clock.now += 10
    governor.took(False, 0.1, 100)
    assert governor.choose() == (True, "")
    governor.tried_deep()
    governor.took(True, 0.2, 200)
    governor.took(False, 0.4, 400)
    clock.now += 100
    assert governor.choose() == (True, "")
    governor.took(False, 0.6, 600)
    assert governor.choose() == (False, "pause")


def test_a_graph_that_took_longer_than_was_thought_is_not_taken_again(clock: Clock) -> None:
    # 8 million objects: four pauses of a census were expected, and it was ten; the smaller of both was believed
    governor = module.Governor(Options("interval=5,pause=2,budget=1"), 4.0)
    clock.now += 10
    governor.took(False, 0.4, 400, 8_000_000)
    assert governor.choose() == (True, "")
    governor.tried_deep()
    governor.took(True, 4.0, 4000, 8_000_000)
    for _ in range(20):
        clock.now += 100
        governor.took(False, 0.4, 400, 8_000_000)
        assert governor.choose() == (False, "pause")


def test_the_last_graph_is_scaled_by_what_the_heap_has_grown_since(clock: Clock) -> None:
    governor = module.Governor(Options("interval=5,pause=1,budget=1"), 4.0)
    clock.now += 10
    governor.took(False, 0.2, 200, 1_000_000)
    governor.tried_deep()
    governor.took(True, 0.5, 500, 1_000_000)
    clock.now += 100
    governor.took(False, 0.2, 200, 1_900_000)  # the census was lucky; the graph will take twice as long
    assert governor.choose() == (True, "")
    governor.took(False, 0.2, 200, 2_100_000)
    assert governor.choose() == (False, "pause")


def test_one_long_pause_does_not_end_the_graphs_of_a_small_heap(clock: Clock) -> None:
    # a machine that was busy for a moment: the census after it is as short as ever
    governor = module.Governor(Options("interval=5,pause=2,budget=1"), 4.0)
    clock.now += 10
    governor.took(False, 0.01, 10, 50_000)
    governor.tried_deep()
    governor.took(True, 0.05, 800, 50_000)
    clock.now += 100
    governor.took(False, 0.01, 10, 50_000)
    assert governor.choose() == (True, "")


def test_where_a_graph_is_cheap_the_first_three_minutes_keep_to_the_budget_too(clock: Clock) -> None:
    # 150,000 objects, C engine: a graph takes 80 ms of processor time, a census 12
    done = a_run(clock, "interval=5", 180, census_cost=0.012, deep_cost=0.08)
    assert done["deep"] >= 8
    assert done["share"] * module.SIDE_EFFECTS <= 0.01


def test_a_dearer_graph_keeps_nearer_to_the_budget_at_the_default_interval(clock: Clock) -> None:
    # 500,000 objects: what was advanced at once had made it 1.8 % of the first three minutes
    done = a_run(clock, "interval=5", 180, census_cost=0.028, deep_cost=0.15)
    assert done["deep"] >= 4
    assert done["share"] * module.SIDE_EFFECTS <= 0.015


@pytest.mark.parametrize("deep_cost", [0.1, 0.15, 0.2])  # measured: 0.12 to 0.18, C engine
def test_a_short_run_of_half_a_million_objects_has_enough_to_be_judged_by(deep_cost: float, clock: Clock) -> None:
    done = a_run(clock, "interval=0.5", 16, census_cost=0.035, deep_cost=deep_cost)
    assert done["deep"] >= 4
    assert done["census"] >= 24 - done["deep"]


# --- memory ----------------------------------------------------------------------------------------------------------


def looks(clock: Clock, options: str, lived: float, seconds: float, deep_cost: float = 0.02) -> list[tuple[float, str]]:
    """(when, what was taken or refused) of a process that had lived for a while when the agent came."""
    governor, found = module.Governor(Options(options), 4.0, lived), []
    begun = clock.now
    clock.now += governor.first_wait()
    while clock.now < begun + seconds:
        deep, refused = governor.choose()
        found.append((round(clock.now - begun, 1), "deep" if deep else refused or "census"))
        if deep:
            governor.tried_deep()
        cost = deep_cost if deep else deep_cost / 10
        governor.took(deep, cost, cost * 1e3)
        clock.now += governor.wait()
    return found


def test_an_old_program_is_looked_at_at_once_and_again_at_the_next_interval(clock: Clock) -> None:
    assert looks(clock, "interval=5", lived=600, seconds=11)[:3] == [(0.2, "census"), (0.4, "deep"), (5.4, "deep")]


def test_a_program_that_has_just_begun_is_left_alone_with_its_imports(clock: Clock) -> None:
    assert looks(clock, "interval=5", lived=1, seconds=11) == [(5.0, "census"), (10.0, "deep")]


def test_two_graphs_of_a_large_heap_may_spend_what_is_advanced_at_once(clock: Clock) -> None:
    assert [what for _, what in looks(clock, "interval=5", lived=600, seconds=6, deep_cost=1.2)] == [
        "census",
        "deep",
        "deep",
    ]


def test_a_pause_that_is_too_long_is_refused_at_the_first_look_too(clock: Clock) -> None:
    found = looks(clock, "interval=5,pause=0.1", lived=600, seconds=21, deep_cost=2.0)
    assert {what for _, what in found} == {"census", "pause"}
    assert len(found) <= 6


def test_half_of_what_is_left_may_be_taken_in_a_container_too(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "/sys/fs/cgroup/shop"
    files = {
        "/proc/meminfo": b"MemTotal: 9 kB\nMemAvailable:   8000000 kB\n",
        "/proc/self/cgroup": b"0::/shop/worker\n",
        f"{group}/memory.max": b"2000000000\n",
        f"{group}/memory.current": b"1500000000\n",
        f"{group}/memory.stat": b"anon 5\ninactive_file 100000000\n",
        f"{group}/worker/memory.max": b"max\n",
        f"{group}/worker/memory.current": b"1500000000\n",
    }
    monkeypatch.setattr(ledger, "read_file", lambda path: files.get(path, b""))
    assert headroom.limit_bytes() == 300_000_000
    del files["/proc/self/cgroup"]
    assert headroom.limit_bytes() == 4_096_000_000


def test_the_process_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/self/limits": b"Limit  Soft Limit  Hard Limit  Units\nMax address space  1000000000  unlimited  bytes\n",
        "/proc/self/status": b"VmSize:\t  500000 kB\n",
    }
    monkeypatch.setattr(ledger, "read_file", lambda path: files.get(path, b""))
    assert headroom.limit_bytes() == 244_000_000
    files["/proc/self/limits"] = files["/proc/self/limits"].replace(b"1000000000", b"unlimited")
    assert headroom.limit_bytes() == headroom.PLENTY_BYTES // 2


def test_the_first_version_of_control_groups_has_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "/sys/fs/cgroup/memory"
    files = {
        "/proc/self/cgroup": b"9:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/\n",
        f"{group}/memory.limit_in_bytes": b"1000000000\n",
        f"{group}/memory.usage_in_bytes": b"400000000\n",
    }
    monkeypatch.setattr(ledger, "read_file", lambda path: files.get(path, b""))
    assert headroom.limit_bytes() == 300_000_000


def test_most_looks_at_a_heap_of_millions_are_graphs_spread_over_the_time_of_judgement(clock: Clock) -> None:
    # 8 million objects: a census of 0.25 s, a graph of 0.35 s. Censuses had spent the credit before the first graph.
    done = a_run(clock, "interval=5", 240, census_cost=0.25, deep_cost=0.35, listed=8000000)
    assert done["deep"] >= 7
    assert done["deep"] > done["census"]
    assert done["pause"] == 0
    assert done["share"] * 240 <= 0.01 * 240 + 3
    assert done["waits"][1] >= 10


def test_censuses_of_millions_do_not_spend_the_credit_while_graphs_would_take_too_long(clock: Clock) -> None:
    done = a_run(clock, "interval=5,pause=0.1", 120, census_cost=0.25, deep_cost=0.35, listed=8000000)
    assert done["deep"] == 0
    assert done["census"] <= 9
    assert done["pause"] >= 5


def test_in_a_day_a_heap_of_millions_costs_the_budget(clock: Clock) -> None:
    done = a_run(clock, "interval=5", 24 * 3600, census_cost=0.25, deep_cost=0.35, listed=8000000)
    assert done["share"] <= 0.01
