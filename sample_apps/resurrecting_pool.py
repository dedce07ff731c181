"""A pool of channels to a message broker: a channel that is dropped puts itself back, from its own `__del__`.

That was meant to save channels which a careless caller forgot. But a finalizer runs once in a lifetime, the pool hands
out only channels that are open, and these were closed on the way: they come back, and none is ever used again.

Expected: resurrected of __main__.Channel held by __main__.ChannelPool.idle
"""

import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
MESSAGES_PER_ROUND = 20


class Channel:
    def __init__(self, pool):
        self.pool = pool
        self.sent = []
        self.is_open = True

    def send(self, message):
        self.sent.append(message)

    def close(self):
        self.is_open = False

    def __del__(self):
        self.pool.idle.append(self)


class ChannelPool:
    def __init__(self):
        self.idle = []

    def borrow(self):
        if self.idle and self.idle[-1].is_open:
            return self.idle.pop()
        return Channel(self)


def publish(pool, message):
    """Send one message on a channel of its own."""
    channel = pool.borrow()
    channel.send({"body": message})
    channel.close()


def main():
    pool = ChannelPool()
    for number in range(ROUNDS):
        for message in range(MESSAGES_PER_ROUND):
            publish(pool, f"message {message} of round {number}")
        time.sleep(PAUSE_SECONDS)
    print("messages:", ROUNDS * MESSAGES_PER_ROUND)


if __name__ == "__main__":
    main()
