"""The answer of a search in words, no surer than it is."""

from __future__ import annotations

from collections.abc import Sequence

from leakhunt.bisect.judge import Judge
from leakhunt.bisect.opinion import CLEAN, LEAKS
from leakhunt.findings import Bisection


def answer(
    subject: str, goal: str, judge: Judge, releases: Sequence[str], before: int, after: int, is_package: bool = True
) -> Bisection:
    """What the search ended with; two neighbours are run once more before they are called certain."""
    assert judge.target is not None
    old, new = releases[before], releases[after]
    between = tuple(releases[before + 1 : after])
    leaky = new if goal == "leak" else old
    is_certain = not between and judge.is_confirmed(new, LEAKS if goal == "leak" else CLEAN)
    is_certain = is_certain and judge.is_confirmed(old, CLEAN if goal == "leak" else LEAKS)
    notes = list(_notes(judge, leaky, between, is_certain))
    is_certain = is_certain and judge.is_same(leaky)
    trials = judge.trials()
    tried = {one.release for one in trials}
    return Bisection(
        subject=subject,
        goal=goal,
        finding=judge.target.finding,
        before=old,
        after=new,
        between=between,
        is_certain=is_certain,
        sentence=_sentence(subject, goal, old, new, between, is_certain),
        advice=_advice(subject, goal, old, new, bool(between)) if is_package else "",
        trials=trials,
        untried=len([release for release in releases if release not in tried]),
        notes=(*notes, *_moved(judge, old, new)),
    )


def _sentence(subject: str, goal: str, old: str, new: str, between: Sequence[str], is_certain: bool) -> str:
    did = "fixed in" if goal == "fixed" else "came with"
    if between:
        did = "fixed" if goal == "fixed" else "came"
        return f"{did} after {subject} {old} and by {new}: what lies between could not be judged"
    return f"{'' if is_certain else 'probably '}{did} {subject} {new}"


def _advice(subject: str, goal: str, old: str, new: str, has_gap: bool) -> str:
    if goal == "fixed":
        return f"{subject}>={new}"
    return f"{subject}<={old}" if has_gap else f"{subject}<{new}"


def _notes(judge: Judge, leaky: str, between: Sequence[str], is_certain: bool) -> list[str]:
    if between:
        few = ", ".join(between[:4]) + (f" and {len(between) - 4} more" if len(between) > 4 else "")
        return [f"{few}: none of them could be judged, see the table."]
    if not is_certain:
        return ["Run a second time, the two releases did not both say the same again."]
    if not judge.is_same(leaky):
        return [f"{leaky} shows the leak by another place or class than the release it was first seen in."]
    return []


def _moved(judge: Judge, old: str, new: str) -> list[str]:
    """Other packages that are not the same on both sides."""
    moved = {
        release: {one.partition(" ")[0]: one.rpartition(" ")[2] for one in outcome.moved}
        for outcome in judge.kept.outcomes
        if (release := outcome.release) in (old, new)
    }
    here, there = moved.get(old, {}), moved.get(new, {})
    changed = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    if not changed:
        return []
    return [f"{new} needs other versions of {', '.join(changed)} than {old} does: the change may be in one of these."]
