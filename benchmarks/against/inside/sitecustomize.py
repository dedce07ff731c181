"""Lets one tool look twice at the program that starts with this folder on PYTHONPATH.

A thread waits for the files `first` and `second` in the folder AGAINST_FOLDER, has the tool named in AGAINST_TOOL look
at each, and writes `<pid>.json` there. It starts anew in each forked child. While a tool looks, the program stands
still, as it does where a person calls the tool in the program's own thread. Python 3.8 syntax, for the oldest program.
"""

import json
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
POLL_SECONDS = 0.02
STANDSTILL_SECONDS = 600.0  # no other thread gets the GIL sooner, unless the looking one waits


def load(tool):
    """The tool's two looks, with its packages on sys.path only while they are imported."""
    lent = [HERE, os.environ["AGAINST_PACKAGES"]]
    sys.path[:0] = lent
    try:
        import looks

        return looks.LOOKS[tool]()
    finally:
        sys.path[:] = [entry for entry in sys.path if entry not in lent]


def wait_for(name):
    """Whether the file comes before the program's main thread ends."""
    path = os.path.join(os.environ["AGAINST_FOLDER"], name)
    while not os.path.exists(path):
        if not threading.main_thread().is_alive():
            return False
        time.sleep(POLL_SECONDS)
    return True


def timed(look, stops):
    """What the look returns; its wall seconds go to `stops`."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(STANDSTILL_SECONDS)
    begun = time.perf_counter()
    try:
        return look()
    finally:
        stops.append(round(time.perf_counter() - begun, 4))
        sys.setswitchinterval(interval)


def write(found):
    """Whole or absent, for a child of a pool may be ended at any moment."""
    path = os.path.join(os.environ["AGAINST_FOLDER"], f"{os.getpid()}.json")
    with open(path + ".new", "w") as file:
        json.dump(found, file)
    os.replace(path + ".new", path)


def watch(tool):
    found = {"listed": [], "holder": [], "stops": [], "holder_stops": []}
    try:
        if not wait_for("first"):
            return
        timed(tool.prepare_holder, found["holder_stops"])
        timed(tool.first, found["stops"])
        if not wait_for("second"):
            return
        timed(tool.second, found["stops"])
        begun = time.thread_time()
        found["listed"] = timed(tool.listed, [])
        found["listing_cpu_seconds"] = time.thread_time() - begun
        write(found)
        if found["listed"]:
            found["holder"] = timed(tool.holder, found["holder_stops"])
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
    write(found)


def start():
    threading.Thread(target=watch, args=(TOOL,), name="against-others").start()


if os.environ.get("AGAINST_TOOL"):
    TOOL = load(os.environ["AGAINST_TOOL"])
    os.register_at_fork(after_in_child=start)  # after the hook of `threading`, which is imported already
    start()
sys.path[:] = [entry for entry in sys.path if entry != HERE]
