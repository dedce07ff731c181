"""Forks, many and from several threads at once: none waits for long, none says anything, the agent goes on after them."""

from __future__ import annotations

import pytest
from agent.conftest import any_engine  # noqa: F401
from agent.target import Target, said

# 3.13.0 counts threads after the hooks of the parent, which have started the agent's again by then, and warns of it.
QUIET = """
import warnings
if sys.version_info[:2] == (3, 13): warnings.simplefilter("ignore", DeprecationWarning)
"""

STORM = """
import threading, time, warnings
warnings.simplefilter("ignore")  # 3.12+ warns of any fork with threads, the program's own
def storm():
    for n in range({forks}):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
def slowest(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun
threads = [threading.Thread(target=storm) for _ in range({threads})]
begun = time.monotonic()
for thread in threads: thread.start()
for thread in threads: thread.join()
print("stalled", int(time.monotonic() - begun > 9))  # one wait for the agent's thread that nobody ends is 10 s
sampler = sys.modules["_leakhunt_agent"]._sampler
wait_for(sampler._sequence + 2)
print("forks", sampler._forks)
with open("/proc/self/status") as file:
    print("threads", [int(line.split()[1]) for line in file if line.startswith("Threads:")][0])
"""


def storm(target: Target, threads: int, forks: int) -> None:
    ran = target.run(STORM.format(threads=threads, forks=forks), interval=0.05)
    assert dict(said(ran)) == {"stalled": 0, "forks": 0, "threads": 2}
    assert ran.err == ""
    assert ran.processes[0].problems == ""


def test_forks_from_two_threads_at_once(any_engine: Target) -> None:  # noqa: F811
    storm(any_engine, 2, 15)


@pytest.mark.hostile
@pytest.mark.parametrize("threads", [2, 6, 16])
def test_a_storm_of_forks(threads: int, any_engine: Target) -> None:  # noqa: F811
    storm(any_engine, threads, 60)


def test_a_program_that_forks_more_often_than_it_is_looked_at_is_looked_at(any_engine: Target) -> None:  # noqa: F811
    """Each fork began the wait for the next look anew: a server that forks every second was never looked at."""
    ran = any_engine.run(
        QUIET
        + """
import time
sampler = sys.modules["_leakhunt_agent"]._sampler
for n in range(400):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    time.sleep(0.02)
    if sampler._sequence >= 3:
        break
print("seen", min(sampler._sequence, 3))
""",
        interval=0.3,
    )
    assert dict(said(ran)) == {"seen": 3}
    assert ran.err == ""


def test_a_child_that_forks_in_a_signal_handler_while_its_parent_forks(any_engine: Target) -> None:  # noqa: F811
    """A handler runs in the middle of the hooks, and forks itself, as a server does that replaces a dead worker."""
    ran = any_engine.run(
        QUIET
        + """
import signal, time
forked = []
def handle(number, frame):
    if len(forked) < 20:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        forked.append(pid)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.003)
begun = time.monotonic()
for n in range(30):
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os._exit(0)
    os.waitpid(pid, 0)
signal.setitimer(signal.ITIMER_REAL, 0)
for pid in forked: os.waitpid(pid, 0)
print("stalled", int(time.monotonic() - begun > 9))
print("forks", sys.modules["_leakhunt_agent"]._sampler._forks)
""",
        interval=0.05,
    )
    assert dict(said(ran)) == {"stalled": 0, "forks": 0}
    assert ran.err == ""
