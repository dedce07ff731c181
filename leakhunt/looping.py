"""The body of a test, again and again within its time, and looked at closely only where it leaves something behind."""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leakhunt.analysis.growth.known import BUILT_IN, Known

if TYPE_CHECKING:
    from leakhunt.findings import Finding
    from leakhunt.recorder import SnapshotRecorder
    from leakhunt.rounds import Naming

ROUNDS, WARMUP, TOLERANCE, SECONDS = 5, 2, 0, 2.0
LONGER_LOOK_ROUNDS = 100
_CONTAINERS = (list, dict, set, deque)


@dataclass(frozen=True)
class Settings:
    """How a test is hunted: `rounds` that count after `warmup` that don't, and items that each round may leave.

    `seconds` is what running the body may take, 0 for as long as it needs.
    """

    rounds: int = ROUNDS
    warmup: int = WARMUP
    tolerance: int = TOLERANCE
    seconds: float = SECONDS
    is_marked: bool = False

    @property
    def gain(self) -> int:
        """Items more after all rounds that make a body suspect."""
        return self.rounds * (self.tolerance + 1)


class TooSlow(Exception):
    """The rounds would take longer than they may: `seconds` is what one of them took."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.1f} s a round")
        self.seconds = seconds


class Loop:
    """Runs a body: `run` is given the number of the round, from 1 on.

    `looks_closer` is called when a body turns out to be suspect, which costs some snapshots of the whole heap.
    """

    def __init__(
        self,
        run: Callable[[int], None],
        settings: Settings,
        naming: Naming,
        looks_closer: Callable[[], None],
        known: Known = BUILT_IN,
    ) -> None:
        self._run, self._settings, self._naming, self._looks_closer = run, settings, naming, looks_closer
        self._known = known
        self.done = 0
        self._spent_seconds = 0.0

    def findings(self) -> list[Finding]:
        """What grows on every round; counting what there is clears most bodies without a snapshot.

        What is suspect then may be a cache that fills, so the body runs for a while before the rounds that count.

        Raises:
            TooSlow: there is no time for the rounds.
        """
        settings = self._settings
        self._check_time(settings.warmup + settings.rounds - self.done)
        self._repeat(max(0, settings.warmup - self.done))
        if not (self._gains() and self._has_time(settings.rounds) and self._gains()):  # the first may be a late import
            return []
        self._looks_closer()
        while self.done < LONGER_LOOK_ROUNDS and self._has_time(settings.rounds + 1):
            self._repeat(1)
        return self._look()

    def _gains(self) -> bool:
        """Whether the rounds leave something behind that can be counted."""
        first, before = counted(), counted()  # the second shows what keeping a count adds by itself
        self._repeat(self._settings.rounds)
        pairs = zip(first, before, counted(), strict=True)
        return any(now - then >= self._settings.gain + (then - own) for own, then, now in pairs)

    def run_once(self) -> None:
        """The first round, which tells how long the others will take."""
        self._repeat(1)

    def count_round(self, seconds: float) -> None:
        """The first round was run by somebody else, in so many seconds."""
        self.done, self._spent_seconds = self.done + 1, self._spent_seconds + seconds

    def _look(self) -> list[Finding]:
        """The rounds that count. Nothing is kept of a round but its file, for that would be seen growing."""
        from leakhunt import rounds
        from leakhunt.recorder import SnapshotRecorder

        recorder = SnapshotRecorder()
        try:
            recorder.take(0.0)
            for number in range(self._settings.rounds):
                self._repeat(1)
                recorder.take(number + 1.0)
            found = rounds.findings(recorder.load(), self._settings.tolerance, self._naming, self._known)
            return self._with_origins(recorder, found) if found else found
        finally:
            recorder.close()

    def _with_origins(self, recorder: SnapshotRecorder, found: list[Finding]) -> list[Finding]:
        """The findings with who makes and who keeps what they name, as one more round shows it."""
        from leakhunt import rounds

        tolerance, naming, known = self._settings.tolerance, self._naming, self._known
        with recorder.watching(rounds.question(recorder.load(), tolerance, naming, known)) as answers:
            self._repeat(1)
        recorder.take(self._settings.rounds + 1.0)
        more = rounds.findings(recorder.load(), tolerance, naming, known, answers)
        named = {finding.fingerprint: finding for finding in more}
        return [
            replace(finding, allocated_at=seen.allocated_at, added_at=seen.added_at)
            if (seen := named.get(finding.fingerprint)) is not None
            else finding
            for finding in found
        ]

    def _repeat(self, times: int) -> None:
        for _ in range(times):
            self.done += 1
            begun = time.monotonic()
            try:
                self._run(self.done)
            finally:
                self._spent_seconds += time.monotonic() - begun

    def _has_time(self, rounds: int) -> bool:
        """Whether so many rounds more fit into the time."""
        a_round = self._spent_seconds / max(1, self.done)
        return not self._settings.seconds or self._spent_seconds + rounds * a_round <= self._settings.seconds

    def _check_time(self, rounds: int) -> None:
        if not self._has_time(rounds):
            raise TooSlow(self._spent_seconds / max(1, self.done))


def counted() -> tuple[int, int, int]:
    """(blocks of memory, objects that the collector lists, items in plain containers) that are left after a collection.

    A leak of one item on each round adds one to at least one of them: an object is a block, and what was there before
    is an item more of the container that keeps it.
    """
    gc.collect()
    listed = gc.get_objects()
    items = sum(len(found) for found in listed if type(found) in _CONTAINERS)
    return sys.getallocatedblocks(), len(listed), items
