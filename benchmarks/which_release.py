"""Does `leakhunt bisect` find the release that fixed (or brought) the leak of each case with two versions?

    which_release.py BENCH [-k X] [--out DIR] [--leakhunt CMD]      BENCH: the folder with leakbench.py and cases/

A case has two versions of a package; the range that is searched is from the one to the other, and wider where that has
fewer than four releases. What to expect comes from `which_release.toml` beside this file: the release that the
issue named by the case says, or the changelog. Prints one row of a table per case.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).with_name("which_release.toml")


def bench(folder: Path) -> Any:
    """leakbench.py as a module."""
    spec = importlib.util.spec_from_file_location("leakbench", folder / "leakbench.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def searched(case: Path, wanted: dict[str, Any], made: Any, leakhunt: list[str], out: Path) -> dict[str, Any]:
    """Run one search; the JSON of its answer, or {"error": …}, with the seconds that it took."""
    truth = tomllib.loads((case / "case.toml").read_text())
    python = made.environment(case, truth, wanted.get("environment", "leaky"), Path.home() / ".cache" / "leakbench")
    answer = out / f"{case.name}.json"
    with tempfile.TemporaryDirectory(prefix="bisect-") as scratch:
        work = Path(scratch) / case.name
        made.build(case, work, python)
        environment = {**os.environ, "LEAK_ROUNDS": made.ROUNDS, "LEAK_SLEEP": made.SLEEP, "PYTHONUNBUFFERED": "1"}
        command = [*leakhunt, "bisect", "--package", wanted["package"], "--out", str(out / case.name)]
        command += ["--format", "json", "-o", str(answer), "--", python, "app.py"]
        begun = time.monotonic()
        done = subprocess.run(command, cwd=work, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        (out / f"{case.name}.log").write_text(done.stderr)
        seconds = time.monotonic() - begun
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1], "seconds": seconds}
    return {**json.loads(answer.read_text()), "seconds": seconds}


def row(name: str, wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """| case | range | expected | answer | certain | runs |"""
    if "error" in found:
        return (
            f"| {name} | `{wanted['package']}` | {wanted['change']} | {found['error']} | | | {found['seconds']:.0f} |"
        )
    is_right = found["after"] == wanted["change"] and not found["between"]
    mark = "right" if is_right else "WRONG"
    said = "certain" if found["is_certain"] else "probable"
    return (
        f"| {name} | `{wanted['package']}` | {wanted['change']} | {found['sentence']} ({mark}) | {said} "
        f"| {len(found['trials'])} of {found['untried'] + len({t['release'] for t in found['trials']})} "
        f"| {found['seconds']:.0f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("-k", default="", help="only the cases whose name holds this")
    parser.add_argument("--out", type=Path, default=Path("bisect-results"))
    parser.add_argument("--leakhunt", default=f"{sys.executable} -m leakhunt")
    parser.add_argument("--again", action="store_true", help="search again what is there already")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    made, is_fine = bench(args.bench), True
    print("| case | range | changed in | answer | | runs of releases | s |\n|---|---|---|---|---|---|---|")
    for name, wanted in tomllib.loads(EXPECTED.read_text()).items():
        if args.k in name:
            if args.again:
                shutil.rmtree(args.out / name, ignore_errors=True)
            found = searched(args.bench / "cases" / name, wanted, made, args.leakhunt.split(), args.out.absolute())
            print(row(name, wanted, found), flush=True)
            is_fine = is_fine and "error" not in found and "WRONG" not in row(name, wanted, found)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
