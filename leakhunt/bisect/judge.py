"""What each release is like: runs it, looks at what the run shows, runs it longer where that is unclear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from leakhunt.bisect.kept import Kept, Outcome
from leakhunt.bisect.opinion import CLEAN, LEAKS, UNCLEAR, Opinion, Target, different, opinion
from leakhunt.bisect.trial import AGAIN, AGAIN_LONGER, FIRST, LONGER, Settings
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.findings import Finding, Findings, Trial

ENDS_TRIED_MAX = 5
CANDIDATES_MAX = 3
Tell = Callable[[str, float], None]  # what is done now, and the share of the whole that is done


class Runs(Protocol):
    """Where runs come from: releases of a package, or commits."""

    def run(self, release: str, attempt: str, settings: Settings) -> Outcome:
        """Run a release, unless that is known already, and keep what became of it."""
        ...


@dataclass
class Judge:
    """Opinions on releases about one leak, once `target` is known."""

    runs: Runs
    kept: Kept
    settings: Settings
    target: Target | None = None
    exit_status: int = 0
    opinions: dict[tuple[str, str], Opinion] = field(default_factory=dict)

    def state(self, release: str) -> str:
        """LEAKS, CLEAN, or UNCLEAR where it can't be judged: the second, longer run had its say by then."""
        found = self._opinion(release, FIRST, self.settings)
        if found is not None and found.state == UNCLEAR:
            found = self._opinion(release, LONGER, self.longer_settings(release))
        return found.state if found is not None else UNCLEAR

    def is_confirmed(self, release: str, state: str) -> bool:
        """Whether another run of it says the same."""
        decisive = self.kept.outcome(release, LONGER) or self.kept.outcome(release, FIRST)
        settings = Settings(decisive.interval, decisive.duration) if decisive else self.settings
        found = self._opinion(release, AGAIN, settings)
        if found is not None and found.state == UNCLEAR and not (found.goes_on and state == LEAKS):
            again = self.kept.outcome(release, AGAIN)
            more = settings.longer(again.seconds, again.was_ended) if again else settings
            found = self._opinion(release, AGAIN_LONGER, more)
        return found is not None and (found.state == state or (found.goes_on and state == LEAKS))

    def is_same(self, release: str) -> bool:
        """Whether it shows the leak under its own fingerprint, in every run."""
        said = [one for (name, _), one in self.opinions.items() if name == release and one.state == LEAKS]
        return all(one.is_same for one in said)

    def longer_settings(self, release: str) -> Settings:
        first = self.kept.outcome(release, FIRST)
        if first is None:
            return self.settings
        return Settings(first.interval, first.duration).longer(first.seconds, first.was_ended)

    def findings(self, release: str, is_long: bool = False) -> Findings | None:
        """What a run of it shows; None where it can't be installed, fails, or leaves nothing."""
        outcome = self.runs.run(release, FIRST, self.settings)
        if is_long and not outcome.problem:
            outcome = self.runs.run(release, LONGER, self.longer_settings(release))
        return None if outcome.problem else self.kept.findings(outcome)

    def trials(self) -> tuple[Trial, ...]:
        """All that was tried, in the order in which it was."""
        return tuple(self._trial(outcome) for outcome in self.kept.outcomes)

    def _opinion(self, release: str, attempt: str, settings: Settings) -> Opinion | None:
        """What a run says; None where there is nothing to judge."""
        assert self.target is not None
        outcome = self.runs.run(release, attempt, settings)
        findings = None if outcome.problem == "not installable" else self.kept.findings(outcome)
        if findings is None:
            return None
        found = opinion(findings, self.target)
        if found.state != LEAKS and self.fails(outcome):
            return None
        self.opinions[release, attempt] = found
        return found

    def fails(self, outcome: Outcome) -> bool:
        """Whether the program ended otherwise than it does in a run that counts."""
        return bool(outcome.problem) or (not outcome.was_ended and outcome.exit_status not in (0, self.exit_status))

    def _trial(self, outcome: Outcome) -> Trial:
        found = self.opinions.get((outcome.release, outcome.attempt))
        if found is not None:
            state, why = found.state, found.why
        elif outcome.problem:
            state, why = outcome.problem, outcome.why
        elif self.fails(outcome):
            state, why = "fails", f"the program ended with status {outcome.exit_status}"
        else:
            state, why = UNCLEAR, "it was not looked at"
        run = str(self.kept.run_folder(outcome.release, outcome.attempt))
        return Trial(outcome.release, state, outcome.attempt, why, round(outcome.seconds, 1), run, outcome.moved)


