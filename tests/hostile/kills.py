"""Kill target, child or leakhunt at any moment: `python tests/hostile/kills.py --kills 500`.

After each: the target that was not killed went on to its end, the run folder can be read, no process, no zombie and no
folder is left. Prints what came of each kind, and each harm with the number that `--first` takes; exits 1 for one.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from leakhunt import pipeline
from leakhunt.attach import procfs
from leakhunt.errors import LeakhuntError

LEAKHUNT = [sys.executable, "-m", "leakhunt"]
OPTIONS = ["--interval", "0.05", "--deep", "every", "--budget", "0.9", "-q"]
TIMEOUT_SECONDS = 90.0

# Works for two seconds with a child, and says in a file that both came to their end.
PROGRAM = """
import os, sys, time
kept, begun = [], time.time()
child = os.fork()
while time.time() - begun < 2:
    kept.append({"a": len(kept)})
    time.sleep(0.001)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
open(sys.argv[1], "w").close()
"""


@dataclass
class Tally:
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    harms: list[str] = field(default_factory=list)


class Round:
    """One kill, in a folder of its own."""

    def __init__(self, number: int, place: Path, python: str, tally: Tally) -> None:
        self.number, self.place, self.tally, self.dice = number, place, tally, Random(number)
        self.fine, self.out = place / "fine", place / "run"
        self.program = [python, "-c", PROGRAM, str(self.fine)]
        self.started: list[subprocess.Popen[bytes]] = []
        self.way = self.dice.choice(list(WAYS))

    def go(self) -> None:
        before = left_behind()
        with contextlib.suppress(subprocess.TimeoutExpired):
            WAYS[self.way](self)
        family = [pid for process in self.started for pid, _ in [*procfs.descendants(process.pid), (process.pid, 0)]]
        for process in self.started:
            try:
                process.wait(TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self.harm(f"{process.args[0]} did not end")
                process.kill()
                process.wait()
        self.tally.counts[self.way] += 1
        self.check("a process or a zombie is left", lambda: not [pid for pid in family if procfs.start_time(pid)])
        left = left_behind() - before  # those of others, who use these places too, go in time as well
        self.check("a folder is left", lambda: not left & left_behind())
        if self.out.exists():
            try:
                pipeline.hunt(self.out)
                self.tally.counts["folders read"] += 1
            except LeakhuntError as problem:
                self.harm(f"the run folder: {problem}")
        else:
            self.tally.counts["no folder yet"] += 1

    def check(self, words: str, holds: Callable[[], bool]) -> None:
        if not until(holds, 30.0):
            self.harm(words)

    def harm(self, words: str) -> None:
        self.tally.harms.append(f"{self.number} {self.way}: {words}")

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        null = subprocess.DEVNULL
        process = subprocess.Popen(words, stdout=null, stderr=null, stdin=null)
        self.started.append(process)
        return process

    def moment(self) -> None:
        time.sleep(self.dice.choice([self.dice.uniform(0.0, 0.5), self.dice.uniform(0.3, 2.5)]))

    def under_run(self) -> tuple[subprocess.Popen[bytes], list[int]]:
        """leakhunt, and the program's processes, the program first."""
        leakhunt = self.start(*LEAKHUNT, "run", *OPTIONS, "--out", str(self.out), "--", *self.program)
        until(lambda: bool(programs(leakhunt.pid)) or leakhunt.poll() is not None)
        self.moment()
        return leakhunt, programs(leakhunt.pid)

    def under_attach(self) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        target = self.start(*self.program)
        leakhunt = self.start(*LEAKHUNT, "attach", str(target.pid), *OPTIONS, "--out", str(self.out))
        until(lambda: self.out.exists() or leakhunt.poll() is not None)
        self.moment()
        return leakhunt, target


def run_and_kill_the_program(one: Round) -> None:
    _, pids = one.under_run()
    kill(*pids[:1])


