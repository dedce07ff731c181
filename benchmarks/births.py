"""Does a finding name the line that makes what leaks, and the line that keeps it?

    python benchmarks/births.py --leakbench DIR --leakhunt .venv/bin/leakhunt --python 3.13 --keep RUNS
    python benchmarks/births.py --leakbench DIR --cases MUTANTS --keep RUNS

Every leak of LeakBench whose lines are in `births_truth.toml` (judged by hand from the source: file and function), and
every generated case, whose lines `births_oracle.py` finds with tracemalloc and sys.settrace (file and line). A case
runs once under `leakhunt run`; a run that is in RUNS already is only judged again. The first finding counts, and only
cases where it has a holder.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
ORACLE_ROUNDS, ORACLE_SLEEP = "5", "0.01"
MAPPINGS = ("dict", "OrderedDict", "defaultdict", "Counter", "WeakValueDictionary", "WeakKeyDictionary")


def main() -> None:
    options = arguments()
    bench = leakbench(options.leakbench)
    bench.FORCED_VERSION = options.python
    lines = tomllib.loads((HERE / "births_truth.toml").read_text())
    folders = options.cases or [options.leakbench / "cases"]
    cases = [path.parent for folder in folders for path in sorted(folder.glob("*/case.toml"))]
    chosen = [c for c in cases if options.k in c.name and is_asked(c, lines, options.python)]
    options.leakhunt = absolute(options.leakhunt)
    options.keep = options.keep.absolute()
    options.keep.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(lambda case: judged(case, bench, lines, options), chosen))
    shown = [row for row in rows if row]
    tell("made at", [row["made"] for row in shown])
    tell("put in at, all", [row["added"] for row in shown])
    tell("put in at, dict or attribute", [row["added"] for row in shown if row["is_mapping"]])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leakbench", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cases", type=Path, action="append", help="generated cases instead of LeakBench's own")
    parser.add_argument("--leakhunt", default="leakhunt")
    parser.add_argument("--births", default="auto", help="as of leakhunt run")
    parser.add_argument("--python", default="", metavar="3.X", help="only the cases that run on this version, on it")
    parser.add_argument("--rounds", default="", help="of the program, where another number than LeakBench's is wanted")
    parser.add_argument("--keep", type=Path, required=True, metavar="RUNS", help="run folders, by the case's name")
    parser.add_argument("-k", default="", help="only the cases whose name holds this")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    return parser.parse_args()


def absolute(command: str) -> str:
    """A command that works from any folder."""
    first, *rest = command.split()
    return " ".join([str(Path(first).absolute()) if "/" in first else first, *rest])


def leakbench(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("leakbench", folder / "leakbench.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["leakbench"] = module
    spec.loader.exec_module(module)
    return module


def is_asked(case: Path, lines: dict[str, Any], version: str) -> bool:
    truth = tomllib.loads((case / "case.toml").read_text())
    fits = not version or (version == truth.get("python") or version in (truth.get("python") or []))
    return truth["kind"] == "leak" and fits and ("probe" in truth or case.name in lines)


def judged(case: Path, bench: ModuleType, lines: dict[str, Any], options: argparse.Namespace) -> dict[str, Any] | None:
    truth = tomllib.loads((case / "case.toml").read_text())
    leakhunt = options.leakhunt.split()
    run = options.keep / f"{case.name}-leaky" / "run"
    with bench.BUILDING:
        python = bench.environment(case, truth, "leaky", Path.home() / ".cache" / "leakbench")
    if not run.exists():
        work = run.parent / "work" / case.name
        bench.build(case, work, python)
        launched(leakhunt, run, python, work, bench, options)
    shown = subprocess.run(
        [*leakhunt, "report", str(run), "--format", "json"], check=False, capture_output=True, text=True
    )
    findings = json.loads(shown.stdout)["findings"] if shown.returncode == 0 else []
    if not findings:
        print(f"     {case.name:36} no finding", flush=True)
        return None
    finding = findings[0]
    if finding["holder"] is None:
        return None
    known = lines.get(case.name) or by_oracle(case, truth, python, run.parent, finding)
    made, added = (is_right(finding.get(key), known.get(what)) for key, what in KEYS)
    marks = {True: "ok", False: "MISS", None: "-"}
    text = (
        f"made {marks[made]:4} added {marks[added]:4} {case.name:36} {finding['type']} in {finding['holder']['owner']}"
    )
    for (key, what), right in zip(KEYS, (made, added), strict=True):
        if right is False:
            text += f"\n       {what}: {spelled(finding.get(key))}, not {known[what][:2]}; {finding.get('unseen')}"
    is_mapping = finding["holder"]["type"].rpartition(".")[2] in MAPPINGS
    print(text, flush=True)
    return {"made": made, "added": added, "is_mapping": is_mapping}


KEYS = (("allocated_at", "made_at"), ("added_at", "added_at"))


def launched(
    leakhunt: list[str], run: Path, python: str, work: Path, bench: ModuleType, given: argparse.Namespace
) -> None:
    env = {
        **os.environ,
        "LEAK_ROUNDS": given.rounds or bench.ROUNDS,
        "LEAK_SLEEP": bench.SLEEP,
        "PYTHONUNBUFFERED": "1",
    }
    options = ["--interval", bench.INTERVAL, "--births", given.births, "--out", str(run)]
    command = [*leakhunt, "run", *options, "--", python, "app.py"]
    subprocess.run(command, check=False, cwd=work, env=env, capture_output=True, text=True, timeout=240)


def by_oracle(case: Path, truth: dict[str, Any], python: str, folder: Path, finding: dict[str, Any]) -> dict[str, Any]:
    """The lines that the oracle found: [file, line or function], the most frequent first; kept beside the run."""
    kept = folder / "oracle.json"
    classes = {*truth["culprit_classes"], finding["type"]}
    if not kept.exists() or finding["type"] not in json.loads(kept.read_text()).get("asked", []):
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "out"
            env = {**os.environ, "LEAK_ROUNDS": ORACLE_ROUNDS, "LEAK_SLEEP": ORACLE_SLEEP}
            oracle = [python, str(HERE / "births_oracle.py"), str(case / "app.py"), ",".join(classes)]
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [*oracle, truth["probe"], str(out)], check=False, env=env, capture_output=True, timeout=120
                )
            found = json.loads(out.read_text()) if out.exists() else {"made": {}, "added": []}
        kept.write_text(json.dumps({**found, "asked": sorted(classes)}))
    found = json.loads(kept.read_text())
    made = [[file, line] for file, line, _, count in found["made"].get(finding["type"], [])[:1]]
    return {"made_at": made, "added_at": [[file, line] for file, line, _, count in found["added"][:1]]}


def is_right(origin: dict[str, Any] | None, right: list[list[Any]] | None) -> bool | None:
    """Whether it is one of the places (file, and line or function); None where none is known."""
    if not right:
        return None
    return origin is not None and any(is_same(origin, file, where) for file, where in right)


def is_same(origin: dict[str, Any], file: str, where: str | int) -> bool:
    if Path(origin["file"]).name != Path(file).name:
        return False
    return origin["line"] == where if isinstance(where, int) else origin["function"].split(".")[-1] == where


def spelled(origin: dict[str, Any] | None) -> str:
    return f"{origin['file']}:{origin['line']} in {origin['function']}" if origin else "not told"


def tell(what: str, marks: list[bool | None]) -> None:
    known = [mark for mark in marks if mark is not None]
    share = f" ({sum(known) / len(known):.0%})" if known else ""
    print(f"{what:30} {sum(known)}/{len(known)}{share}")


if __name__ == "__main__":
    main()
