"""Binary search among releases of which some can't be judged."""

from __future__ import annotations

from collections.abc import Callable, Collection

NEW, OLD, UNKNOWN = "new", "old", "unknown"


def next_index(low: int, high: int, unknown: Collection[int]) -> int | None:
    """The one to try: the middle of those between two known ends, without those that can't be judged.

    >>> next_index(0, 8, set()), next_index(0, 8, {4}), next_index(3, 4, set())
    (4, 5, None)
    """
    open_ = [index for index in range(low + 1, high) if index not in unknown]
    return open_[len(open_) // 2] if open_ else None


def boundary(low: int, high: int, judge: Callable[[int], str]) -> tuple[int, int]:
    """Where the state changes, between `low`, which is in the old state, and `high`, which is in the new one.

    `judge` says OLD, NEW or UNKNOWN of an index, and is asked of none twice.

    Returns:
        The last index known to be in the old state and the first one known to be in the new one. They are neighbours
        unless those between them can't be judged.
    """
    unknown: set[int] = set()
    while (index := next_index(low, high, unknown)) is not None:
        state = judge(index)
        if state == OLD:
            low = index
        elif state == NEW:
            high = index
        else:
            unknown.add(index)
    return low, high
