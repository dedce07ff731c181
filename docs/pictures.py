"""Make the README's pictures and its report anew, by the commands that the README names.

    python docs/pictures.py

Writes growth.png, backrefs.png and live.svg beside this file, and prints the report on stderr.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
APP = "sample_apps/event_listeners.py"
LEAKED = "__main__.LiveView"
# So that `python` is this one, and is called that in the pictures.
ENVIRONMENT = {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}


def leakhunt(*arguments: str | Path, **environment: str) -> None:
    command = [sys.executable, "-m", "leakhunt", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=HERE.parent, env={**ENVIRONMENT, **environment})


def live_view(run: Path) -> None:
    """Run the app once more, and draw the terminal view meanwhile."""
    watched = [sys.executable, "-m", "leakhunt", "run", "-q", "--interval", "0.5", "--out", run, "--", "python", APP]
    environment = {**ENVIRONMENT, "ROUNDS": "60"}
    with subprocess.Popen(watched, cwd=HERE.parent, env=environment, stdout=subprocess.DEVNULL):
        while not (run / "run.json").exists():
            time.sleep(0.1)
        (HERE / "live.svg").write_text(asyncio.run(screenshot(run)))


async def screenshot(run: Path) -> str:
    """The view of a run that goes on, a while after a mark was set."""
    from leakhunt.tui.app import LiveView
    from leakhunt.tui.follow import WatchedRun

    view = LiveView(WatchedRun(run))
    async with view.run_test(size=(104, 24)) as pilot:
        await asyncio.sleep(6)
        await pilot.press("m")
        await asyncio.sleep(5)
        return view.export_screenshot(title="leakhunt live run1")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run1")
        leakhunt("run", "--interval", "0.5", "--out", run, "--", "python", APP, COLUMNS="110")
        leakhunt("plot", run, "-o", HERE / "growth.png")
        leakhunt("backrefs", run, "--type", LEAKED, "-o", HERE / "backrefs.png")
        live_view(Path(folder, "run2"))


if __name__ == "__main__":
    main()
