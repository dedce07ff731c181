"""A web shop's sessions: every login is registered, and nobody takes a session out when the visitor leaves.

`logout` marks the session as closed, which looks like the end of it. The registry still holds it, with its basket.

Expected: python-leak of __main__.Session held by __main__.SessionRegistry.sessions
"""

import itertools
import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
VISITORS_PER_ROUND = 30


class Session:
    def __init__(self, token, visitor):
        self.token = token
        self.visitor = visitor
        self.basket = []
        self.is_open = True


class SessionRegistry:
    def __init__(self):
        self.sessions = {}
        self._numbers = itertools.count(1)

    def login(self, visitor):
        token = f"{next(self._numbers):08x}"
        self.sessions[token] = Session(token, visitor)
        return token

    def logout(self, token):
        self.sessions[token].is_open = False


def visit(registry, visitor):
    """One visitor comes, puts three things into the basket and leaves."""
    token = registry.login(visitor)
    for article in ("bread", "butter", "jam"):
        registry.sessions[token].basket.append({"article": article, "amount": 1})
    registry.logout(token)


def main():
    registry = SessionRegistry()
    for number in range(ROUNDS):
        for visitor in range(VISITORS_PER_ROUND):
            visit(registry, f"visitor-{number}-{visitor}")
        time.sleep(PAUSE_SECONDS)
    print("visits:", ROUNDS * VISITORS_PER_ROUND)


if __name__ == "__main__":
    main()
