"""What seeing births costs a busy program: while armed, way by way, and after.

    python3.13 benchmarks/births_cost.py            some two minutes for each way; any Python from 3.11 on

One process; blocks of the same work with hooks and without by turns, and the median of their quotients of processor
time of the working thread, with its quartiles: a machine that does other work disturbs both alike. The hooks are kept
armed for all of a block, however much they have seen (a run lets go of them after 150 stacks).
"""

import os
import statistics
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from leakhunt.agent import asked, births  # noqa: E402
from leakhunt.agent.engine import Engine, GilYielder  # noqa: E402

BLOCKS, ORDERS = int(os.environ.get("BLOCKS", "60")), 12_000
BUDGET = 0.01


class Line:
    def __init__(self, sku, price):
        self.sku, self.price = sku, price


class Order:
    def __init__(self, number):
        self.lines = [Line(number + n, n * 1.5) for n in range(5)]
        self.total = sum(line.price for line in self.lines)


class Session:
    def __init__(self, number):
        self.number = number


class Registry:
    def __init__(self):
        self.by_number, self.recent = {}, []

    def enter(self, session):
        self.by_number[session.number] = session

    def remember(self, session):
        self.recent.append(session)


REGISTRY = Registry()


def work():
    """A service's mixture: 1 in 50 orders opens a session that stays."""
    total = 0
    for number in range(ORDERS):
        order = Order(number)
        total += order.total + len({line.sku: line for line in order.lines})
        if number % 50 == 0:
            session = Session(number)
            REGISTRY.enter(session)
            REGISTRY.remember(session)
    REGISTRY.by_number.clear()
    REGISTRY.recent.clear()
    return total


def block():
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def armed(engine, folder, number, kinds, places, names):
    lines = [f"number\t{number}"]
    lines += [f"class\t{id(kind)}\t{kind.__module__}.{kind.__qualname__}" for kind in kinds]
    lines += [f"place\t{id(place)}\t{id(REGISTRY)}" for place in places]
    lines += [f"name\tattribute\t{name}" for name in names]
    request = asked.Request("\n".join(lines))
    return births.Births(request, engine, folder, 0.0, BUDGET, 0.0, GilYielder(time.perf_counter(), lambda: False))


def measure(engine, folder, kinds, places, names):
    """(quotients of blocks with hooks to those before them, whether everything was seen)."""
    quotients, ways = [], set()
    gate, stop = threading.Event(), threading.Event()
    current = [None]

    def agent():
        number = 0
        while not stop.is_set():
            gate.wait()
            number += 1
            current[0] = watch = armed(engine, folder, number % 9 + 1, kinds, places, names)
            ready.set()
            while gate.is_set() and not stop.is_set():
                time.sleep(watch.tick_seconds)
                watch.tick()
            ways.update(watch._ways.values())
            watch.end()
            ready.set()

    ready = threading.Event()
    thread = threading.Thread(target=agent, daemon=True)
    thread.start()
    for _ in range(3):
        work()
    for _ in range(BLOCKS):
        without = block()
        if kinds or places:
            ready.clear()
            gate.set()
            ready.wait()
            work()  # the interpreter settles after a change of hooks, before and after alike
            with_hooks = block()
            ready.clear()
            gate.clear()
            ready.wait()
            work()
        else:
            with_hooks = block()
        quotients.append(with_hooks / without)
    stop.set()
    gate.set()
    return quotients, ways


def main():
    import tempfile

    births.ENOUGH, births.ARMED_SECONDS = 1 << 60, 1e9
    births.FRAMES_MAX = births.STACKS_MAX = 1 << 20
    engine = Engine("leakhunt.agent")
    if engine.native is None:
        sys.exit(f"This Python has no C engine: {engine.refusal}")
    cases = [
        ("nothing (the noise)", (), (), ()),
        ("births of a class (tp_alloc)", (Session,), (), ()),
        ("births of the busiest class (tp_alloc)", (Line,), (), ()),
    ]
    if sys.version_info >= (3, 13):
        cases.append(("births of dict (tracer)", (dict,), (), ()))
    if sys.version_info >= (3, 12):
        cases.append(("additions to a dict (watcher)", (), (REGISTRY.by_number,), ("by_number",)))
        cases.append(("additions to a list (lengths)", (), (REGISTRY.recent,), ("recent",)))
    with tempfile.TemporaryDirectory() as folder:
        for name, kinds, places, names in cases:
            quotients, ways = measure(engine, folder, kinds, places, names)
            low, middle, high = statistics.quantiles(quotients, n=4)
            seen = " ".join(sorted(ways - {"-"}))
            figures = f"{(middle - 1) * 100:+5.1f} %  ({(low - 1) * 100:+.1f} to {(high - 1) * 100:+.1f})"
            print(f"{name:<42} {figures}  {seen}", flush=True)


if __name__ == "__main__":
    main()
