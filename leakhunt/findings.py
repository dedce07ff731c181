"""What a hunt found: the one vocabulary between analysis and every renderer.

All classes are frozen and hold only plain values, so that `Findings` round-trips through the JSON
that `report --format json` prints (see `Findings.to_json`).
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1

KINDS = (
    "python-leak",
    "refcount-leak",
    "uncollectable",
    "delayed-finalizer",
    "resurrected",
    "native-growth",
    "fragmentation",
)


@dataclass(frozen=True)
class Growth:
    """Counts and sizes of one class or holder over the run.

    `seconds`, `counts` and `bytes` have one entry per snapshot; `seconds` count from the start of the process.
    """

    per_minute: float = 0.0
    bytes_per_minute: float = 0.0
    seconds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    bytes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Link:
    """One step of a chain: the edge that leads to an object, and the type of that object.

    `kind` is one of "root", "attribute", "item", "key", "index", "closure", "local" or "internal";
    `label` is how the step reads in source ("._cookies", "[*]", "<variable x>"); `finalizer` is "file:line"
    of the `__del__` that the object's class defines, or None.
    """

    kind: str
    label: str
    type: str
    finalizer: str | None = None


@dataclass(frozen=True)
class Chain:
    """A retaining chain from a GC root down to an object; `links[0]` is the root."""

    links: tuple[Link, ...]

    def path(self) -> tuple[str, ...]:
        """The chain as a person reads it: the root, then types and labels by turns."""
        words: list[str] = []
        for link in self.links:
            if link.label:
                words.append(link.label)
            if link.kind == "attribute" and not link.type.startswith("builtins."):
                words.append(link.type)
        return tuple(words)


@dataclass(frozen=True)
class Finalizer:
    """A class on a finding's chains that defines `__del__`, and what that means there."""

    type: str
    file: str | None = None
    line: int | None = None
    in_cycle: bool = False
    pins_bytes: int = 0
    resurrects: bool = False
    says: str = ""


@dataclass(frozen=True)
class Holder:
    """What keeps the leaked objects alive, by the names a person finds in the source."""

    owner: str
    aliases: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    type: str = ""
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Node:
    """A box of a reference graph: one object, or `count` siblings folded into one.

    `role` is "leaked", "holder", "root", "finalizer" or "". `inside` says what is folded, the largest first: nodes of
    as many objects together. `retained_bytes` is what would be freed with them, 0 where that was not asked.
    """

    id: int
    type: str
    count: int = 1
    size_bytes: int = 0
    role: str = ""
    detail: str = ""
    retained_bytes: int = 0
    inside: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Edge:
    """A reference from the box `source` to the box `target`; `faulty` marks the one to cut."""

    source: int
    target: int
    label: str = ""
    count: int = 1
    faulty: bool = False


@dataclass(frozen=True)
class RefGraph:
    """A small reference graph, already folded, ready to draw. Edges point from holder to held."""

    title: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True)
class UnitRow:
    """Of one class, how many objects and shallow bytes each entry of a growing place keeps alive."""

    type: str
    per_entry: float
    bytes_per_entry: int


