"""What the report says of the agent's own restraint."""

from __future__ import annotations

from typing import Any

from heap import Heap

from leakhunt.analysis.report.sampling_notes import notes
from leakhunt.snapshot import Snapshot

CALM = {"interval": 5.0, "waited_seconds": 5.0, "budget": 0.01, "pause_limit_seconds": 2.0, "engine": "c"}


def taken(**meta: Any) -> Snapshot:
    snapshot: Snapshot = Heap().snapshot(deep=False)
    snapshot.meta.update({key: str(value) for key, value in {**CALM, **meta}.items()})
    return snapshot


def test_a_run_that_was_never_held_back_needs_no_word() -> None:
    assert notes([taken(), taken()]) == []


def test_snapshots_that_came_late_are_put_down_to_the_budget() -> None:
    (note,) = notes([taken(), taken(waited_seconds=31.2, graph_refused="budget")])
    assert note.startswith("To keep to --budget 0.01, snapshots came up to 31 s apart instead of 5 s and went without")
    (note,) = notes([taken(graph_refused="budget"), taken(graph_refused="budget")])
    assert note == "To keep to --budget 0.01, snapshots went without the object graph 2 times."


def test_a_graph_that_was_left_out_is_told_by_its_reason() -> None:
    pause, memory = notes([taken(graph_refused="pause"), taken(graph_refused="memory"), taken(graph_refused="memory")])
    assert pause.startswith("One snapshot went without the object graph")
    assert "--pause 2." in pause
    assert memory.startswith("2 snapshots went without the object graph")
    assert "half of the memory" in memory


def test_graphs_that_sub_interpreters_prevented_are_told() -> None:
    (note,) = notes([taken(graph_refused="sub-interpreters"), taken()])
    assert note.startswith("One snapshot went without the object graph: the process had sub-interpreters")


def test_a_fork_that_was_asked_for_and_refused_is_told_with_its_reason() -> None:
    (note,) = notes([taken(fork_refused="the program has 9 threads"), taken(fork_refused="the program has 9 threads")])
    assert note == "--fork-snapshot was not followed: the program has 9 threads (2 snapshots)."


def test_an_engine_that_was_asked_for_and_does_not_fit_is_told() -> None:
    refused = taken(engine="python", engine_wanted="c", engine_refusal="a debug build")
    assert notes([refused]) == ["The C engine was asked for and does not fit: a debug build."]
    assert notes([taken(engine="python", engine_wanted="auto", engine_refusal="a debug build")]) == []


def test_what_the_graphs_of_a_large_heap_leave_out_is_told() -> None:
    (note,) = notes([taken(left_out=7000000), taken(left_out=8000000), taken()])
    assert note.startswith("8,000,000 objects that were there at the first look")
