"""Attach to hostile programs and detach again, some thousand times: `python benchmarks/attach_soak.py`.

Each attach starts the agent, each detach takes it out; in between and afterwards the target must be alive, beat, and
have broken none of its invariants. Prints a line per cell of the matrix and the sums; exits 1 when a target was hurt.
"""

from __future__ import annotations

import argparse
import collections
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "attach"))

from targets import KINDS, HostileTarget, Interpreter, helper, hostile_target, interpreters

from leakhunt.attach import ARM, BY_NAME, DISARM, Request
from leakhunt.errors import AttachError

OPTIONS = "interval=0.02,deep=auto,budget=0.2"
NEEDS_HELPER = {"malloc", "malloc_with_gil", "dlopen"}


@dataclass
class Tally:
    """What came of the attaches to one target, or to all."""

    attached: int = 0
    detached: int = 0
    refused: int = 0  # said no beforehand
    failed: int = 0  # said yes, and could not; nothing was left
    crashed: int = 0
    deadlocked: int = 0
    broken: int = 0
    pauses_ms: list[float] = field(default_factory=list)
    reasons: collections.Counter[str] = field(default_factory=collections.Counter)

    def add(self, other: Tally) -> None:
        for name in ("attached", "detached", "refused", "failed", "crashed", "deadlocked", "broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.pauses_ms += other.pauses_ms
        self.reasons += other.reasons

    def __str__(self) -> str:
        pause = f", pause {statistics.median(self.pauses_ms):.2f} ms" if self.pauses_ms else ""
        return (
            f"{self.attached} attached, {self.detached} detached, {self.refused} refused, {self.failed} failed, "
            f"{self.crashed} crashed, {self.deadlocked} deadlocked, {self.broken} broken invariants{pause}"
        )

    @property
    def is_harmless(self) -> bool:
        return not (self.crashed or self.deadlocked or self.broken)


def soak(interpreter: Interpreter, kind: str, method: str, rounds: int) -> Tally:
    tally = Tally()
    with hostile_target(interpreter, kind) as target:
        # Below its own root, so that the path means the same to it and to us.
        run_folder = Path(tempfile.mkdtemp(prefix="soak-", dir=interpreter.root / "tmp"))
        inside = str(Path("/") / run_folder.relative_to(interpreter.root))
        try:
            for _ in range(rounds):
                if not one_round(target, method, inside, tally):
                    break
        finally:
            shutil.rmtree(run_folder, ignore_errors=True)
        tally.broken += target.broken
    return tally


def one_round(target: HostileTarget, method: str, run_folder: str, tally: Tally) -> bool:
    """Attach, let it sample, detach, look; False when the target is of no more use."""
    for request in (Request(ARM, run_folder, OPTIONS), Request(DISARM)):
        if not inject(target, method, request, tally):
            break
        if request.action == ARM:
            time.sleep(0.03)
    goes_on = target.goes_on()
    if not target.is_alive:
        tally.crashed += 1
        tally.reasons[f"ended with {target.process.returncode}: {target.errors[-200:]}"] += 1
    elif not goes_on:
        tally.deadlocked += 1
    return goes_on and target.is_alive


def inject(target: HostileTarget, method: str, request: Request, tally: Tally) -> bool:
    way = BY_NAME[method]
    if reason := way.why_not(target.pid):
        tally.refused += 1
        tally.reasons[str(reason)] += 1
        return False
    try:
        answer = way.inject(target.pid, request)
    except AttachError as error:
        tally.failed += 1
        tally.reasons[error.message] += 1
        return False
    if answer.word not in ("started", "stopped"):
        tally.failed += 1
        tally.reasons[f"{request.action}: {answer.word} {answer.detail}"] += 1
        return False
    tally.attached += request.action == ARM
    tally.detached += request.action == DISARM
    if answer.pause_ms:
        tally.pauses_ms.append(answer.pause_ms)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attaches", type=int, default=2000, help="over the whole matrix (default 2000)")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--pythons", nargs="*", help="names as in the first column (default: all that are at hand)")
    parser.add_argument("--methods", nargs="*", default=["pep768", "ptrace"])
    arguments = parser.parse_args()
    kinds = [kind for kind in arguments.kinds if helper() or kind not in NEEDS_HELPER]
    cells = [
        (interpreter, kind, method)
        for interpreter in interpreters()
        if not arguments.pythons or interpreter.name in arguments.pythons
        for kind in kinds
        for method in arguments.methods
        if method != "pep768" or (interpreter.version >= (3, 14) and kind != "asleep")
    ]
    rounds, total, by_method = -(-arguments.attaches // len(cells)), Tally(), collections.defaultdict(Tally)
    for interpreter, kind, method in cells:
        tally = soak(interpreter, kind, method, rounds)
        print(f"{interpreter.name:12} {kind:16} {method:7} {tally}", flush=True)
        total.add(tally)
        by_method[method].add(tally)
    for method, tally in by_method.items():
        done = tally.attached + tally.detached
        print(f"{method}: {tally}; {100 * done / max(1, done + tally.failed):.2f} % of those it said yes to")
    print(f"all: {total}")
    if len(total.pauses_ms) > 1:
        tenths = statistics.quantiles(total.pauses_ms, n=10)
        print(f"  a tenth of the pauses was below {tenths[0]:.2f} ms, nine tenths below {tenths[-1]:.2f} ms", end="; ")
        print("load {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()), f"on {os.cpu_count()} processors")
    for reason, count in total.reasons.most_common():
        print(f"  {count} x {reason}")
    return 0 if total.is_harmless else 1


if __name__ == "__main__":
    sys.exit(main())
