"""Names and sentences that every output shares: safe to print, short enough, the same everywhere."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence

from leakhunt.findings import Caller, Finding, Findings, Holder, Ledger, Origin, RunSummary
from leakhunt.render import units

KIND_MEANS = {
    "python-leak": "reachable objects pile up in a holder that only grows",
    "refcount-leak": "alive with no referrer anywhere: a C extension kept a reference",
    "uncollectable": "the collector gave up on these and keeps them in gc.garbage",
    "delayed-finalizer": "garbage that waits for a collection that comes late or never",
    "resurrected": "a finalizer put the objects back among the living",
    "native-growth": "the process grows and its Python objects do not explain it",
    "fragmentation": "the process grows while the allocator holds the memory free",
}

VERDICT_WORDS = {"leak": "LEAK", "healthy": "HEALTHY", "inconclusive": "INCONCLUSIVE"}

PIDS_SHOWN = 3
_NUMBER = re.compile(r"\d[\d,.]*")
UNIT_SHOWN_MIN = 0.05  # what is rarer reads as nothing
SHORT = ", leaked or not"
CALLERS_SHOWN, CALLER_SHARE_MIN = 5, 0.1

_UNSAFE = {"Cc", "Cf", "Cn", "Cs", "Co", "Zl", "Zp"}


def printable(text: str) -> str:
    """`text` with control, bidirectional-override and surrogate characters spelled as escapes.

    Names come from the target, and a class may be called anything: no name moves the cursor or turns the line.

    >>> printable("a\\x1b[31m\\u202eb")
    'a\\\\x1b[31m\\\\u202eb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def shorten(text: str, limit: int) -> str:
    """The middle replaced by "…", for in a dotted name both ends tell something.

    >>> shorten("package.module.Class", 11)
    'packa…Class'
    """
    if len(text) <= limit:
        return text
    tail = limit // 2
    return f"{text[: limit - tail - 1]}…{text[len(text) - tail :]}"


def name(text: str, limit: int = 120) -> str:
    """A name from the target, safe to print and at most `limit` long."""
    return shorten(printable(text), limit)


def sentence(text: str) -> str:
    """A sentence that may quote names from the target, safe to print; cut where no one would read on."""
    return shorten(printable(text), 600)


def unit(finding: Finding, limit: int = 6) -> str:
    """What each entry of a growing place keeps alive, in a line: "1 Engine, 3 dict, … 14.2 kB"."""
    rows = [row for row in finding.unit if row.per_entry >= UNIT_SHOWN_MIN]
    if not rows:
        return ""
    parts = [f"{_number(row.per_entry)} {short_type(row.type)}" for row in rows[:limit]]
    more = ", …" if len(finding.unit) > limit else ""
    return f"{', '.join(parts)}{more} ({units.size(sum(row.bytes_per_entry for row in finding.unit))})"


def _number(per_entry: float) -> str:
    """
    >>> _number(1.0), _number(0.142), _number(11.6)
    ('1', '0.1', '12')
    """
    return f"{per_entry:.0f}" if per_entry >= 10 or abs(per_entry - round(per_entry)) < 0.05 else f"{per_entry:.1f}"


def packages(finding: Finding, limit: int = 4) -> str:
    """The installed packages on the chain with their versions: what can be pinned or updated."""
    shown = ", ".join(f"{name(one.name, 60)} {name(one.version, 30)}" for one in finding.packages[:limit])
    return shown + (", …" if len(finding.packages) > limit else "")


def quote(text: str) -> str:
    """An argument that a shell takes back whole, and that is safe to print."""
    return shlex.quote(name(text, 1000))


def short_type(dotted: str, limit: int = 36) -> str:
    """The last parts of a dotted name, as many as fit; a builtin without its module.

    >>> short_type("builtins.dict"), short_type("a_long_package_name.of_modules.Class", 20)
    ('dict', 'of_modules.Class')
    """
    shown = printable(dotted).removeprefix("builtins.")
    while len(shown) > limit and "." in shown:
        shown = shown.split(".", 1)[1]
    return shorten(shown, limit)


def place(file: str | None, line: int | None) -> str:
    """
    >>> place("shop/db.py", 40), place(None, None)
    ('shop/db.py:40', '')
    """
    if not file:
        return ""
    return name(file if line is None else f"{file}:{line}")


def spot(file: str, line: int, function: str) -> str:
    """
    >>> spot("shop/db.py", 40, "connect"), spot("app.py", 3, "<module>")
    ('shop/db.py:40 in connect', 'app.py:3')
    """
    where = f"{file}:{line}" if line > 0 else file
    return name(where if function in ("", "<module>") else f"{where} in {function}")


def origin(found: Origin) -> str:
    """Where something happens, and in how many of the stacks that were seen: "shop/db.py:40 in connect (46 of 50)"."""
    return (
        f"{spot(found.file, found.line, found.function)} ({found.count} of {found.of}{'' if found.stayed else SHORT})"
    )


def origins(finding: Finding) -> list[tuple[str, Origin]]:
    """Who makes the leaked objects and who puts them in, as far as that was seen."""
    both = (("made at", finding.allocated_at), ("put in at", finding.added_at))
    return [(what, found) for what, found in both if found is not None]


