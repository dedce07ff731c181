"""Programs that make an attach go wrong: `hostile.py KIND STATUS HELPER`. Python 3.8 syntax, standard library only.

What they see of themselves they write into the file STATUS, mapped as 64-bit words: 0-7 beats of the loops, 8 broken
invariants, 9 loops that must beat, 10 objects that the collector lists (when word 11 asks for it).
"""

import asyncio
import contextlib
import ctypes
import gc
import importlib
import logging
import mmap
import os
import queue
import select
import signal
import socket
import struct
import sys
import threading
import time

WORDS = 16
BROKEN, LOOPS, OBJECTS, ASKED = 8, 9, 10, 11


class Status:
    def __init__(self, path):
        with open(path, "w+b") as file:
            file.write(b"\0" * 8 * WORDS)
            file.flush()
            self._words = mmap.mmap(file.fileno(), 8 * WORDS)

    def get(self, index):
        return struct.unpack_from("<Q", self._words, 8 * index)[0]

    def put(self, index, value):
        struct.pack_into("<Q", self._words, 8 * index, value)

    def add(self, index):
        self.put(index, self.get(index) + 1)

    def expect(self, holds, what):
        if not holds:
            self.add(BROKEN)
            sys.stderr.write(f"broken invariant: {what}\n")


def loop(number, work):
    rounds = 0
    while True:
        work(rounds)
        rounds += 1
        status.add(number)
        if number == 0 and status.get(ASKED):
            count_objects()


def count_objects():
    gc.collect()
    status.put(OBJECTS, len(gc.get_objects()))
    status.put(ASKED, 0)


def run(*works):
    """The first in the main thread, each other in one of its own."""
    for number, work in enumerate(works[1:], 1):
        threading.Thread(target=loop, args=(number, work), daemon=True).start()
    status.put(LOOPS, len(works))
    loop(0, works[0])


class Node:
    def __init__(self, value, following):
        self.value, self.following, self.itself = value, following, self


def allocate(rounds):
    """Build, check and drop a little of everything, cycles too."""
    table = {f"{rounds}-{key}": [key, (key, str(key)), {key: key}] for key in range(200)}
    status.expect(sum(value[0] for value in table.values()) == 19900, "sum of a dict")
    node = None
    for value in range(50):
        node = Node(value, node)
    total = 0
    while node:
        status.expect(node.itself is node, "identity")
        total, node = total + node.value, node.following
    status.expect(total == 1225, "sum of a list")
    status.expect(len(b"".join(bytes([x & 255]) * 3 for x in range(300))) == 900, "length of bytes")
    ordered = sorted(x * 7919 % 1009 for x in range(300))
    status.expect(ordered == sorted(ordered), "order")
    for key in list(table):
        del table[key]
    status.expect(not table, "empty dict")


def multiply(rounds):
    """Floating-point registers in use all the time: a call from outside must give them back."""
    total = 0.0
    for number in range(2000):
        total = total * 0.5 + number * 1.25
    status.expect(total == EXPECTED_PRODUCT, f"floating-point sum {total!r}")


def product():
    total = 0.0
    for number in range(2000):
        total = total * 0.5 + number * 1.25
    return total


def allocating():
    run(allocate, allocate, allocate, allocate)


def floating():
    run(multiply, multiply)


def malloc():
    helper = ctypes.CDLL(sys.argv[3])
    run(*[lambda rounds: helper.churn_malloc(20000)] * 4)


def malloc_with_gil():
    helper = ctypes.PyDLL(sys.argv[3])
    run(*[lambda rounds: helper.churn_malloc(2000)] * 3)


def dlopen():
    helper, other = ctypes.CDLL(sys.argv[3]), sys.argv[4].encode()
    run(*[lambda rounds: helper.churn_dlopen(50, other)] * 3)


def locks():
    import colorsys

    plain, again, line, count = threading.Lock(), threading.RLock(), queue.Queue(), [0]
    nowhere = open(os.devnull, "w")  # noqa: SIM115  (as long as the program)
    logging.basicConfig(stream=nowhere, level=logging.INFO)

    def work(rounds):
        with plain:
            before = count[0]
            if rounds % 10 == 0:
                allocate(rounds)
            count[0] = before + 1
        with again, again:
            logging.info("round %d", rounds)
        line.put(rounds)
        line.get()
        if rounds % 20 == 0:
            with contextlib.suppress(ImportError):  # another thread reloads it
                importlib.reload(colorsys)

    run(work, work, work, work)


def timers():
    """Signals every millisecond or two, in all threads and in system calls."""
    seen = [0]

    def handle(number, frame):
        seen[0] += 1
        [{} for _ in range(10)]

    for number in (signal.SIGALRM, signal.SIGPROF, signal.SIGUSR1):
        signal.signal(number, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    signal.setitimer(signal.ITIMER_PROF, 0.002, 0.002)

    def wait(rounds):
        select.select([], [], [], 0.002)
        left, right = socket.socketpair()
        left.send(b"z" * 100)
        status.expect(right.recv(200) == b"z" * 100, "what a socket carries")
        left.close()
        right.close()
        allocate(rounds)

    def kick(rounds):
        time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGUSR1)

    run(wait, kick, allocate)


def epoll():
    """A raw epoll_wait must not report EINTR on our account: no Python wrapper in between to hide it."""
    libc, poll = ctypes.CDLL(None, use_errno=True), select.epoll()
    buffer = ctypes.create_string_buffer(64)

    def wait(rounds):
        result = libc.epoll_wait(poll.fileno(), buffer, 1, 20)
        status.expect(result == 0, f"epoll_wait gave {result}, errno {ctypes.get_errno()}")

    run(wait)


def event_loop():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def talk():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        status.put(LOOPS, 1)
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello\n")
            status.expect(await reader.readline() == b"hello\n", "what comes back")
            writer.close()
            status.add(0)
            if status.get(ASKED):
                count_objects()
            await asyncio.sleep(0.005)

    asyncio.run(talk())


def blocked():
    """The main thread waits for ever in C; a worker runs."""
    threading.Thread(target=loop, args=(1, allocate), daemon=True).start()
    reader, _ = os.pipe()
    os.read(reader, 1)


def asleep():
    """One thread, and that waits for ever."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.accept()


def breathing():
    """An ordinary program: a little work now and then."""

    def work(rounds):
        allocate(rounds)
        time.sleep(0.005)

    run(work)


KINDS = {
    kind.__name__: kind
    for kind in (
        allocating, floating, malloc, malloc_with_gil, dlopen, locks, timers, epoll, event_loop, blocked, asleep,
        breathing,
    )
}  # fmt: skip

if __name__ == "__main__":
    EXPECTED_PRODUCT = product()
    status = Status(sys.argv[2])
    KINDS[sys.argv[1]]()
