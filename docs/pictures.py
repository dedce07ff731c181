"""Make the README's pictures and its report anew, by the commands that the README names.

    python docs/pictures.py

Writes growth.png and backrefs.png beside this file, and prints the report on stderr.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
APP = "sample_apps/event_listeners.py"
LEAKED = "__main__.LiveView"


def leakhunt(*arguments: str | Path, **environment: str) -> None:
    command = [sys.executable, "-m", "leakhunt", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=HERE.parent, env={**os.environ, **environment})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run1")
        leakhunt("run", "--interval", "0.5", "--out", run, "--", "python", APP, COLUMNS="110")
        leakhunt("plot", run, "-o", HERE / "growth.png")
        leakhunt("backrefs", run, "--type", LEAKED, "-o", HERE / "backrefs.png")


if __name__ == "__main__":
    main()
