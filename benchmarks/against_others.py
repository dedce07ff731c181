"""What objgraph, tracemalloc, guppy3 and Pympler say of the programs of LeakBench, beside leakhunt.

    python benchmarks/against_others.py --leakbench DIR                    some 25 minutes
    python benchmarks/against_others.py --leakbench DIR -k aiohttp --json some.json

DIR holds leakbench.py and its cases. Every case runs once alone and once under each tool: objgraph, tracemalloc,
guppy3 and Pympler look twice, after a third of the run and near its end, in the program's main thread. What counts as
a hit, for all the same: a class of the case's truth as the first name, or among the first three, that the tool lists
as growing (tracemalloc: a line in the right file); the holder named; nothing listed for a healthy program. The
processor time that the tool adds and how long it stops the program are noted beside. `against/method.md`, which heads
the table, says it in full.

Environments and packages are cached under ~/.cache, the packages in a folder for each version of Python. Prints the
table, and writes it to `against_others.md` when all cases were chosen.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from against.running import Bench, run
from against.scoring import Score, score_leakhunt, score_look
from against.table import MADE_FOR, Results, Table, Truths

HERE = Path(__file__).parent


def main() -> None:
    options = arguments()
    bench = Bench.of(options.leakbench, absolute(options.leakhunt.split()), Path.home() / ".cache")
    cases = {path.parent.name: path.parent for path in sorted(options.leakbench.glob("cases/*/case.toml"))}
    chosen = {name: case for name, case in cases.items() if options.k in name}
    truths = {name: tomllib.loads((case / "case.toml").read_text()) for name, case in chosen.items()}
    kept: Results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    results = run_missing(bench, chosen, truths, kept, options.jobs)
    if options.json:
        options.json.write_text(json.dumps({**kept, **results}, indent=1) + "\n")
    scores = score_all(truths, results, bench.leakbench)
    table = Table(truths, results, scores, list(MADE_FOR)).markdown(bench.leakbench.ROUNDS, bench.versions())
    print(table)
    if len(chosen) == len(cases):
        (HERE / "against_others.md").write_text(table)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leakbench", type=Path, required=True, metavar="DIR")
    parser.add_argument("--leakhunt", default="leakhunt", help="the command under test (may hold spaces)")
    parser.add_argument("-k", default="", help="only the cases whose name holds this")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="cases side by side (they mostly sleep)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all here, and run what is not there yet")
    return parser.parse_args()


def absolute(command: list[str]) -> list[str]:
    """The cases run in folders of their own."""
    return [str(Path(command[0]).absolute()) if "/" in command[0] else command[0], *command[1:]]


def run_missing(bench: Bench, cases: dict[str, Path], truths: Truths, kept: Results, jobs: int) -> Results:
    """What came of each case, alone and under each tool, now or earlier; a line is printed for each run."""

    def attempt(job: tuple[str, str]) -> dict[str, Any]:
        name, tool = job
        result = run(bench, tool, cases[name], truths[name])
        print(f"{name:30} {tool:12} {result.get('error', 'ran')}", flush=True)
        return result

    results: Results = {name: dict(kept.get(name, {})) for name in cases}
    todo = [(name, tool) for name in cases for tool in ["alone", *MADE_FOR] if tool not in results[name]]
    with ThreadPoolExecutor(jobs) as pool:
        for (name, tool), result in zip(todo, pool.map(attempt, todo), strict=True):
            results[name][tool] = result
    return results


def score_all(truths: Truths, results: Results, leakbench: ModuleType) -> dict[str, dict[str, Score]]:
    """By case and tool; a run that failed has no score."""
    scores: dict[str, dict[str, Score]] = {name: {} for name in truths}
    for name, by_tool in results.items():
        for tool in MADE_FOR:
            if "error" not in by_tool[tool]:
                scores[name][tool] = score(truths[name], by_tool[tool], tool, leakbench)
    return scores


def score(truth: dict[str, Any], result: dict[str, Any], tool: str, leakbench: ModuleType) -> Score:
    return score_leakhunt(truth, result, leakbench) if tool == "leakhunt" else score_look(truth, result, tool)


if __name__ == "__main__":
    main()