def callers(found: Origin, limit: int = CALLERS_SHOWN) -> list[tuple[int, str]]:
    """Who called that, and the other places where it happens, as (depth, text): the numerous first."""
    lines: list[tuple[int, str]] = []

    def go_on(called: Sequence[Caller], depth: int) -> None:
        for caller in called:
            if len(lines) < limit and caller.count >= CALLER_SHARE_MIN * found.of:
                count = f" ({caller.count})" if caller.count != found.count else ""
                lines.append((depth, f"called by {spot(caller.file, caller.line, caller.function)}{count}"))
                go_on(caller.callers, depth + 1)

    place_ = found.file, found.line, found.function
    for root in found.tree:
        if (root.file, root.line, root.function) == place_:
            go_on(root.callers, 1)
    lines += [(1, f"awaited by {name(frame)}") for frame in found.awaited_by[:2]]
    others = [root for root in found.tree if (root.file, root.line, root.function) != place_]
    lines += [(0, f"also {spot(o.file, o.line, o.function)} ({o.count})") for o in others[:2]]
    return lines


def holder_place(holder: Holder | None) -> str:
    return place(holder.file, holder.line) if holder else ""


def confidence(share: float) -> str:
    """
    >>> confidence(0.98), confidence(0.3)
    ('almost certain, 98%', 'a suspicion, 30%')
    """
    steps = ((0.95, "almost certain"), (0.8, "very likely"), (0.6, "likely"), (0.4, "possible"))
    word = next((word for least, word in steps if share >= least), "a suspicion")
    return f"{word}, {units.percent(share)}"


def growth(finding: Finding) -> str:
    """
    >>> growth(Finding("python-leak", "T"))
    'no steady rate'
    """
    rates = []
    if finding.growth.per_minute:
        rates.append(units.plus(units.per_minute(finding.growth.per_minute)))
    if finding.growth.bytes_per_minute:
        rates.append(units.plus(units.size_per_minute(finding.growth.bytes_per_minute)))
    return ", ".join(rates) or "no steady rate"


PART_WORDS = {
    "places": "in growing places",
    "other objects": "in other objects",
    "waiting garbage": "in garbage that waits",
    "held from outside": "in objects that C holds",
    "objects unseen": "in blocks of Python's allocator that no object has",
    "native": "of C code",
    "fragmentation": "free inside the allocators",
    "unexplained": "unexplained",
}
_PART_SHARE, _LEDGER_BYTES = 0.02, 100_000


def ledger(book: Ledger | None) -> str:
    """What the process grew by and where that is, the largest part first; empty where next to nothing grew.

    >>> from leakhunt.findings import LedgerPart
    >>> ledger(Ledger(2_000_000, 1.0, (LedgerPart("native", 1_500_000), LedgerPart("places", 500_000)), 60.0))
    'Growth of 2.0 MB in 60 s: 1.5 MB of C code, 500 kB in growing places (100% explained)'
    """
    if book is None or book.grown_bytes < _LEDGER_BYTES:
        return ""
    shown = [part for part in book.parts if abs(part.bytes) >= _PART_SHARE * book.grown_bytes]
    shown.sort(key=lambda part: -part.bytes)
    parts = ", ".join(f"{units.size(part.bytes)} {PART_WORDS.get(part.what, name(part.what))}" for part in shown)
    whole = f"{units.size(book.grown_bytes)} in {units.duration(book.seconds)}"
    return f"Growth of {whole}: {parts} ({units.percent(book.explained)} explained)"


def verdict_sentence(findings: Findings) -> str:
    """The analysis' own summary, or the best that can be said from the first finding."""
    if findings.summary:
        return sentence(findings.summary)
    if findings.verdict == "leak" and findings.findings:
        first = findings.findings[0]
        held = f", held by {name(first.holder.owner)}" if first.holder else ""
        return f"{name(first.type)} grows ({growth(first)}){held}."
    if findings.verdict == "healthy":
        return "Nothing grows without end."
    return "Too little was seen to tell a leak from a warm-up."


def run_line(findings: Findings) -> str:
    """What was watched, for how long, and how it ended."""
    return run_line_of(findings.run)


def run_line_of(run: RunSummary) -> str:
    """As `run_line`."""
    words = [
        sentence(shlex.join(run.command)) or "(attached)",
        f"{units.plural(run.snapshots, 'snapshot')} in {units.duration(run.seconds)}",
        f"Python {run.python}" if run.python else "",
        f"exit status {run.exit_status}" if run.exit_status else "",
    ]
    return " · ".join(word for word in words if word)


def process_notes(findings: Findings) -> list[str]:
    """Notes on processes, each said once for all those that it is true of, whatever numbers are in it."""
    alike: dict[str, dict[int, str]] = {}
    for process in findings.processes:
        for note in process.notes:
            alike.setdefault(_NUMBER.sub("#", note), {}).setdefault(process.pid, note)
    return [_processes_note(note_by_pid) for note_by_pid in alike.values()]


def _processes_note(note_by_pid: dict[int, str]) -> str:
    first = next(iter(note_by_pid))
    differ = len(set(note_by_pid.values())) > 1
    return f"{_processes(list(note_by_pid))}: {note_by_pid[first]}{f' (figures of process {first})' if differ else ''}"


def _processes(pids: Sequence[int]) -> str:
    """`process 12`, `processes 12 and 13`, `processes 12, 13, 14 and 57 more`."""
    if len(pids) == 1:
        return f"process {pids[0]}"
    shown, more = pids[:PIDS_SHOWN], len(pids) - PIDS_SHOWN
    listed = ", ".join(map(str, shown if more > 0 else shown[:-1]))
    return f"processes {listed} and {f'{more} more' if more > 0 else shown[-1]}"


def next_command(findings: Findings, finding: Finding) -> str:
    """What to type to see more of one finding; empty when the run was kept nowhere."""
    if not findings.run.path:
        return ""
    run, type_name = quote(findings.run.path), quote(finding.type)
    if finding.kind in ("native-growth", "fragmentation"):
        return f"leakhunt plot {run} -o growth.png"
    return f"leakhunt backrefs {run} --type {type_name} -o graph.svg"
