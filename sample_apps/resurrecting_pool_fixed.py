"""The twin of resurrecting_pool.py: who borrowed a channel gives it back, and there is no `__del__`.

Expected: healthy
"""

import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
MESSAGES_PER_ROUND = 20


class Channel:
    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)

    def reset(self):
        self.sent.clear()


class ChannelPool:
    def __init__(self):
        self.idle = []

    def borrow(self):
        return self.idle.pop() if self.idle else Channel()

    def give_back(self, channel):
        channel.reset()
        self.idle.append(channel)


def publish(pool, message):
    """Send one message on a channel that no one else has meanwhile."""
    channel = pool.borrow()
    channel.send({"body": message})
    pool.give_back(channel)


def main():
    pool = ChannelPool()
    for number in range(ROUNDS):
        for message in range(MESSAGES_PER_ROUND):
            publish(pool, f"message {message} of round {number}")
        time.sleep(PAUSE_SECONDS)
    print("messages:", ROUNDS * MESSAGES_PER_ROUND)


if __name__ == "__main__":
    main()
