"""What the agent did, or left undone, to spare the program: told, so that nobody takes a gap for a calm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from leakhunt.snapshot import Snapshot

LATE_RATIO = 1.2


def notes(snapshots: Sequence[Snapshot]) -> list[str]:
    """A sentence for each way in which the snapshots of one process are fewer or poorer than was asked for."""
    refused = Counter(snapshot.meta.get("graph_refused", "") for snapshot in snapshots)
    found = [_engine(snapshots[0]), _budget(snapshots, refused["budget"])]
    if refused["pause"]:
        limit = snapshots[-1].number("pause_limit_seconds")
        found.append(
            f"{_moments(refused['pause'])} went without the object graph: recording it would have stopped the program "
            f"for longer than --pause {limit:g}."
        )
    if refused["memory"]:
        found.append(
            f"{_moments(refused['memory'])} went without the object graph: recording it would have taken more than "
            "half of the memory that was left."
        )
    if refused["sub-interpreters"]:
        found.append(
            f"{_moments(refused['sub-interpreters'])} went without the object graph: the process had sub-interpreters, "
            "whose stacks can't be read without harm from Python 3.12 on."
        )
    if left_out := int(max(snapshot.number("left_out") for snapshot in snapshots)):
        found.append(
            f"{left_out:,} objects that were there at the first look and lead to nothing younger are counted by class, "
            "and are not in the object graph."
        )
    kept_here = Counter(snapshot.meta.get("fork_refused", "") for snapshot in snapshots)
    found += [
        f"--fork-snapshot was not followed: {why} ({_moments(n).lower()})." for why, n in kept_here.items() if why
    ]
    return [note for note in found if note]


def _engine(first: Snapshot) -> str:
    if first.meta.get("engine_wanted") != "c" or first.meta.get("engine") == "c":
        return ""
    return f"The C engine was asked for and does not fit: {first.meta.get('engine_refusal', '')}."


def _budget(snapshots: Sequence[Snapshot], graphs: int) -> str:
    """Said where the budget, not the interval, set the pace."""
    interval, budget = snapshots[-1].number("interval"), snapshots[-1].number("budget")
    longest = max(snapshot.number("waited_seconds") for snapshot in snapshots)
    done = []
    if interval and longest > LATE_RATIO * interval:
        done.append(f"came up to {longest:.0f} s apart instead of {interval:g} s")
    if graphs:
        done.append(f"went without the object graph {'once' if graphs == 1 else f'{graphs} times'}")
    return f"To keep to --budget {budget:g}, snapshots {' and '.join(done)}." if done else ""


def _moments(number: int) -> str:
    return "One snapshot" if number == 1 else f"{number} snapshots"
