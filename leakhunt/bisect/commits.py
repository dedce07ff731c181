"""The commit of one's own program that brought a leak, or fixed it: `git bisect run`, judged by leakhunt.

git works in a clone that shares the objects of the repository, below the folder of the search, so that neither the
working tree nor a bisection of one's own is touched. It calls `step.py` for each commit that it chooses.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from leakhunt.analysis.growth.known import BUILT_IN, Known
from leakhunt.bisect import answer, trial
from leakhunt.bisect.judge import Judge, Tell, choose_target
from leakhunt.bisect.kept import Kept, Outcome
from leakhunt.bisect.opinion import CLEAN, LEAKS
from leakhunt.bisect.trial import WORDS, Settings
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.findings import Bisection
from leakhunt.interpreters import last_line

OLD_TERM, NEW_TERM = "before", "after"
EXIT_OLD, EXIT_NEW, EXIT_SKIP, EXIT_STOP = 0, 1, 125, 128
DIGITS = 12
QUESTION = "question.json"
GITS_OWN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


@dataclass(frozen=True)
class Question:
    """What was asked; `below` is the directory in the repository in which the program is started."""

    commits: str
    command: tuple[str, ...]
    goal: str | None = None
    finding: str | None = None
    below: str = "."
    settings: Settings = field(default_factory=Settings)


def bisect(question: Question, folder: Path, tell: Tell, known: Known = BUILT_IN) -> Bisection:
    """Search among the commits from the old one (left out) to the new one of `OLD..NEW`.

    Raises:
        UsageError: this is no git repository, or the range has no two commits of it, the first before the second.
        LeakhuntError: nothing can be found out; the message says why.
    """
    top, old, new = _range(question.commits)
    below = os.path.relpath(Path.cwd(), top)
    question = Question(question.commits, question.command, question.goal, question.finding, below, question.settings)
    kept = Kept(folder, {**asdict(question), "old": old, "new": new, "repository": str(top)})
    try:
        clone = kept.folder / "clone"
        if not (clone / ".git").exists():
            _git(["clone", "-q", "--shared", "--no-checkout", str(top), str(clone)])
        kept.remember_releases([old, new])
        (kept.folder / QUESTION).write_text(json.dumps(asdict(question)), encoding="utf-8")
        runs = Commits(question, kept, known, tell, int(_git(["rev-list", "--count", f"{old}..{new}"], top)))
        judge = Judge(runs, kept, question.settings)
        goal = choose_target(judge, old, new, question.goal, question.finding)
        first, others = _first(clone, old, new, kept)
        kept.reopen()
        return _answer(judge, kept, clone, goal, first, others)
    finally:
        kept.close()


def _answer(judge: Judge, kept: Kept, clone: Path, goal: str, first: str, others: Sequence[str]) -> Bisection:
    for outcome in kept.outcomes:  # those of the steps, for the table
        judge.state(outcome.release)
    before = _short(_git(["rev-parse", f"{(list(others) or [first])[0]}^"], clone))
    state = CLEAN if goal == "leak" else LEAKS
    if not others and judge.state(before) != state:
        others = [before]
        before = _short(_git(["rev-parse", f"{before}^"], clone))
    found = answer.answer("commit", goal, judge, [before, *others, first], 0, len(others) + 1, is_package=False)
    subject = _git(["log", "-1", "--format=%an, %as: %s", first], clone)
    return replace(found, untried=0, notes=(f"{first} is by {subject}", *found.notes))


def _first(clone: Path, old: str, new: str, kept: Kept) -> tuple[str, list[str]]:
    """The first commit in the new state, and those that it could be as well because they can't be judged."""
    if subprocess.run(["git", "-C", str(clone), "bisect", "log"], capture_output=True, check=False).returncode:
        _git(["bisect", "start", f"--term-old={OLD_TERM}", f"--term-new={NEW_TERM}", new, old], clone)
    step = [sys.executable, "-P", "-m", "leakhunt.bisect.step", str(kept.folder)]
    done = subprocess.run(
        ["git", "-C", str(clone), "bisect", "run", *step], capture_output=True, text=True, check=False,
        env=_without_gits_own(),
    )  # fmt: skip
    (kept.folder / "logs" / "git.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    after = _short(_git(["rev-parse", f"refs/bisect/{NEW_TERM}"], clone))
    if f"is the first {NEW_TERM} commit" in done.stdout:
        return after, []
    _, is_skip, rest = done.stdout.partition("could be any of:")
    if is_skip:
        candidates = [_short(sha) for sha in re.findall(r"^[0-9a-f]{40,64}$", rest, re.MULTILINE)]
        inside = _git(["rev-list", "--reverse", "--topo-order", f"{old}..{new}"], clone).split()
        return after, [one for one in map(_short, inside) if one in candidates and one != after]
    raise LeakhuntError(
        f"git bisect could not go on: {last_line(done.stderr or done.stdout)}.", f"See {kept.folder / 'logs'}."
    )


class Commits:
    """Runs the program on commits, in the clone."""

    def __init__(self, question: Question, kept: Kept, known: Known, tell: Tell, count: int) -> None:
        self._question, self._kept, self._known, self._tell = question, kept, known, tell
        self._expected = 4 + max(1, count).bit_length()
        self._clone = kept.folder / "clone"

    def run(self, release: str, attempt: str, settings: Settings) -> Outcome:
        found = self._kept.outcome(release, attempt)
        if found is not None:
            return found
        self._tell(f"{WORDS[attempt]} on {release}", min(0.99, len(self._kept.outcomes) / self._expected))
        _git(["checkout", "-q", "--force", "--detach", release], self._clone)
        trial.end_left_over(self._kept.run_folder(release, attempt))
        folder, log = self._kept.fresh_run(release, attempt)
        cwd = self._clone / self._question.below
        if not cwd.is_dir():
            outcome = Outcome(release, attempt, "fails", f"it has no folder {self._question.below}")
            self._kept.remember(outcome, None)
            return outcome
        ran = trial.run(self._question.command, folder, cwd, _variables(self._clone), settings, log)
        findings = trial.findings_of(folder, self._known)
        outcome = Outcome(
            release, attempt, "" if findings else "fails", "" if findings else "it left nothing to analyse",
            ran.seconds, ran.exit_status, ran.was_ended, settings.interval, settings.duration,
        )  # fmt: skip
        self._kept.remember(outcome, findings)
        return outcome


def step(folder: Path, known: Known, tell: Tell) -> int:
    """Judge the commit that git has checked out; the exit status that `git bisect run` takes for it."""
    told = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
    question = Question(**{**told, "command": tuple(told["command"]), "settings": Settings(**told["settings"])})
    kept = Kept.joined(folder)
    judge = Judge(Commits(question, kept, known, tell, 1), kept, question.settings)
    old, new = kept.releases
    goal = choose_target(judge, old, new, question.goal, question.finding)
    state = judge.state(_short(_git(["rev-parse", "HEAD"], folder / "clone")))
    codes = {LEAKS: EXIT_NEW, CLEAN: EXIT_OLD} if goal == "leak" else {LEAKS: EXIT_OLD, CLEAN: EXIT_NEW}
    return codes.get(state, EXIT_SKIP)


def _range(text: str) -> tuple[Path, str, str]:
    old, dots, new = text.partition("..")
    if not dots or not old or "." in (new[:1]):
        raise UsageError(f"{text!r} is no range of commits.", "Type it as OLD..NEW, for instance v1.2..HEAD.")
    try:
        top = Path(_git(["rev-parse", "--show-toplevel"], Path.cwd()))
    except LeakhuntError:
        raise UsageError("This directory is in no git repository.", "Change to the program's own.") from None
    found = []
    for name in (old, new or "HEAD"):
        try:
            found.append(_git(["rev-parse", "--verify", "-q", f"{name}^{{commit}}"], top))
        except LeakhuntError:
            raise UsageError(f"There is no commit {name!r} here.", "`git log --oneline` lists them.") from None
    is_before = subprocess.run(["git", "-C", str(top), "merge-base", "--is-ancestor", *found], check=False)
    if is_before.returncode or found[0] == found[1]:
        raise UsageError(f"{old} does not come before {new or 'HEAD'}.", "Name the older one first.")
    return top, _short(found[0]), _short(found[1])


def _short(sha: str) -> str:
    return sha[:DIGITS]


def _variables(clone: Path) -> Mapping[str, str]:
    """The program's own modules come from the clone, also where it is installed in development mode."""
    places = [str(place) for place in (clone, clone / "src") if place.is_dir()]
    theirs = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**_without_gits_own(), "PYTHONPATH": os.pathsep.join([*places, *theirs])}


def _without_gits_own() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in GITS_OWN}


def _git(arguments: Sequence[str], place: Path | None = None) -> str:
    where = ["-C", str(place)] if place is not None else []
    try:
        done = subprocess.run(["git", *where, *arguments], capture_output=True, text=True, check=False,
                              env=_without_gits_own())  # fmt: skip
    except FileNotFoundError:
        raise LeakhuntError("There is no git on this machine.", "Install it with the system's packages.") from None
    if done.returncode:
        raise LeakhuntError(f"git {arguments[0]} says: {last_line(done.stderr) or 'no'}.")
    return done.stdout.strip()
