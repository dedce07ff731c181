"""What to ask the agent about while a program runs: classes whose births, and places whose additions, are watched.

Suspicion is enough: asking costs the program next to nothing, and about a leak that is only accused at the end of a run
nobody can be asked any more.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from leakhunt.agent import schema
from leakhunt.agent.schema import escape
from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.births import Births

from . import origins, to_findings

SUSPECTS_MAX, CLASSES_OF_EACH, MEMBERS_OF_EACH, WAYS_MAX = 6, 4, 12, 12
OTHER_PLACES = 4  # that grow, whatever is thought of them
CLASSES_MAX, PLACES_MAX = 16, 60  # as the agent takes them
FUNCTIONS_MAX = 40
ENOUGH = 12  # stacks of what stayed, or of additions, with which a question is answered
_LOCAL = re.compile(r"<(?:variable |local )?([^\W\d]\w*)>")
_NAME = re.compile(r"[^\W\d]\w*")
_NO_NAME = frozenset(("attribute", "local", "locals", "lambda"))


@dataclass
class Question:
    """A request as the agent reads it (`leakhunt.agent.asked`)."""

    classes: dict[int, str] = field(default_factory=dict)
    places: dict[int, tuple[int, ...]] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    functions: set[tuple[str, int]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.classes or self.places)

    def text(self, number: int) -> str:
        lines: list[tuple[object, ...]] = [("number", number)]
        lines += [("class", address, escape(name)) for address, name in self.classes.items()]
        lines += [("place", address, " ".join(map(str, ways))) for address, ways in self.places.items()]
        lines += [("name", kind, escape(word)) for kind, word in sorted(self.names)]
        lines += [("file", escape(file)) for file in sorted(self.files)]
        lines += [("function", escape(file), line) for file, line in sorted(self.functions)]
        return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def question(evidence: Evidence, candidates: Sequence[Verdict]) -> Question:
    """What to ask of the likeliest candidates; nothing of what earlier answers have told enough of."""
    asked = Question()
    for verdict in likeliest(candidates):
        if not _is_made_known(evidence, verdict):
            _ask_of_classes(evidence, verdict, asked)
        if verdict.holder >= 0 and not _is_added_known(evidence, verdict):
            _ask_of_places(evidence, verdict, asked)
    _ask_of_growing(evidence, asked)
    return asked


def likeliest(candidates: Sequence[Verdict]) -> list[Verdict]:
    """The candidates that are not ended, the surest and heaviest first; memory without objects has no births."""
    seen = [v for v in candidates if not v.is_ended and (len(v.objects) or len(v.direct) or v.holder >= 0)]
    return sorted(seen, key=lambda v: (-round(v.confidence, 1), -v.weight))[:SUSPECTS_MAX]


def _is_made_known(evidence: Evidence, verdict: Verdict) -> bool:
    origin, _ = origins.made_at(evidence, verdict)
    return origin is not None and origin.stayed and origin.of >= ENOUGH


def _is_added_known(evidence: Evidence, verdict: Verdict) -> bool:
    origin, _ = origins.added_at(evidence, verdict)
    return origin is not None and origin.of >= ENOUGH


def _ask_of_classes(evidence: Evidence, verdict: Verdict, asked: Question) -> None:
    snapshot, types = evidence.graph.snapshot, evidence.graph.types
    direct = Counter(types[verdict.direct].tolist()).most_common(1)
    numerous = Counter(types[verdict.objects].tolist()).most_common()
    rows = [row for row, _ in numerous if snapshot.type_names[row] == verdict.type]
    rows += [row for row, _ in direct]
    made_here = snapshot.column("type.flags") & schema.TYPE_HEAP != 0
    rows += [row for row, _ in numerous if made_here[row]]
    _ask_of_rows(evidence, list(dict.fromkeys(rows))[:CLASSES_OF_EACH], asked)


def _ask_of_rows(evidence: Evidence, rows: Iterable[int], asked: Question) -> None:
    snapshot = evidence.graph.snapshot
    addresses = snapshot.column("type.address")
    for row in rows:
        if len(asked.classes) < CLASSES_MAX:
            asked.classes[int(addresses[row])] = snapshot.type_names[row]


def _ask_of_growing(evidence: Evidence, asked: Question) -> None:
    """Of places that grow, whoever is accused in the end: with few graphs one may stand for another."""
    seen = {a.of for answer in evidence.births for a in answer.additions}
    addresses = evidence.graph.snapshot.column("object.address")
    for place in evidence.places[:OTHER_PLACES]:
        if len(place.children) and int(addresses[place.members[0]]) not in seen:
            _ask_of_members(evidence, place.members, asked)
            asked.names.update(words([place.owner, *place.also_owned_by]))
            rows = Counter(evidence.graph.types[place.children].tolist()).most_common(1)
            _ask_of_rows(evidence, [row for row, _ in rows], asked)


def _ask_of_places(evidence: Evidence, verdict: Verdict, asked: Question) -> None:
    names = evidence.names
    _ask_of_members(evidence, verdict.place.members if verdict.place is not None else (verdict.holder,), asked)
    owners = [verdict.owner or "", *verdict.also_owned_by, *names.owners(verdict.holder)]
    asked.names.update(words(owners))
    for owner in owners[:3]:
        file = to_findings.place_of(evidence, owner)[2] if owner else None
        if file:
            asked.files.add(file)
    _ask_of_functions(evidence, asked)


def _ask_of_members(evidence: Evidence, members: Sequence[int], asked: Question) -> None:
    addresses = evidence.graph.snapshot.column("object.address")
    for member in members[:MEMBERS_OF_EACH]:
        ways = [step.source for step in evidence.names.steps(member)][::-1][:WAYS_MAX]
        if len(asked.places) < PLACES_MAX:
            asked.places[int(addresses[member])] = tuple(int(addresses[way]) for way in ways)


def _ask_of_functions(evidence: Evidence, asked: Question) -> None:
    """Functions in the stacks of births: who makes an object often puts it away, by whatever name."""
    seen: Counter[tuple[str, int]] = Counter()
    for answer in evidence.births:
        for birth in answer.births:
            frames = [frame for frame in birth.stack.frames if frame.kind != "stdlib"]
            seen.update({(frame.file, frame.line) for frame in frames[:6]})
    asked.functions.update(place for place, _ in seen.most_common(FUNCTIONS_MAX))


def words(owners: Iterable[str]) -> set[tuple[str, str]]:
    """("attribute" or "variable", word) by which source speaks of places with these names."""
    found = set()
    for owner in owners:
        last = owner.rpartition(".")[2].split("[")[0]
        local = _LOCAL.fullmatch(last)
        if local is not None:
            if local[1] not in _NO_NAME:
                found.add(("variable", local[1]))
        elif _NAME.fullmatch(last):
            found.add(("attribute", last))
    return found


def latest(answers: Sequence[Births]) -> int:
    """The number of the last request that was answered, 0 for none."""
    return max((answer.number for answer in answers), default=0)
