"""Lets one tool look twice at the program that starts with this folder on PYTHONPATH.

A thread waits for the files `first` and `second` in the folder AGAINST_FOLDER, and has the tool named in AGAINST_TOOL
look at each; `<pid>.json` there tells what came of it. The looks run in the program's main thread, by a signal, as if
the program had called the tool: from another thread guppy3 does not see what is held by the main thread's locals. It
starts anew in each forked child. Python 3.8 syntax, for the oldest program.
"""

import json
import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
POLL_SECONDS = 0.02
LOOK_NOW = signal.SIGRTMIN + 7  # one that programs leave alone


def load(tool):
    """The tool's two looks, with its packages on sys.path only while they are imported."""
    lent = [HERE, os.environ["AGAINST_PACKAGES"]]
    sys.path[:0] = lent
    try:
        import looks

        return looks.LOOKS[tool]()
    finally:
        sys.path[:] = [entry for entry in sys.path if entry not in lent]


class Looks:
    """What the tool found, in this process."""

    def __init__(self, tool):
        self.tool = tool
        self.taken = 0
        self.found = {"tables": [], "holder": [], "stops": [], "holder_stops": []}

    def watch(self):
        for number, moment in enumerate(("first", "second"), 1):
            path = os.path.join(os.environ["AGAINST_FOLDER"], moment)
            while not os.path.exists(path):
                time.sleep(POLL_SECONDS)
            signal.pthread_kill(threading.main_thread().ident, LOOK_NOW)
            while self.taken < number:
                time.sleep(POLL_SECONDS)

    def look(self):
        try:
            if self.taken:
                self._second()
            else:
                self.tool.prepare()
                self._timed(self.tool.first, "stops")
        except Exception as error:
            self.found["error"] = f"{type(error).__name__}: {error}"
            self._write()
        self.taken += 1

    def _second(self):
        self._timed(self.tool.second, "stops")
        begun = time.thread_time()
        self.found["tables"] = self.tool.tables()
        self.found["listing_cpu_seconds"] = time.thread_time() - begun
        self._write()
        if any(self.found["tables"]):
            self.found["holder"] = self._timed(self.tool.holder, "holder_stops")
        self._write()

    def _timed(self, step, kind):
        begun = time.perf_counter()
        result = step()
        self.found[kind].append(round(time.perf_counter() - begun, 4))
        return result

    def _write(self):
        """Whole or absent, for a child of a pool may be ended at any moment."""
        path = os.path.join(os.environ["AGAINST_FOLDER"], f"{os.getpid()}.json")
        with open(path + ".new", "w") as file:
            json.dump(self.found, file)
        os.replace(path + ".new", path)


def start():
    looks = Looks(TOOL)
    signal.signal(LOOK_NOW, lambda number, frame: looks.look())
    threading.Thread(target=looks.watch, name="against-others", daemon=True).start()


if os.environ.get("AGAINST_TOOL"):
    TOOL = load(os.environ["AGAINST_TOOL"])
    os.register_at_fork(after_in_child=start)  # after the hook of `threading`, which is imported already
    start()
sys.path[:] = [entry for entry in sys.path if entry != HERE]
