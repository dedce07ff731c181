"""How much hangs on the exact value of a threshold, and whether a confidence means what it says.

    python benchmarks/robustness.py record LEAKBENCH RUNS [--cases DIR]... [--variant fixed]
    python benchmarks/robustness.py sweep RUNS...
    python benchmarks/robustness.py calibration LEAKBENCH RUNS...

`record` runs the cases of a LeakBench folder (its own, or those of other folders) under `leakhunt run` and keeps what
they leave: RUNS/CASE-VARIANT/run, and truth.toml beside it. `sweep` judges all kept runs again with each threshold of
`leakhunt.analysis.policy` moved by a quarter, up and down, and counts the runs of which the verdict, or the first
finding, is another: `robustness.md`. `calibration` compares the confidence of findings with how many of them are right:
`calibration.md` and `calibration.png`. Results are kept beside the runs (`sweep.json`), so that both may be stopped and
begun again.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MOVES = (0.75, 1.25)
GOAL = 0.02
SURE = 0.9
EDGES = (0.75, 0.8, 0.85, 0.9, 0.95, 1.01)

Outcome = list[Any]  # verdict, and kind, class and owner of the first finding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    recording = commands.add_parser("record", help="run the cases and keep their run folders")
    recording.add_argument("leakbench", type=Path, help="the folder with leakbench.py")
    recording.add_argument("runs", type=Path)
    recording.add_argument("--cases", type=Path, action="append", help="other folders of cases, as of mutants")
    recording.add_argument("--variant", choices=["leaky", "fixed"], default="leaky")
    sweeping = commands.add_parser("sweep", help="judge again with each threshold moved")
    sweeping.add_argument("runs", type=Path, nargs="+")
    sweeping.add_argument("--only", nargs="*", help="names of thresholds (default: all)")
    calibrating = commands.add_parser("calibration", help="how many findings of a confidence are right")
    calibrating.add_argument("leakbench", type=Path)
    calibrating.add_argument("runs", type=Path, nargs="+")
    for command in (recording, sweeping, calibrating):
        command.add_argument("-j", "--at-once", type=int, default=2)
    options = parser.parse_args()
    {"record": record, "sweep": sweep, "calibration": calibrate}[options.what](options)


# Recording


def record(options: argparse.Namespace) -> None:
    """Record what is missing of the cases."""
    bench = _leakbench(options.leakbench)
    folders = options.cases or [options.leakbench / "cases"]
    cases = [path.parent for folder in folders for path in sorted(folder.glob("*/case.toml"))]
    with ThreadPoolExecutor(options.at_once) as pool:
        for line in pool.map(lambda case: _record(bench, case, options.runs.absolute(), options.variant), cases):
            print(line, flush=True)


def _record(bench: Any, case: Path, runs: Path, variant: str) -> str:
    text = (case / "case.toml").read_text()
    truth, kept = tomllib.loads(text), runs / f"{case.name}-{variant}"
    if (kept / "truth.toml").exists():
        return f"{case.name}: kept from before"
    if variant == "fixed" and (truth["kind"] != "leak" or "fixed_still_grows" in truth):
        return f"{case.name}: has no repaired twin"
    cache = Path.home() / ".cache" / "leakbench"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / case.name
        try:
            with bench.BUILDING:
                python = bench.environment(case, truth, variant, cache)
            bench.build(case, work, python)
            program = "app_fixed.py" if variant == "fixed" and (case / "app_fixed.py").exists() else "app.py"
            bench.launched([sys.executable, "-m", "leakhunt"], work / "run", python, program, work)
        except (OSError, subprocess.SubprocessError) as problem:
            return f"{case.name}: {problem}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(work / "run", kept / "run")
    twin = text.replace('kind = "leak"', 'kind = "control"') if variant == "fixed" else text
    (kept / "truth.toml").write_text(twin)
    return f"{case.name}: recorded"


def _leakbench(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("leakbench", folder / "leakbench.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"There is no leakbench.py in {folder}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _kept(folders: list[Path]) -> list[Path]:
    return [path.parent for folder in folders for path in sorted(folder.glob("*/truth.toml"))]


# Judging again


def sweep(options: argparse.Namespace) -> None:
    """Judge every run by every policy, and write the table."""
    from leakhunt.analysis.policy import reasons

    names = options.only or list(reasons())
    runs = _kept(options.runs)
    with ProcessPoolExecutor(options.at_once) as pool:
        found = dict(zip(map(str, runs), pool.map(outcomes, runs, [names] * len(runs)), strict=True))
    (HERE / "robustness.md").write_text(table(found, names))
    print(table(found, names))


def outcomes(run: Path, names: list[str]) -> dict[str, Outcome]:
    """The outcome of a run by each policy: "" for the usual one, else the threshold's name and how it was moved.

    Graphs are read once, and what does not depend on a threshold is measured once.
    """
    from leakhunt.analysis.policy import POLICY, varied

    path = run / "sweep.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    policies = {f"{name} {move:g}": varied(POLICY, name, move) for name in names for move in MOVES}
    key = _key()
    if known.get("key") != key or not policies.keys() <= known.keys():
        seen = _evidence(run)
        known = {"key": key, **{name: _outcome(seen, policy) for name, policy in {"": POLICY, **policies}.items()}}
        path.write_text(json.dumps(known))
        del seen
        gc.collect()
    return known


def _key() -> str:
    """Changes with every change of the analysis."""
    import hashlib

    import leakhunt.analysis

    files = sorted(Path(leakhunt.analysis.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _evidence(run: Path) -> list[Any]:
    from leakhunt.pipeline import evidence_of
    from leakhunt.runfolder import read_run

    found = (evidence_of(process) for process in read_run(run / "run").processes)
    return [evidence for evidence in found if evidence is not None]


def _outcome(seen: list[Any], policy: Any) -> Outcome:
    from leakhunt.analysis.report import to_findings
    from leakhunt.analysis.report.judgement import Judgement, rank

    judged = [Judgement(evidence.with_policy(policy)) for evidence in seen]
    accused = [
        (rank(v.confidence, to_findings.retained_bytes(one.evidence, v), policy), v.kind, v.type, v.owner, v.confidence)
        for one in judged
        for v in one.accused
    ]
    if accused:
        return ["leak", *map(list, sorted(accused, key=lambda row: row[0]))]
    is_healthy = any(one.is_enough for one in judged) and not any(one.watched for one in judged)
    return ["healthy" if is_healthy else "inconclusive"]


def first(outcome: Outcome) -> list[Any]:
    """What a person reads first: the verdict, and kind, class and owner of the first finding."""
    return [outcome[0], *(outcome[1][1:4] if len(outcome) > 1 else [])]


def table(found: dict[str, dict[str, Outcome]], names: list[str]) -> str:
    """Of each threshold, how many verdicts change when it is moved by a quarter, the most first."""
    from leakhunt.analysis.policy import POLICY, reasons

    rows = []
    for name in names:
        changed = [
            {run for run, by in found.items() if first(by[f"{name} {move:g}"]) != first(by[""])} for move in MOVES
        ]
        rows.append((len(changed[0] | changed[1]), name, [len(c) for c in changed], changed[0] | changed[1]))
    rows.sort(key=lambda row: (-row[0], row[1]))
    total = len(found)
    worst = rows[0][0] / total if rows and total else 0.0
    lines = [
        "# What hangs on each threshold",
        "",
        f"Made by `robustness.py sweep` from {total} kept runs: each judged again with one threshold moved by a",
        "quarter, down and up. A run counts where its verdict, or kind, class or holder of its first finding, is",
        "another then; of a share above a half, what is missing of the whole is moved. The most that hangs on one",
        f"threshold: {worst:.1%} (goal: {GOAL:.0%} at most).",
        "",
        "| threshold | value | down | up | either | of all | why it is what it is | which |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for either, name, (down, up), runs in rows:
        which = ", ".join(sorted(Path(run).name for run in runs)[:4]) + (", …" if len(runs) > 4 else "")
        share = either / total if total else 0.0
        lines.append(
            f"| `{name}` | {getattr(POLICY, name):g} | {down} | {up} | {either} | {share:.1%} "
            f"| {reasons()[name]} | {which} |"
        )
    return "\n".join([*lines, ""])


# Calibration


def calibrate(options: argparse.Namespace) -> None:
    """Compare what findings are said to be with what they are, over runs of which the truth is known."""
    bench, runs = _leakbench(options.leakbench), _kept(options.runs)
    with ThreadPoolExecutor(options.at_once) as pool:
        told = list(pool.map(_told, runs))
    every = [row for run, findings in zip(runs, told, strict=True) for row in _graded(bench, run, findings)]
    (HERE / "calibration.md").write_text(calibration_table(every, len(runs)))
    plot(every)
    print(calibration_table(every, len(runs)))


def _told(run: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "leakhunt", "report", str(run / "run"), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return list(json.loads(done.stdout)["findings"]) if done.stdout.startswith("{") else []


def _graded(bench: Any, run: Path, findings: list[dict[str, Any]]) -> list[tuple[float, bool, bool]]:
    """(confidence, right, first) of each finding. Of a healthy program every finding is wrong."""
    truth = tomllib.loads((run / "truth.toml").read_text())
    is_leak = truth["kind"] == "leak"
    return [
        (float(f["confidence"]), is_leak and bool(bench.score(truth, [f])["ok"]), number == 0)
        for number, f in enumerate(findings)
    ]


def calibration_table(rows: list[tuple[float, bool, bool]], runs: int) -> str:
    lines = [
        "# Whether a confidence means what it says",
        "",
        f"Made by `robustness.py calibration` from {runs} runs of which the truth is known. A finding is right where",
        "its kind, class and holder are those of the leak; in a healthy program none is.",
        "",
        "| confidence | first findings | right | all findings | right |",
        "|---|---:|---:|---:|---:|",
    ]
    spans = [(low, high, f"{low:.2f} to {min(high, 1.0):.2f}") for low, high in itertools.pairwise(EDGES)]
    for low, high, name in [*spans, (SURE, 2.0, f"{SURE:.2f} and more")]:
        within = [row for row in rows if low <= row[0] < high]
        lines.append(f"| {name} | {_share([r for r in within if r[2]])} | {_share(within)} |")
    return "\n".join([*lines, ""])


def _share(rows: list[tuple[float, bool, bool]]) -> str:
    return f"{len(rows)} | {sum(right for _, right, _ in rows) / len(rows):.1%}" if rows else "0 | -"


def plot(rows: list[tuple[float, bool, bool]]) -> None:
    """The share of first findings that is right, by their confidence; as many as were said so, as wide as its range."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 5), layout="constrained")
    axes.plot([0.7, 1], [0.7, 1], color="gray", linestyle="--", linewidth=1, label="as sure as right")
    for low, high in itertools.pairwise(EDGES):
        within = [row for row in rows if row[2] and low <= row[0] < high]
        if not within:
            continue
        sure, right = (sum(row[n] for row in within) / len(within) for n in (0, 1))
        axes.plot([sure], [right], "o", color="#0072B2")
        axes.annotate(f"{len(within)}", (sure, right), textcoords="offset points", xytext=(6, -10))
    axes.set(xlabel="confidence of the first finding", ylabel="share that is right", xlim=(0.7, 1.01), ylim=(0, 1.05))
    axes.set_title("Confidence and truth")
    axes.legend(loc="lower right")
    figure.savefig(HERE / "calibration.png", dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
