"""AddressSanitizer and UndefinedBehaviorSanitizer over both C libraries, under the tests of those who use them.

    python -m tests.hostile.sanitized [pytest's arguments]

Copies the project aside, builds `leakhunt/agent/_walk*.c` and `leakhunt/analysis/_kernels*.c` there with both sanitizers,
loads the address sanitizer into every process of the test run, and runs tests/agent, tests/analysis and the hostile
heaps. Any report of a sanitizer ends its process, so the test that caused it fails; the reports are printed last.
Takes half an hour; with `-n 2` on two cores about half of that. Needs gcc and its libasan.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FLAGS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         "-shared", "-fPIC", "-fvisibility=hidden", "-DPy_LIMITED_API=0x030b0000"]  # fmt: skip
LIBRARIES = {"leakhunt/agent": "_walk", "leakhunt/analysis": "_kernels"}
TESTS = [
    "tests/agent",
    "tests/analysis",
    "tests/hostile/test_hostile_heaps.py",
    "tests/hostile/test_subinterpreters.py",
]
# Timings, and what a preloaded library itself brings into a process: of those the sanitizer is no judge.
LEFT_OUT = ["test_a_child_that_runs_pass_costs_little_more"]


def build(copy: Path) -> None:
    """Both libraries, in the place of those that were copied."""
    include = sysconfig.get_path("include")
    for folder, name in LIBRARIES.items():
        sources = sorted(map(str, (copy / folder).glob(f"{name}*.c")))
        for old in (copy / folder).glob(f"{name}*.so"):
            old.unlink()
        target = copy / folder / f"{name}.abi3.so"
        subprocess.run(["gcc", *FLAGS, f"-I{include}", *sources, "-o", str(target)], check=True)


def environment(copy: Path, reports: Path) -> dict[str, str]:
    """Of the test run: the sanitizer first in every process; leaks are Python's own at its exit, and not looked for."""
    asan, ubsan = (
        subprocess.run(["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    )
    return {
        **os.environ,
        "LD_PRELOAD": f"{asan}:{ubsan}",
        "ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:log_path={reports}/asan",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={reports}/ubsan",
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def main(arguments: list[str]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="leakhunt-sanitized-"))
    copy, reports = folder / "project", folder / "reports"
    reports.mkdir()
    try:
        ignore = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "notebooks")
        shutil.copytree(PROJECT, copy, ignore=ignore)
        build(copy)
        chosen = [argument for argument in arguments if argument.startswith("tests/")] or TESTS
        others = [argument for argument in arguments if not argument.startswith("tests/")]
        left_out = [part for name in LEFT_OUT for part in ("--deselect", name)]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *left_out, *others, *chosen]
        status = subprocess.run(command, cwd=copy, env=environment(copy, reports), check=False).returncode
        found = sorted(reports.iterdir())
        for report in found:
            print(f"--- {report.name}\n{report.read_text(errors='replace')}")
        print(f"{len(found)} reports of a sanitizer; pytest ended with {status}")
        return 1 if found else status
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
