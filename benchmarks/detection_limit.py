"""How slow a leak is found, and how soon: `python benchmarks/detection_limit.py record`, then `… analyse`.

`record` runs `busy_service.py` under `leakhunt run`, at its defaults: once for each rate of the leak, and some times
without one. `analyse` replays the runs: it cuts each after its deep snapshots as if it had been stopped there, hunts,
and notes when the right holder was first named with confidence 0.9, and who else was ever accused. It writes
`detection_limit.json`, `.md` and `.png` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SERVICE = HERE / "busy_service.py"
HOLDER = "Feed.subscribers"
SURE = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["record", "analyse", "draw"])
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "leakhunt-detection-limit")
    parser.add_argument("--rates", type=float, nargs="*", default=[1, 10, 100, 1000, 10000], help="leaked per minute")
    parser.add_argument("--healthy", type=int, default=20, help="runs without a leak")
    parser.add_argument("--objects", type=int, default=1_000_000, help="live objects")
    parser.add_argument("--seconds", type=float, default=660.0, help="of each run")
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side")
    parser.add_argument("--every", type=int, default=1, help="cut at every n-th deep snapshot only, and at the end")
    parser.add_argument("--only", nargs="*", help="names of runs to analyse, in this order (default: all)")
    options = parser.parse_args()
    if options.what == "record":
        record(options)
        return
    if options.what == "analyse":
        analyse(options)
    draw()


def record(options: argparse.Namespace) -> None:
    """Record what is missing of the runs; each leaves a folder named by its rate, and a number."""
    names = [f"{rate:g}-0" for rate in options.rates] + [f"0-{number}" for number in range(options.healthy)]
    options.runs.mkdir(parents=True, exist_ok=True)
    waiting = [name for name in names if not (options.runs / name).exists()]
    while waiting:
        batch, waiting = waiting[: options.at_once], waiting[options.at_once :]
        for process in [_start(options, name) for name in batch]:
            process.wait()
        print("recorded", *batch, flush=True)


def _start(options: argparse.Namespace, name: str) -> subprocess.Popen[bytes]:
    rate = name.partition("-")[0]
    environment = {
        **os.environ,
        "LIVE_OBJECTS": str(options.objects),
        "LEAK_PER_MINUTE": rate,
        "DURATION_SECONDS": str(options.seconds),
    }
    command = [sys.executable, "-m", "leakhunt", "run", "-q", "--out", str(options.runs / name), "--"]
    return subprocess.Popen([*command, sys.executable, str(SERVICE)], env=environment)


def analyse(options: argparse.Namespace) -> None:
    """Replay every run in the folder that is over, and keep what came of it in `detection_limit.json`."""
    path = HERE / "detection_limit.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for run in [options.runs / name for name in options.only] if options.only else sorted(options.runs.iterdir()):
        if run.name in results or not json.loads((run / "run.json").read_text()).get("ended"):
            continue
        result = replay(run, options.every)
        results = json.loads(path.read_text()) if path.exists() else {}
        results[run.name] = result
        print(run.name, results[run.name], flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n")


def replay(run: Path, every: int) -> dict[str, Any]:
    """Hunt in the prefixes of a run that end with an `every`-th deep snapshot, and in the whole."""
    from leakhunt.pipeline import hunt
    from leakhunt.runfolder import read_run
    from leakhunt.snapshot import Snapshot

    process = read_run(run).processes[0]
    moments = [(Snapshot.load(path), path) for path in process.snapshots]
    facts = [(s.number("elapsed"), s.is_deep, path) for s, path in moments if s.meta.get("moment") != "exit"]
    last = moments[-1][0]
    result: dict[str, Any] = {
        "seconds": round(facts[-1][0], 1),
        "snapshots": len(facts),
        "deep": sum(deep for _, deep, _ in facts),
        "objects": max(sum(count for count, _ in s.census.values()) for s, _ in moments),
        "agent_seconds": round(last.number("spent_seconds"), 1),
        "found_at": None,
        "confidence": 0.0,
        "rank": None,
        "others": {},
        "cuts": [],
    }
    deep_seen = 0
    for number, (seconds, is_deep, _) in enumerate(facts, 1):
        deep_seen += is_deep
        if not (is_deep and deep_seen >= 3 and deep_seen % every == 0) and number != len(facts):
            continue
        with tempfile.TemporaryDirectory() as folder:
            findings = hunt(_prefix(run, process.path, [path for _, _, path in facts[:number]], Path(folder))).findings
        result["cuts"].append(round(seconds, 1))
        print(run.name, round(seconds, 1), [(f.holder and f.holder.owner, f.confidence) for f in findings], flush=True)
        for finding in findings:
            owner = finding.holder.owner if finding.holder else f"no holder: {finding.kind} of {finding.type}"
            if not owner.endswith(HOLDER):
                result["others"].setdefault(owner, []).append([round(seconds, 1), finding.confidence])
            elif finding.confidence >= SURE and result["found_at"] is None:
                result.update(found_at=round(seconds, 1), confidence=finding.confidence, rank=finding.rank)
    result["others_at_the_end"] = sorted(o for o, at in result["others"].items() if at[-1][0] == result["seconds"])
    return result


def _prefix(run: Path, process: Path, snapshots: list[Path], folder: Path) -> Path:
    """A run folder with the first snapshots only, by links."""
    shutil.copy(run / "run.json", folder)
    (folder / process.name).mkdir()
    shutil.copy(process / "process", folder / process.name)
    for path in snapshots:
        (folder / process.name / path.name).symlink_to(path.absolute())
    return folder


def draw() -> None:
    """The table and the plot of `detection_limit.json`."""
    results = json.loads((HERE / "detection_limit.json").read_text())
    leaking = sorted((float(name.partition("-")[0]), r) for name, r in results.items() if not name.startswith("0-"))
    healthy = [r for name, r in results.items() if name.startswith("0-")]
    (HERE / "detection_limit.md").write_text(table(leaking, healthy))
    plot(leaking)


def table(leaking: list[tuple[float, dict[str, Any]]], healthy: list[dict[str, Any]]) -> str:
    """The results in words, and nothing that was not run."""
    lines = [
        "# How slow a leak is found, and how soon",
        "",
        "Made by `detection_limit.py` from runs of `busy_service.py` under `leakhunt run` at its defaults; each run is",
        "cut at the moments given, each a deep snapshot, and hunted as if it had ended there. The right",
        f"holder is `{HOLDER}`.",
        "",
        "| leaked per minute | named with 0.9 after | rank | live objects | run | snapshots (deep) | agent's CPU "
        "| accused besides, ever | at the end | cut at (s) |",
        "|---:|---:|---:|---:|---:|---:|---:|---|---|---|",
    ]
    rows = [*leaking, *((0.0, r) for r in healthy)]
    for rate, r in rows:
        found = f"{r['found_at']:.0f} s" if r["found_at"] else ("not" if rate else "-")
        others = ", ".join(f"`{o}` ({at[0][0]:.0f}-{at[-1][0]:.0f} s)" for o, at in r["others"].items()) or "none"
        lines.append(
            f"| {rate:g} | {found} | {r['rank'] or '-'} | {r['objects']:,} | {r['seconds']:.0f} s "
            f"| {r['snapshots']} ({r['deep']}) | {r['agent_seconds']:.1f} s ({r['agent_seconds'] / r['seconds']:.1%}) "
            f"| {others} | {', '.join(r['others_at_the_end']) or 'none'} "
            f"| {', '.join(f'{cut:.0f}' for cut in r['cuts'])} |"
        )
    accused = sum(bool(r["others_at_the_end"]) for r in healthy)
    ever = sum(bool(r["others"]) for r in healthy)
    lines += ["", f"Healthy runs: {len(healthy)}; accused at the end: {accused}; at any moment before: {ever}.", ""]
    return "\n".join(lines)


def plot(leaking: list[tuple[float, dict[str, Any]]]) -> None:
    """Time to the name by rate of the leak; runs in which it was not found stand at their length, as open triangles."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    found = [(rate, r["found_at"]) for rate, r in leaking if r["found_at"]]
    missed = [(rate, r["seconds"]) for rate, r in leaking if not r["found_at"]]
    if found:
        axes.plot(*zip(*found, strict=True), "o-", color="#0072B2", label="right holder named with confidence 0.9")
    if missed:
        axes.plot(
            *zip(*missed, strict=True), "^", color="#D55E00", fillstyle="none", label="not named in the whole run"
        )
    axes.axhline(600, color="gray", linestyle="--", linewidth=1, label="goal at 10 a minute: 10 minutes")
    axes.set(xscale="log", xlabel="leaked objects per minute", ylabel="seconds of the run", ylim=(0, None))
    axes.set_title("A leak among a million live objects")
    axes.legend()
    figure.savefig(HERE / "detection_limit.png", dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
