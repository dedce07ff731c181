"""What counts as a hit: the same for every tool that lists classes, and the nearest to it for one that lists lines."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Truth = dict[str, Any]
Result = dict[str, Any]
WEAK_REFERENCE = "builtins.weakref"
NEVER = 10**9  # the rank of what is not listed
HOLDERS_SHOWN_BY = ("objgraph", "guppy3")
SPELLINGS = {"weakref.ReferenceType": WEAK_REFERENCE, "weakref.ref": WEAK_REFERENCE}


@dataclass(frozen=True)
class Score:
    """`rank` of the first name listed that is right (1 is the first), None for none; `holder` None: no such view."""

    listed: list[str]
    rank: int | None = None
    holder: bool | None = None


def canonical(name: str) -> str:
    """A class by module and name, however a tool spells it.

    >>> canonical("dict of __main__.Page"), canonical("list"), canonical("types.MethodType"), canonical("function (f)")
    ('__main__.Page', 'builtins.list', 'builtins.method', 'builtins.function')
    """
    name = re.sub(r"^(dict|class) of ", "", name).removeprefix("<class '").split(" (")[0].rstrip("'>")
    module, _, last = name.rpartition(".")
    if module == "types" and isinstance(getattr(types, last, None), type):
        last, module = getattr(types, last).__name__, ""
    return SPELLINGS.get(name, f"{module or 'builtins'}.{last}")


def has_class_to_name(truth: Truth) -> bool:
    return bool(truth.get("culprit_classes"))


def holder_names(truth: Truth) -> set[str]:
    """The last identifier of the holder and of each alias: `cache` of `linecache.cache`."""
    if not truth.get("holder"):
        return set()
    dotted = [truth["holder"], *truth.get("holder_aliases", [])]
    return {re.findall(r"\w+", name.split(" ")[0])[-1] for name in dotted}


def is_right_file(line: str, truth: Truth) -> bool:
    """Whether a line `file:number` is in the file of the holder, or of a module that the truth names."""
    return re.sub(r"^<frozen (.+)>$", r"\1.py", line.rpartition(":")[0]) in right_files(truth)


def right_files(truth: Truth) -> set[str]:
    """The holder's file, or for want of it the program's, and those that the names of holder and classes stand for."""
    names = [*truth.get("culprit_classes", []), truth.get("holder") or ""]
    given = truth.get("holder_file") or ""
    return {file for name in names for file in _files_of(name)} | {given if given.endswith(".py") else "app.py"}


def _files_of(name: str) -> Iterator[str]:
    parts = name.split(" ")[0].split(".")
    if parts[0] == "__main__":
        yield "app.py"
    if parts[0] in ("__main__", "builtins"):
        return
    for end in range(1, len(parts)):
        path = "/".join(parts[:end])
        yield from (f"{path}.py", f"{path}/__init__.py")


def score_leakhunt(truth: Truth, result: Result, leakbench: ModuleType) -> Score:
    """LeakBench's own score; the class of a finding is its `type`."""
    reported = [finding for finding in result["findings"] if finding.get("kind") in leakbench.LEAK_KINDS]
    listed = [str(finding.get("type")) for finding in reported]
    if truth["kind"] == "control":
        return Score(listed)
    holder = bool(leakbench.score(truth, result["findings"])["holder@1"]) if holder_names(truth) else None
    return Score(listed, _rank(listed, lambda name: name in truth["culprit_classes"]), holder)


def score_look(truth: Truth, result: Result, tool: str) -> Score:
    """That of the best table of the program's processes."""
    scores = [_score_table(truth, table, look["holder"], tool) for look in result["looks"] for table in look["tables"]]
    return min(scores, key=lambda score: (score.rank or NEVER, not score.holder, -len(score.listed)))


def _score_table(truth: Truth, listed: list[str], path: list[str], tool: str) -> Score:
    if truth["kind"] == "control":
        return Score(listed)
    if tool == "tracemalloc":
        return Score(listed, _rank(listed, lambda line: is_right_file(line, truth)))
    classes = {canonical(name) for name in truth["culprit_classes"]}
    holder = bool(holder_names(truth) & set(path)) if tool in HOLDERS_SHOWN_BY else None
    return Score(listed, _rank(listed, lambda name: canonical(name) in classes), holder)


def _rank(listed: list[str], is_right: Callable[[str], bool]) -> int | None:
    return next((rank for rank, name in enumerate(listed, 1) if is_right(name)), None)