@dataclass(frozen=True)
class Caller:
    """A frame of a tree of stacks: in `count` of them it called the frame that it is `callers` of, or is innermost.

    `source` is the line itself, "" where it can't be read.
    """

    file: str
    line: int
    function: str
    count: int
    callers: tuple[Caller, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Origin:
    """Where leaked objects are made, or where they are put in: the line in most of the stacks that were seen.

    In `count` of `of` stacks, a `share` of 0.0 to 1.0. `stack` is the commonest of them, innermost first, each as
    "file:line in function"; `tree` has them all, the innermost frame first, each with who called it. `stayed`: the
    objects were still among the leaked ones in a later snapshot. `awaited_by` are the frames of who awaits the task
    that it happens in, as in `stack`.
    """

    file: str
    line: int
    function: str
    share: float
    count: int
    of: int
    stack: tuple[str, ...] = ()
    tree: tuple[Caller, ...] = ()
    stayed: bool = False
    way: str = ""
    source: str = ""
    awaited_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """An installed distribution and its version, as the program had it."""

    name: str
    version: str


@dataclass(frozen=True)
class Finding:
    """One accusation, best first in `Findings.findings`.

    `allocated_at` is who makes the leaked objects, `added_at` who puts them where they stay; `unseen` says why either
    was not seen, where it was asked for. `packages` are those whose classes and modules it names.
    """

    kind: str
    type: str
    rank: int = 0
    also_growing: tuple[str, ...] = ()
    confidence: float = 0.0
    reason: str = ""
    holder: Holder | None = None
    growth: Growth = field(default_factory=Growth)
    retained_size_bytes: int = 0
    finalizers: tuple[Finalizer, ...] = ()
    allocated_at: Origin | None = None
    fingerprint: str = ""
    advice: str = ""
    chain: Chain | None = None
    graph: RefGraph | None = None
    pids: tuple[int, ...] = ()
    unit: tuple[UnitRow, ...] = ()
    packages: tuple[Package, ...] = ()
    added_at: Origin | None = None
    unseen: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What leaks, where, and why we say so."""
        where = f" held by {self.holder.owner}" if self.holder else ""
        return f"{self.type or self.kind}{where}: {self.reason}"


@dataclass(frozen=True)
class ClassSeries:
    """Instances and shallow bytes of one class at every census of a process."""

    type: str
    counts: tuple[int, ...]
    bytes: tuple[int, ...]


@dataclass(frozen=True)
class HolderSeries:
    """Items in a place that grows, from the end of the warm-up on: at every census or every snapshot with a graph."""

    owner: str
    seconds: tuple[float, ...]
    items: tuple[int, ...]


@dataclass(frozen=True)
class Retained:
    """A box of a treemap: `count` objects and all that only they keep alive, `size_bytes` together.

    `name` is what a lone object or a place that holds it is called, "" where the box around it said that; `type` is ""
    for objects of several classes. A `shared` one is held elsewhere too. The boxes inside may be less than the whole:
    the rest are the objects themselves.
    """

    name: str
    type: str
    size_bytes: int
    count: int = 1
    shared: bool = False
    inside: tuple[Retained, ...] = ()


@dataclass(frozen=True)
class LedgerPart:
    """A part of the growth; below 0 where it became less."""

    what: str
    bytes: int
    bytes_per_minute: float = 0.0


@dataclass(frozen=True)
class Ledger:
    """What grew after the warm-up, in parts that add up to it: without the agent's own, in `seconds`.

    `explained` is the share of the growth that is not in the part "unexplained", 0.0 to 1.0.
    """

    grown_bytes: int
    explained: float
    parts: tuple[LedgerPart, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class ProcessSummary:
    """One process of the run; series have one entry per snapshot, `findings` are ranks.

    `malloc_in_use_bytes` and `malloc_free_bytes` (what the C library keeps) are empty where it can't say.
    `quieter` are the classes whose bytes changed least, where there are many: as they were first and last only.
    `retained` is all that was alive at the newest snapshot with a graph; None where there is none.
    """

    pid: int
    command: str
    snapshots: int
    python: str = ""
    engine: str = ""
    seconds: tuple[float, ...] = ()
    deep_seconds: tuple[float, ...] = ()
    rss_bytes: tuple[int, ...] = ()
    malloc_in_use_bytes: tuple[int, ...] = ()
    malloc_free_bytes: tuple[int, ...] = ()
    allocated_blocks: tuple[int, ...] = ()
    gc_objects: tuple[int, ...] = ()
    pause_ms: tuple[float, ...] = ()
    classes: tuple[ClassSeries, ...] = ()
    holders: tuple[HolderSeries, ...] = ()
    findings: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    retained: Retained | None = None
    quieter: tuple[ClassSeries, ...] = ()
    ledger: Ledger | None = None


@dataclass(frozen=True)
class RunSummary:
    """The run as a whole."""

    command: tuple[str, ...]
    seconds: float
    snapshots: int
    python: str
    path: str = ""
    exit_status: int | None = None


@dataclass(frozen=True)
class Findings:
    """All that a renderer may show. `verdict` is "leak", "healthy" or "inconclusive".

    `ledger` is of all processes together; None where too few snapshots have a graph.
    """

    run: RunSummary
    verdict: str
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    processes: tuple[ProcessSummary, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA
    ledger: Ledger | None = None

    def to_json(self, indent: int | None = 1) -> str:
        """The contract's JSON, to be read back by `from_json`."""
        return json.dumps(dataclasses.asdict(self), indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Findings:
        """Inverse of `to_json`; unknown keys are ignored, so that older readers read newer reports."""
        return typing.cast(Findings, _build(cls, json.loads(text)))


@dataclass(frozen=True)
class DoubtTold:
    """A doubt about a candidate: it took `less` off its confidence, left `at_most` of it, or was its end."""

    name: str
    sentence: str
    less: float = 0.0
    at_most: float = 1.0
    ends: bool = False


@dataclass(frozen=True)
class Track:
    """What became of one candidate: seen, measured, doubted, named or not.

    `what` is what was looked at ("a builtins.dict", "a class", …); `items` are one for each of `seconds`, bytes where
    `in_bytes`. `certainty` is how sure it was before the doubts, `confidence` after them, `needed` what an accusation
    takes. `named` says that it was accused.
    """

    pid: int
    kind: str
    type: str
    owner: str | None
    what: str
    seconds: tuple[float, ...]
    items: tuple[int, ...]
    in_bytes: bool
    measured: str
    certainty: float
    doubts: tuple[DoubtTold, ...]
    confidence: float
    needed: float
    named: bool
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tracks:
    """The answer to "why was this named, or why not?": the tracks of the candidates of that name, the surest first.

    Where there is none, `near` are names like it that were candidates, and `seen` says what was seen of it.
    """

    asked: str
    tracks: tuple[Track, ...] = ()
    near: tuple[str, ...] = ()
    seen: str = ""

    def to_json(self, indent: int | None = 1) -> str:
        return json.dumps(dataclasses.asdict(self), indent=indent)


@dataclass(frozen=True)
class DiffRow:
    """One class between two snapshots: numbers of instances and shallow bytes.

    `births`, `deaths` and `survivors` are None when one of the snapshots has no object graph.
    `alive_from_middle` is for three snapshots: born between the first two and still in the third.
    `ages`: of the instances in the last snapshot, how many stand in each tenth of what the collector lists, the oldest
    tenth first; None where that list does not tell ages.
    """

    type: str
    before: int
    after: int
    bytes_before: int
    bytes_after: int
    births: int | None = None
    deaths: int | None = None
    survivors: int | None = None
    alive_from_middle: int | None = None
    ages: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Diff:
    """Classes between two (or three) snapshots of one process, largest growth in bytes first."""

    before: str
    after: str
    seconds: float
    rows: tuple[DiffRow, ...]
    middle: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self, indent: int | None = 1) -> str:
        return json.dumps(dataclasses.asdict(self), indent=indent)


@dataclass(frozen=True)
class Rate:
    """Growth per minute by Theil-Sen with its 95 % interval, summed over the processes of a run."""

    per_minute: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Pace:
    """How fast a place (in items) or a class (in objects) grew in two runs; None where it did not.

    `what` is "place" or "class"; `name` is what the later run calls it.
    """

    what: str
    name: str
    before: Rate | None = None
    after: Rate | None = None


@dataclass(frozen=True)
class Known:
    """A leak of both runs."""

    before: Finding
    after: Finding


@dataclass(frozen=True)
class Comparison:
    """What a later run (`after`) shows against an earlier one: findings by fingerprint, and what changed its pace."""

    before: RunSummary
    after: RunSummary
    new: tuple[Finding, ...] = ()
    known: tuple[Known, ...] = ()
    gone: tuple[Finding, ...] = ()
    faster: tuple[Pace, ...] = ()
    slower: tuple[Pace, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    def to_json(self, indent: int | None = 1) -> str:
        return json.dumps(dataclasses.asdict(self), indent=indent)


@dataclass(frozen=True)
class Trial:
    """One release (or commit) that was tried: what its run showed, in words, and where the run is.

    `state` is "leaks", "clean", "unclear", "fails" or "not installable"; `attempt` is "first", "longer" (after one that
    was unclear), "again" (to be sure of the answer) or "again-longer". `moved` are other packages that had to
    change with it.
    """

    release: str
    state: str
    attempt: str = "first"
    why: str = ""
    seconds: float = 0.0
    run: str = ""
    moved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bisection:
    """Which release of `subject` brought the leak or fixed it (`goal`: "leak" or "fixed").

    `before` is the last release known to be as it was, `after` the first one known to be otherwise. They are neighbours
    where `between` is empty; those in it could not be judged. `is_certain`: neighbours, and both were run a
    second time with the same result. `advice` is what to write into a requirements file, where there is such a thing.
    """

    subject: str
    goal: str
    finding: Finding
    before: str
    after: str
    between: tuple[str, ...] = ()
    is_certain: bool = False
    sentence: str = ""
    advice: str = ""
    trials: tuple[Trial, ...] = ()
    untried: int = 0
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    def to_json(self, indent: int | None = 1) -> str:
        return json.dumps(dataclasses.asdict(self), indent=indent)


@dataclass(frozen=True)
class PackageAdvice:
    """A package on the chain of a leak: the version that the program had, and how many later ones can be installed.

    `newest` is "" where the index could not be asked; `problem` says why.
    """

    name: str
    version: str
    newest: str = ""
    newer: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Advised:
    """What upgrades may do about one finding; `known` is "" where no release is known to have fixed it."""

    rank: int
    fingerprint: str
    leak: str
    known: str
    install: str
    next: str
    packages: tuple[PackageAdvice, ...] = ()


@dataclass(frozen=True)
class Advice:
    """What `leakhunt advise` says of a run."""

    run: RunSummary
    verdict: str
    findings: tuple[Advised, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    def to_json(self, indent: int | None = 1) -> str:
        return json.dumps(dataclasses.asdict(self), indent=indent)


@dataclass(frozen=True)
class FleetRelease:
    """A release of a service: who runs it, and how the growth of its workers' memory is spread, in bytes per hour."""

    service: str
    release: str
    processes: int
    hosts: int
    since: float
    watched_seconds: float
    rss_bytes: int
    lowest: float
    lower: float
    median: float
    upper: float
    highest: float


@dataclass(frozen=True)
class FleetSpread:
    """A leak in one release: `processes` of `of` have it, and its growth in these, in bytes per hour."""

    release: str
    processes: int
    of: int
    lower: float
    median: float
    upper: float


@dataclass(frozen=True)
class FleetFinding:
    """A leak of a service, in all processes that have it; moments are seconds since the epoch."""

    service: str
    fingerprint: str
    kind: str
    type: str
    holder: str | None
    file: str | None
    line: int | None
    confidence: float
    processes: int
    watched: int
    hosts: int
    since_release: str
    since: float
    bytes_per_hour: float
    lost_bytes: int
    releases: tuple[FleetSpread, ...] = ()


@dataclass(frozen=True)
class OddWorker:
    """A process unlike its peers: `what` is "memory" (`value`: bytes per hour) or a class (its share of all bytes)."""

    service: str
    release: str
    host: str
    run: str
    process: str
    what: str
    value: float
    median: float
    z: float
    peers: int


@dataclass(frozen=True)
class FleetMemory:
    """Memory of all processes of a release together, by time; for a plot."""

    service: str
    release: str
    seconds: tuple[int, ...]
    rss_bytes: tuple[int, ...]
    processes: tuple[int, ...]


@dataclass(frozen=True)
class Fleet:
    """All that a report on a fleet may show."""

    place: str
    engine: str
    processes: int
    hosts: int
    runs: int
    releases: tuple[FleetRelease, ...] = ()
    findings: tuple[FleetFinding, ...] = ()
    odd: tuple[OddWorker, ...] = ()
    memory: tuple[FleetMemory, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    def to_json(self, indent: int | None = 1) -> str:
        return json.dumps(dataclasses.asdict(self), indent=indent)


def _build(kind: Any, value: Any) -> Any:
    """Rebuild a value of the annotated type `kind` from plain JSON."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if value is None:
        return None
    if origin is types.UnionType or origin is typing.Union:
        return _build(next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        return tuple(_build(arguments[0], item) for item in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        known = {name: value[name] for name in hints if name in value}
        return kind(**{name: _build(hints[name], item) for name, item in known.items()})
    if kind is float:
        return float(value)
    return value
