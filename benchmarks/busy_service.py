"""A healthy service with a million live objects and much coming and going, and one leak where asked for.

What is healthy in it: orders that are replaced by newer ones, sessions that expire, two buffers that are flushed when
full, an `lru_cache`, a page cache and a ring of events that fill up to their bounds, and cyclic garbage. The leak:
`Feed.subscribers` gains LEAK_PER_MINUTE subscribers and loses none.
"""

import collections
import functools
import os
import sys
import time

LIVE_OBJECTS = int(os.environ.get("LIVE_OBJECTS", "1000000"))
LEAK_PER_MINUTE = float(os.environ.get("LEAK_PER_MINUTE", "0"))
DURATION_SECONDS = float(os.environ.get("DURATION_SECONDS", "660"))
TICK_SECONDS = 0.25
SESSION_SECONDS = 60.0


class Order:
    """Three objects for the collector: the order, the list of its lines, and one line."""

    def __init__(self, number):
        self.number = number
        self.lines = [["part", number]]


class Session:
    def __init__(self, number):
        self.expires = time.monotonic() + SESSION_SECONDS
        self.basket = [number]


class Request:
    def __init__(self, number):
        self.number = number
        self.response = Response(self)


class Response:
    def __init__(self, request):
        self.request = request  # a cycle, for the collector


class Event:
    def __init__(self, number):
        self.number = number


class Buffer:
    """A saw-tooth: grows to its limit, and is written out as a whole."""

    def __init__(self, limit):
        self.pending, self.limit = [], limit

    def add(self, item):
        self.pending.append(item)
        if len(self.pending) >= self.limit:
            self.pending.clear()


class PageCache:
    """Forgets the oldest page beyond `maxsize`."""

    def __init__(self, maxsize):
        self.maxsize, self.pages = maxsize, collections.OrderedDict()

    def store(self, number):
        self.pages[number] = Event(number)
        while len(self.pages) > self.maxsize:
            self.pages.popitem(last=False)


class Subscriber:
    def __init__(self, number):
        self.number = number
        self.topics = ["news"]


class Feed:
    def __init__(self):
        self.subscribers = []

    def subscribe(self, number):
        self.subscribers.append(Subscriber(number))


@functools.lru_cache(maxsize=8192)
def price(number):
    return Event(number)


class Service:
    def __init__(self):
        self.orders = {number: Order(number) for number in range(LIVE_OBJECTS // 3)}
        self.next_order = 0
        self.sessions = collections.OrderedDict()
        self.journal, self.mail = Buffer(1200), Buffer(1350)
        self.pages = PageCache(3000)
        self.events = collections.deque(maxlen=5000)
        self.feed = Feed()

    def tick(self, number):
        """What happens in a quarter of a second."""
        for step in range(number * 20, number * 20 + 20):
            Request(step)
            self.orders[self.next_order] = Order(self.next_order)
            self.next_order = (self.next_order + 1) % len(self.orders)
        for step in range(number * 8, number * 8 + 8):
            self.sessions[step] = Session(step)
            self.journal.add(Event(step))  # full after 38 seconds
            self.events.append(Event(step))
            price(step)
        for step in range(number * 4, number * 4 + 4):
            self.mail.add(Event(step))  # full after 84 seconds
            self.pages.store(step)
        while self.sessions and next(iter(self.sessions.values())).expires < time.monotonic():
            self.sessions.popitem(last=False)


def main():
    service = Service()
    begun = time.monotonic()
    number = leaked = 0
    while (elapsed := time.monotonic() - begun) < DURATION_SECONDS:
        service.tick(number)
        number += 1
        while leaked < elapsed / 60 * LEAK_PER_MINUTE:
            service.feed.subscribe(leaked)
            leaked += 1
        time.sleep(max(0.0, begun + number * TICK_SECONDS - time.monotonic()))
    print(f"{number} ticks, {leaked} leaked", file=sys.stderr)
    os._exit(0)  # a service is killed, and what is left at the exit is no matter here


if __name__ == "__main__":
    main()
