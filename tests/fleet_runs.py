"""Runs of a fleet as `leakhunt run --to` leaves them, made without running anything."""

from __future__ import annotations

import random
from collections.abc import Iterator

from leakhunt.findings import ClassSeries, Finding, Findings, Growth, Holder, ProcessSummary, RunSummary
from leakhunt.fleet.place import Place
from leakhunt.fleet.tables import Origin, rows

START = 1_795_000_000.0  # 2026-11-18 in the middle of the night, UTC
LEAK = Finding(
    kind="python-leak", type="shop.Order", rank=1, confidence=0.95, fingerprint="aa84f4df5dea",
    holder=Holder("shop.Store.orders", file="shop/store.py", line=12),
)  # fmt: skip


def process(pid: int, chance: random.Random, hours: float, leaks: bool, odd: bool, looks: int = 96) -> ProcessSummary:
    """A worker: noise, a leak of 2 MB an hour where it leaks, and 30 MB an hour in buffers where it is odd."""
    seconds = tuple(k * hours * 3600 / (looks - 1) for k in range(looks))
    orders = [1000 + (2e6 / 500 * s / 3600 if leaks else 0) for s in seconds]
    buffers = [2e6 + (30e6 * s / 3600 if odd else 0) + chance.gauss(0, 1e4) for s in seconds]
    rss = [int(9e7 + 500 * o + b + chance.gauss(0, 2e5)) for o, b in zip(orders, buffers, strict=True)]
    classes = (
        ClassSeries("shop.Order", tuple(map(int, orders)), tuple(int(500 * o) for o in orders)),
        ClassSeries("builtins.bytearray", (40,) * looks, tuple(map(int, buffers))),
        ClassSeries("builtins.dict", (9000,) * looks, (3_000_000,) * looks),
    )
    return ProcessSummary(
        pid, "python app.py", looks, python="3.11.7", seconds=seconds, rss_bytes=tuple(rss),
        gc_objects=tuple(int(60_000 + o) for o in orders), classes=classes, findings=(1,) if leaks else (),
    )  # fmt: skip


def runs(
    hosts: int = 6, workers: int = 4, hours: float = 20.0, service: str = "shop", seed: int = 1
) -> Iterator[tuple[Findings, Origin]]:
    """Three releases, one day apart; 1.2 brought a leak, in every other worker. One worker of 1.1 is the odd one."""
    chance = random.Random(seed)
    for number, release in enumerate(("1.1", "1.2", "1.10")):
        for host in range(hosts):
            leaks = release != "1.1"
            pids = tuple(100 + w for w in range(workers))
            started = START + number * 86_400 + host * 60
            people = tuple(
                process(pid, chance, hours, leaks and pid % 2 == 0, release == "1.1" and host == 3 and pid == 102)
                for pid in pids
            )
            having = tuple(p.pid for p in people if p.findings)
            growth = Growth(len(having) * 4000 / 60, len(having) * 2e6 / 60)
            found = (Finding(**{**vars(LEAK), "pids": having, "growth": growth}),) if having else ()
            summary = RunSummary(("python", "app.py"), hours * 3600, 96 * workers, "3.11.7")
            findings = Findings(summary, "leak" if found else "healthy", findings=found, processes=people)
            names = [(f"pid-{pid}.0", started) for pid in pids]
            yield findings, Origin(f"web{host}-{release}", service, release, f"web{host}", names)


def fill(url: str, **options: float) -> int:
    """Put the runs into a place; the bytes written."""
    place = Place(url)
    return sum(place.write(rows(findings, origin), origin) for findings, origin in runs(**options))  # type: ignore[arg-type]
