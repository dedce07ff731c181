"""Who made the leaked objects and who put them in: the agent's stacks joined with what a candidate is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from leakhunt.analysis.growth.evidence import EXIT, Evidence
from leakhunt.analysis.rules.verdicts import Verdict
from leakhunt.births import Addition, Birth, Births, Frame, Stack, Watched
from leakhunt.findings import Caller, Origin

Record = TypeVar("Record", Birth, Addition)
SURELY = 20  # births before the last graph of which one at least would have stayed, were they those that leak
TOLD_MAX = 50  # stacks of which a report tells
DEPTH_MAX, WIDTH_MAX = 12, 4  # of a tree
NOTHING_BORN = "nothing was born while it was watched"
NONE_STAYED = "none of {:,} that were seen to be made is among what leaks"
NOTHING_ADDED = "nothing was put in while it was watched"


def made_at(evidence: Evidence, verdict: Verdict) -> tuple[Origin | None, str]:
    """(who makes objects of the leaked class, why that is not known: "" where it is, or was not asked for)."""
    answers = [(one, address) for one in evidence.births for address in _addresses(one, verdict.type)]
    births = _last_at_each_address([b for one, address in answers for b in one.births if b.of == address])
    watched = [one.classes[address] for one, address in answers]
    if not births:
        return None, _why(watched, NOTHING_BORN)
    leaked = (
        _leaked_since(evidence, verdict, births)
        or _put_in(evidence, verdict, births)
        or _there_at_exit(evidence, births)
    )
    in_time = [birth for birth in births if birth.seconds <= evidence.graph.snapshot.number("elapsed")]
    if not leaked and len(in_time) >= SURELY:
        return None, NONE_STAYED.format(len(births))
    told = _spread(leaked or births)
    package = verdict.type.partition(".")[0]
    return _origin([b.stack for b in told], lambda stack: maker(stack, package), bool(leaked), _way(watched)), ""


def added_at(evidence: Evidence, verdict: Verdict) -> tuple[Origin | None, str]:
    """(who adds to the containers that hold the leaked objects, why that is not known)."""
    if verdict.holder < 0:
        return None, ""
    additions = _additions(evidence, verdict)
    held_by = _held_by(evidence, verdict)
    watched = [place for one in evidence.births for address, place in one.places.items() if address in held_by]
    if not additions:
        return None, _why(watched, NOTHING_ADDED)
    leaked = _leaked_since(evidence, verdict, additions)
    nameless = [a for a in additions if not a.address and not a.key]
    told = _spread(leaked + nameless if leaked else additions)
    return _origin([a.stack for a in told], adder, True, _way(watched)), ""


def of_class(answers: Sequence[Births], name: str) -> Origin | None:
    """Who makes objects of a class, leaked or not."""
    births = _spread([b for one in answers for address in _addresses(one, name) for b in one.births if b.of == address])
    package = name.partition(".")[0]
    return _origin([b.stack for b in births], lambda stack: maker(stack, package), False, "") if births else None


def of_container(answers: Sequence[Births], address: int) -> Origin | None:
    """Who puts something into the container at an address."""
    additions = _spread([a for one in answers for a in one.additions if a.of == address])
    return _origin([a.stack for a in additions], adder, True, "") if additions else None


def maker(stack: Stack, package: str) -> Frame:
    """The frame that asked for an object: outside of the standard library and of the library that the class is from."""
    outside = [frame for frame in stack.frames if frame.kind != "stdlib"]
    others = [frame for frame in outside if frame.kind == "program" or not is_of_package(frame.file, package)]
    return (others or outside or list(stack.frames))[0]


def adder(stack: Stack) -> Frame:
    """The frame that puts something in: the innermost one outside of the standard library."""
    return next((frame for frame in stack.frames if frame.kind != "stdlib"), stack.frames[0])


def is_of_package(file: str, package: str) -> bool:
    """Whether a file is of a top-level package or module of that name."""
    return f"/{package}/" in file or file.endswith(f"/{package}.py")


def _addresses(one: Births, name: str) -> list[int]:
    return [address for address, kind in one.classes.items() if kind.name == name]


def _leaked_since(evidence: Evidence, verdict: Verdict, records: Sequence[Record]) -> list[Record]:
    """Those whose object is among the leaked ones in the last graph, and was made or put in before it."""
    graph = evidence.graph
    taken = graph.snapshot.number("elapsed")
    addresses = graph.snapshot.column("object.address")
    leaked = set(addresses[np.concatenate([verdict.objects, verdict.direct])].tolist()) - {0}
    return [r for r in records if r.seconds <= taken and (r.address in leaked or getattr(r, "key", 0) in leaked)]


def _last_at_each_address(births: Sequence[Birth]) -> list[Birth]:
    """Without those whose address another object had later: they are gone."""
    last = {birth.address: birth for birth in sorted(births, key=lambda birth: birth.seconds)}
    return list(last.values())


def _held_by(evidence: Evidence, verdict: Verdict) -> set[int]:
    """Addresses of the containers of the leak's place."""
    members = verdict.place.members if verdict.place is not None else (verdict.holder,)
    return (
        set(evidence.graph.snapshot.column("object.address")[list(members)].tolist()) if verdict.holder >= 0 else set()
    )