def ends(judge: Judge, releases: Sequence[str]) -> tuple[int, int]:
    """The first and the last release on which the program runs.

    Raises:
        LeakhuntError: there are no two.
    """
    high = _first_that_runs(judge, releases, range(len(releases) - 1, 0, -1), "newest")
    low = _first_that_runs(judge, releases, range(high), "oldest")
    return low, high


def _first_that_runs(judge: Judge, releases: Sequence[str], order: range, which: str) -> int:
    outcomes = []
    for index in order[:ENDS_TRIED_MAX]:
        outcome = judge.runs.run(releases[index], FIRST, judge.settings)
        outcomes.append(outcome)
        findings = None if outcome.problem else judge.kept.findings(outcome)
        if findings is not None and findings.processes and (outcome.was_ended or outcome.exit_status == 0):
            return index
    said = "; ".join(f"{one.release}: {one.why or f'it ended with status {one.exit_status}'}" for one in outcomes[:2])
    raise LeakhuntError(
        f"The program runs on none of the {which} releases that were tried ({said}).",
        f"What it printed is in {judge.kept.folder / 'logs'}.",
    )


def choose_target(judge: Judge, oldest: str, newest: str, goal: str | None, name: str | None) -> str:
    """Settle which leak is asked for, by what the two ends show; returns the goal.

    Raises:
        LeakhuntError: they do not differ in a leak, or the end that should not have it can't be judged.
    """
    for is_long in (False, True):
        old, new = judge.findings(oldest, is_long), judge.findings(newest, is_long)
        if old is None or new is None:
            continue
        for wanted, target in _candidates(old, new, goal, name):
            judge.target = target
            leaks, clean = (newest, oldest) if wanted == "leak" else (oldest, newest)
            if judge.state(leaks) == LEAKS and judge.state(clean) == CLEAN:
                if is_long:  # a shorter run of the others would not show it either
                    judge.settings = judge.longer_settings(leaks)
                return wanted
        if goal is not None and old.verdict != "inconclusive" and new.verdict != "inconclusive":
            break
    raise _no_difference(judge, oldest, newest, goal, name)


def _candidates(old: Findings, new: Findings, goal: str | None, name: str | None) -> list[tuple[str, Target]]:
    """(goal, leak) for what the ends differ in, the surest first; of equally sure ones those of the newest."""
    found = []
    for wanted, leaky, other in (("leak", new, old), ("fixed", old, new)):
        usual = frozenset(finding.fingerprint for finding in other.findings)
        for finding in different(leaky, other):
            if goal in (None, wanted) and _is_called(finding, name):
                found.append((wanted, Target(finding, leaky, usual)))
    return sorted(found, key=lambda one: -one[1].finding.confidence)[:CANDIDATES_MAX]


def _is_called(finding: Finding, name: str | None) -> bool:
    if name is None:
        return True
    names = [finding.fingerprint, finding.type, finding.kind]
    names += [finding.holder.owner, *finding.holder.aliases] if finding.holder else []
    return any(one == name or one.endswith(f".{name}") for one in names)


def _no_difference(judge: Judge, oldest: str, newest: str, goal: str | None, name: str | None) -> LeakhuntError:
    old, new = judge.findings(oldest), judge.findings(newest)
    if judge.target is not None:
        leak = judge.target.finding
        return LeakhuntError(
            f"{leak.type or leak.kind} leaks at one end, and whether it does at the other can't be told: "
            f"{_last_why(judge)}.",
            "Watch for longer with --duration, or let the program do more.",
        )
    if name is not None:
        return UsageError(f"No leak that {oldest} and {newest} differ in is called {name!r}.")
    if old is not None and new is not None and old.findings and new.findings:
        return LeakhuntError(
            f"{oldest} and {newest} leak the same ({new.findings[0].sentence}).",
            "Name a wider range of releases: the one that changed it is not between these.",
        )
    verdicts = f"{oldest} is {old.verdict if old else 'not known'}, {newest} is {new.verdict if new else 'not known'}"
    hints = {
        "leak": "Name a range whose newest release leaks.",
        "fixed": "Name a range whose oldest release leaks.",
    }
    hint = hints.get(goal or "", "Name a range in which one end leaks and the other does not.")
    return LeakhuntError(f"No leak came or went between them: {verdicts}.", hint)


def _last_why(judge: Judge) -> str:
    said = [one.why for one in judge.opinions.values() if one.state == UNCLEAR]
    return (said or ["the program fails there"])[-1].rstrip(".")