def run_and_kill_the_child(one: Round) -> None:
    leakhunt, pids = one.under_run()
    kill(*pids[1:])
    leakhunt.wait(TIMEOUT_SECONDS)
    one.check("the program did not end", one.fine.exists)


def run_and_kill_leakhunt(one: Round) -> None:
    """The program dies of it, as it would have died itself."""
    leakhunt, pids = one.under_run()
    beside = [pid for pid, _ in procfs.descendants(leakhunt.pid)]
    leakhunt.kill()
    one.check("a process of the run is left", lambda: not [p for p in beside if p not in pids[1:] and alive(p)])
    kill(*pids[1:])


def attach_and_kill_the_target(one: Round) -> None:
    _, target = one.under_attach()
    children = [pid for pid, _ in procfs.descendants(target.pid)]
    target.kill()
    target.wait()
    kill(*children)


def attach_and_kill_the_child(one: Round) -> None:
    _, target = one.under_attach()
    kill(*[pid for pid, _ in procfs.descendants(target.pid)])
    target.wait(TIMEOUT_SECONDS)
    one.check("the target did not end", one.fine.exists)


def attach_and_kill_leakhunt(one: Round) -> None:
    leakhunt, target = one.under_attach()
    leakhunt.kill()
    if target.wait(TIMEOUT_SECONDS) or not one.fine.exists():
        one.harm(f"the target ended with {target.returncode}")


WAYS: dict[str, Callable[[Round], None]] = {
    way.__name__.replace("_", " "): way
    for way in (
        run_and_kill_the_program, run_and_kill_the_child, run_and_kill_leakhunt, attach_and_kill_the_target,
        attach_and_kill_the_child, attach_and_kill_leakhunt, attach_and_kill_leakhunt,
    )
}  # fmt: skip


def programs(leakhunt: int) -> list[int]:
    """Pids of the program that leakhunt runs and of its children, once it is one."""
    found = []
    for pid, _ in procfs.descendants(leakhunt):
        if PROGRAM in procfs.command(pid):
            found.append(pid)
    return [pid for pid in found if "leakhunt" not in procfs.command(pid)[:3]]


def alive(pid: int) -> bool:
    return procfs.Status.of(pid).state not in ("", "Z", "X")


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def left_behind() -> set[Path]:
    """What leakhunt makes in places that everybody shares."""
    places = (Path(name) for name in ("/tmp", "/var/tmp", "/dev/shm", "/run"))
    return {path for place in places for path in place.glob("leakhunt-*[0-9a-f]") if is_stage(path)}


def is_stage(path: Path) -> bool:
    name = path.name.removeprefix("leakhunt-")
    return len(name) == 16 and set(name) <= set("0123456789abcdef")


def until(holds: Callable[[], bool], seconds: float = TIMEOUT_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


@contextlib.contextmanager
def place_for(number: int) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix=f"kills-{number}-"))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def kill_so_many(first: int, kills: int, python: str) -> Tally:
    tally = Tally()
    for number in range(first, first + kills):
        with place_for(number) as place:
            Round(number, place, python, tally).go()
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--python", default=os.path.realpath(sys.executable), help="of the target")
    arguments = parser.parse_args()
    begun, harms = time.monotonic(), 0
    total: collections.Counter[str] = collections.Counter()
    for number in range(arguments.first, arguments.first + arguments.kills):
        tally = kill_so_many(number, 1, arguments.python)
        total += tally.counts
        harms += len(tally.harms)
        for harm in tally.harms:
            print(f"HARM {harm}", flush=True)
        if (number + 1) % 20 == 0:
            seconds = time.monotonic() - begun
            print(f"{number + 1 - arguments.first} kills in {seconds:.0f} s, {harms} harms", flush=True)
    for what, count in sorted(total.items()):
        print(f"{count:5} {what}")
    print(f"{harms} harms")
    return 1 if harms else 0


if __name__ == "__main__":
    sys.exit(main())