def _additions(evidence: Evidence, verdict: Verdict) -> list[Addition]:
    held_by = _held_by(evidence, verdict)
    return [a for one in evidence.births for a in one.additions if a.of in held_by]


def _put_in(evidence: Evidence, verdict: Verdict, births: Sequence[Birth]) -> list[Birth]:
    """Births of what was put into the place itself: known without a graph that was taken later."""
    added = {address for a in _additions(evidence, verdict) for address in (a.address, a.key)} - {0}
    return [birth for birth in births if birth.address in added]


def _there_at_exit(evidence: Evidence, births: Sequence[Birth]) -> list[Birth]:
    """Births of what was there at the exit, where a graph was taken then."""
    last = evidence.snapshots[-1]
    if not last.is_deep or last.meta.get("moment") != EXIT:
        return []
    there = set(last.column("object.address").tolist())
    return [birth for birth in births if birth.address in there]


def _spread(records: Sequence[Record]) -> list[Record]:
    """TOLD_MAX of them at the most, evenly over the time."""
    if len(records) <= TOLD_MAX:
        return list(records)
    return [records[i] for i in np.linspace(0, len(records) - 1, TOLD_MAX).astype(int).tolist()]


def _why(watched: Sequence[Watched], nothing: str) -> str:
    if not watched:
        return ""
    return next((one.why for one in reversed(watched) if one.why), nothing)


def _way(watched: Sequence[Watched]) -> str:
    return next((one.way for one in watched if one.way != "-" and one.seen), "")


def _origin(stacks: Sequence[Stack], named: Callable[[Stack], Frame], stayed: bool, way: str) -> Origin:
    places = [named(stack) for stack in stacks]
    (place, count), *_ = Counter(places).most_common(1)
    with_it = [stack for stack, at in zip(stacks, places, strict=True) if at == place]
    common = Counter(stack.frames for stack in with_it).most_common(1)[0][0]
    awaiting = Counter(stack.awaiting for stack in with_it if stack.awaiting).most_common(1)
    return Origin(
        file=place.file,
        line=place.line,
        function=place.function,
        share=round(count / len(stacks), 3),
        count=count,
        of=len(stacks),
        stack=tuple(map(spelled, common)),
        tree=tree([_from(stack, at) for stack, at in zip(stacks, places, strict=True)]),
        stayed=stayed,
        way=way,
        awaited_by=tuple(map(spelled, awaiting[0][0])) if awaiting else (),
    )


def spelled(frame: Frame) -> str:
    return f"{frame.file}:{frame.line} in {frame.function}"


def _from(stack: Stack, place: Frame) -> tuple[Frame, ...]:
    """The frames from the named one outwards."""
    return stack.frames[stack.frames.index(place) :]


def tree(stacks: Sequence[Sequence[Frame]], depth: int = DEPTH_MAX) -> tuple[Caller, ...]:
    """Stacks with common beginnings put together, the most numerous first; WIDTH_MAX branches at each frame."""
    found: dict[Frame, list[Sequence[Frame]]] = {}
    for stack in stacks:
        if stack:
            found.setdefault(stack[0], []).append(stack[1:])
    largest = sorted(found.items(), key=lambda item: -len(item[1]))[:WIDTH_MAX]
    return tuple(
        Caller(frame.file, frame.line, frame.function, len(rest), tree(rest, depth - 1) if depth > 1 else ())
        for frame, rest in largest
    )
