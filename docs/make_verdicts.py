"""Run every program of docs/verdicts/programs, and put source and report into the page of its verdict.

    python docs/make_verdicts.py [KIND...]

A page keeps its own words: only what stands between `<!-- name -->` and `<!-- end -->` is replaced.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

VERDICTS = Path(__file__).parent / "verdicts"


def main(kinds: list[str]) -> None:
    for page in sorted(VERDICTS.glob("*.md")):
        if not kinds or page.stem in kinds:
            page.write_text(re.sub(r"<!-- (\S+) -->\n.*?<!-- end -->", filled, page.read_text(), flags=re.DOTALL))
            print(page.name, flush=True)


def filled(match: re.Match[str]) -> str:
    """The program and what `leakhunt run` said of it."""
    name = match[1]
    source = (VERDICTS / "programs" / name).read_text()
    said = f"```console\n$ {command(name)}\n{report(name)}\n```"
    return f"<!-- {name} -->\n```python\n{source}```\n\n{said}\n<!-- end -->"


def command(name: str) -> str:
    return f"leakhunt run --interval 0.4 -- python {name}"


def report(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", *command(name).split()]
        words[4:4] = ["--out", f"{folder}/run1"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        programs = VERDICTS / "programs"
        environment = {**os.environ, "PATH": path, "COLUMNS": "100"}
        done = subprocess.run(words, cwd=programs, env=environment, capture_output=True, text=True, check=True)
        return done.stderr.replace(f"{folder}/", "").replace(f"{programs}/", "").strip()


if __name__ == "__main__":
    main(sys.argv[1:])
