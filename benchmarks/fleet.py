"""What a report on a fleet costs: 10,000 processes over 24 hours, made from runs that were recorded.

    fleet.py OUT --run RUN [--run RUN ...] [--processes 10000] [--days 1] [--workers 8] [--engine duckdb]

Each RUN is a run folder of a leak. Its processes are stretched to a day with a census each minute, given noise and
restarts, and multiplied: three releases of which the second brought the leak of the first RUN, and one worker in
fifty that is unlike its peers, because a cache of it grows by 40 MB an hour. Prints what was written per process and
day, what the report took, and whether the planted release and workers were named.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute

from leakhunt.findings import ClassSeries, Finding, Findings, ProcessSummary, RunSummary
from leakhunt.fleet import columns
from leakhunt.fleet.place import Place
from leakhunt.fleet.tables import Origin, rows
from leakhunt.pipeline import hunt

DAY, HOUR = 86_400.0, 3600.0
START = 1_795_046_400.0  # midnight, UTC
RELEASES = ("2.3.0", "2.4.0", "2.4.1")
ODD_EVERY = 50
CACHE = "builtins.bytearray"
TEMPLATES = 12  # of each kind: what differs between two processes of a kind is noise


def stretched(
    recorded: ProcessSummary, chance: np.random.Generator, leaks: bool, is_odd: bool, leaky: str, looks: int
) -> ProcessSummary:
    """A day of a process like a recorded one: what leaked grows on, or stands still where it does not leak."""
    seconds = np.linspace(0, DAY - 60, looks)
    part = np.interp(seconds / seconds[-1], np.linspace(0, 1, len(recorded.seconds)), np.arange(len(recorded.seconds)))
    at = part.astype(int)
    classes, grown = [], np.zeros(looks)
    for one in recorded.classes:
        if len(one.counts) != len(recorded.seconds):
            continue
        counts, sizes = np.array(one.counts)[at].astype(float), np.array(one.bytes)[at].astype(float)
        if one.type == leaky and not leaks:
            counts, sizes = np.full(looks, counts[0]), np.full(looks, sizes[0])
        noise = chance.normal(1, 0.002, looks)
        classes.append(ClassSeries(one.type, tuple((counts * noise).astype(int)), tuple((sizes * noise).astype(int))))
        grown += sizes - sizes[0] if one.type != leaky or leaks else 0
    if is_odd:
        cache = 2e6 + 40e6 * seconds / HOUR
        classes = [c for c in classes if c.type != CACHE]
        classes.append(ClassSeries(CACHE, (100,) * looks, tuple(cache.astype(int))))
        grown += cache
    rss = np.mean(recorded.rss_bytes) + grown + (4e6 * seconds / HOUR if leaks else 0) + chance.normal(0, 3e5, looks)
    objects = np.array(recorded.gc_objects)[at] * chance.normal(1, 0.002, looks)
    return replace(
        recorded, seconds=tuple(seconds), rss_bytes=tuple(rss.astype(int)), gc_objects=tuple(objects.astype(int)),
        classes=tuple(classes), quieter=(), findings=(1,) if leaks else (),
    )  # fmt: skip


def fill(args: argparse.Namespace, place: Place) -> tuple[int, set[tuple[str, str]], Finding]:
    """Write the fleet; (bytes written, the odd workers, the leak)."""
    chance, dice = np.random.default_rng(1), random.Random(1)
    runs = [hunt(run) for run in args.run]
    leak = replace(runs[0].findings[0], rank=1)
    looks = 1440
    kinds: dict[tuple[bool, bool], list[ProcessSummary]] = {}
    for leaks in (False, True):
        for is_odd in (False, True):
            kinds[leaks, is_odd] = [
                stretched(runs[k % len(runs)].processes[0], chance, leaks, is_odd, leak.type, looks)
                for k in range(TEMPLATES)
            ]
    # The rows of a process are made once for each template: what is measured is writing and asking.
    made = {kind: [day_of(p, leak) for p in people] for kind, people in kinds.items()}
    odd, written = set(), 0
    hosts = args.processes // args.workers
    for host in range(hosts):
        release = RELEASES[host % len(RELEASES)]
        for day in range(args.days):
            people = []
            for worker in range(args.workers):
                is_odd = (host * args.workers + worker) % ODD_EVERY == 7
                if is_odd:
                    odd.add((f"host{host}", f"pid-{100 + worker}.0"))
                template = dice.choice(made[release != RELEASES[0], is_odd])
                late = RELEASES.index(release) * HOUR + dice.random() * 5  # one release an hour after the other
                people.append((f"pid-{100 + worker}.0", late, template))
            origin = Origin(f"host{host}-{day}", "shop", release, f"host{host}", [])
            for table in columns.TABLES:
                parts = [
                    shifted(template[table], origin.run, name, (day * DAY + late) * 1e6)
                    for name, late, template in people
                ]
                day_name = time.strftime("%Y-%m-%d", time.gmtime(START + day * DAY))
                written += place.write_table(table, pyarrow.concat_tables(parts), origin, day_name)
        if host % 100 == 0:
            print(f"{host} of {hosts} hosts written", file=sys.stderr, flush=True)
    return written, odd, leak


def day_of(process: ProcessSummary, leak: Finding) -> dict[str, pyarrow.Table]:
    """A process's day as the rows of every table."""
    found = replace(leak, pids=(process.pid,), growth=replace(leak.growth, bytes_per_minute=4e6 / 60))
    findings = Findings(
        RunSummary(("python", "app.py"), DAY, 1440, process.python), "leak" if process.findings else "healthy",
        findings=(found,) if process.findings else (), processes=(process,),
    )  # fmt: skip
    (tables,) = rows(findings, Origin("r", "s", "v", "h", [("pid", START)])).values()
    return {
        name: pyarrow.Table.from_pylist(tables.get(name, []), columns.schema(name, pyarrow)) for name in columns.TABLES
    }


