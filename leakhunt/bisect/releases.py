"""The release of a package that brought a leak, or fixed it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.analysis.growth.known import BUILT_IN, Known
from leakhunt.bisect import answer, trial
from leakhunt.bisect.environments import CannotInstall, Environments, in_environment
from leakhunt.bisect.judge import Judge, Tell, choose_target, ends
from leakhunt.bisect.kept import Kept, Outcome
from leakhunt.bisect.opinion import CLEAN, LEAKS
from leakhunt.bisect.search import NEW, OLD, UNKNOWN, boundary
from leakhunt.bisect.trial import WORDS, Settings
from leakhunt.errors import UsageError
from leakhunt.findings import Bisection
from leakhunt.interpreters import Interpreter, inspect, interpreter_of, needs_packaging, releases

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet


@dataclass(frozen=True)
class Question:
    """What `leakhunt bisect` was asked; `goal` None means: whichever of the two the ends show."""

    package: str
    command: tuple[str, ...]
    goal: str | None = None
    finding: str | None = None
    python: str | None = None
    settings: Settings = field(default_factory=Settings)


def bisect(
    question: Question, folder: Path, tell: Tell, known: Known = BUILT_IN, uses_uv: bool = True, keeps: bool = False
) -> Bisection:
    """Search among the releases that the question's specifier allows.

    Args:
        folder: what is found out is kept there, and an earlier, interrupted search goes on from it.
        tell: is given what is done now, and the share of the whole that is done.
        keeps: leave the environments where they are.

    Raises:
        UsageError: the specifier is none, allows fewer than two releases, or the command has no Python.
        LeakhuntError: nothing can be found out; the message says why.
    """
    needs_packaging()
    name, specifiers = _requirement(question.package)
    own = inspect(question.python or interpreter_of(question.command))
    asked = {
        "package": question.package, "command": list(question.command), "goal": question.goal,
        "finding": question.finding, "python": own.path, "cwd": str(Path.cwd()),
    }  # fmt: skip
    kept = Kept(folder, asked)
    try:
        if not kept.releases:
            found = [str(version) for version in releases(name, own, specifiers)]
            if len(found) < 2:
                few = f"only {found[0]}" if found else "none"
                raise UsageError(
                    f"Of the releases of {name}, {question.package!r} allows {few}.", "Name a range with two or more."
                )
            kept.remember_releases(found)
        environments = Environments(kept.folder / "environments", own, name, uses_uv)
        runs = _Releases(name, question.command, own, environments, kept, known, tell, len(kept.releases))
        result = _searched(name, question, kept, runs)
        if not keeps:
            shutil.rmtree(kept.folder / "environments", ignore_errors=True)
        return result
    finally:
        kept.close()


def _requirement(text: str) -> tuple[str, SpecifierSet]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as problem:
        raise UsageError(f"{text!r} is no package with versions.", "Type it as 'aiohttp>=3.10,<3.13'.") from problem
    return requirement.name, requirement.specifier


def _searched(name: str, question: Question, kept: Kept, runs: _Releases) -> Bisection:
    judge = Judge(runs, kept, question.settings)
    known = kept.releases
    low, high = ends(judge, known)
    goal = choose_target(judge, known[low], known[high], question.goal, question.finding)
    states = {LEAKS: NEW, CLEAN: OLD} if goal == "leak" else {LEAKS: OLD, CLEAN: NEW}
    before, after = boundary(low, high, lambda index: states.get(judge.state(known[index]), UNKNOWN))
    return answer.answer(name, goal, judge, known, before, after)


class _Releases:
    """Runs the program on releases of a package, each in an environment of its own."""

    def __init__(
        self,
        package: str,
        command: Sequence[str],
        own: Interpreter,
        environments: Environments,
        kept: Kept,
        known: Known,
        tell: Tell,
        count: int,
    ) -> None:
        self._package, self._command, self._own = package, command, own
        self._environments, self._kept, self._known, self._tell = environments, kept, known, tell
        self._expected = 4 + math.ceil(math.log2(max(2, count - 1)))  # the two ends, and the two that are run again

    def run(self, release: str, attempt: str, settings: Settings) -> Outcome:
        found = self._kept.outcome(release, attempt)
        if found is not None:
            return found
        called = f"{self._package} {release}"
        if not self._environments.is_made(release):
            self._say(f"installing {called}")
        try:
            made = self._environments.made(release)
        except CannotInstall as problem:
            outcome = Outcome(release, attempt, "not installable", str(problem))
            self._kept.remember(outcome, None)
            return outcome
        self._say(f"{WORDS[attempt]} on {called}")
        trial.end_left_over(self._kept.run_folder(release, attempt))
        folder, log = self._kept.fresh_run(release, attempt)
        words, variables = in_environment(self._command, self._own, made.python)
        ran = trial.run(words, folder, Path.cwd(), variables, settings, log)
        findings = trial.findings_of(folder, self._known)
        moved = tuple(f"{name} {old} to {new}" for name, (old, new) in sorted(made.moved.items()))
        outcome = Outcome(
            release, attempt, "" if findings else "fails", "" if findings else "it left nothing to analyse",
            ran.seconds, ran.exit_status, ran.was_ended, settings.interval, settings.duration, moved,
        )  # fmt: skip
        self._kept.remember(outcome, findings)
        return outcome

    def _say(self, what: str) -> None:
        done = len([one for one in self._kept.outcomes if one.problem != "not installable"])
        self._tell(what, min(0.99, done / max(self._expected, done + 1)))