def shifted(table: pyarrow.Table, run: str, process: str, later: float) -> pyarrow.Table:
    """A template's rows as those of another process, at other moments."""
    for name, value in (("run", run), ("process", process)):
        same = pyarrow.array([value] * table.num_rows, pyarrow.string())
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), same)
    for name in ("at", "started"):
        if name in table.column_names:
            number = table.schema.get_field_index(name)
            moved = pyarrow.compute.add(table.column(name).cast(pyarrow.int64()), int(later))
            table = table.set_column(number, table.schema.field(name), moved.cast(table.schema.field(name).type))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=Path, action="append", required=True, help="a recorded run of a leak")
    parser.add_argument("--processes", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--workers", type=int, default=8, help="processes of one run")
    parser.add_argument("--engine", default="duckdb")
    parser.add_argument(
        "--keep", action="store_true", help="ask the fleet that is in OUT already; says the memory, too"
    )
    args = parser.parse_args()
    told = args.out.with_suffix(".planted.json")
    if not args.keep:
        shutil.rmtree(args.out, ignore_errors=True)
        begun = time.monotonic()
        written, odd, leak = fill(args, Place(str(args.out)))
        told.write_text(json.dumps({
            "odd": sorted(odd), "leak": leak.fingerprint, "bytes": written,
            "seconds": time.monotonic() - begun, "per_process_and_day": written / args.processes / args.days,
        }))  # fmt: skip
    planted = json.loads(told.read_text())
    begun = time.monotonic()
    command = [sys.executable, "-m", "leakhunt", "fleet", str(args.out), "--format", "json", "--engine", args.engine]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"})
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 if args.keep else 0  # what this one had counts
    found = json.loads(done.stdout)
    named = {(one["host"], one["process"]) for one in found["odd"]}
    wanted = {tuple(one) for one in planted["odd"]}
    files = sum(1 for _ in args.out.rglob("*.parquet"))
    print(
        f"processes {found['processes']:,}, days {args.days}, files {files:,}, "
        f"written {planted['bytes'] / 1e6:,.0f} MB: {planted['per_process_and_day'] / 1e3:,.0f} kB per process and day"
    )
    for table in columns.TABLES:
        size = sum(file.stat().st_size for file in (args.out / table).rglob("*.parquet"))
        print(f"  {table:10} {size / args.processes / args.days / 1e3:8.1f} kB per process and day")
    leak = next((one for one in found["findings"] if one["fingerprint"] == planted["leak"]), None)
    print(f"report by {args.engine}: {seconds:.1f} s" + (f", {peak / 1e6:,.0f} MB" if peak else ""))
    print(
        f"leak since {leak['since_release'] if leak else 'not named'} (planted: {RELEASES[1]}), "
        f"in {leak['processes'] if leak else 0:,} processes"
    )
    print(f"odd workers named {len(named & wanted)} of {len(wanted)}, wrongly {len(named - wanted)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
