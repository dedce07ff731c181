"""The twin of stored_exceptions.py: the status page needs the text of the last hundred errors, and only that is kept.

Expected: healthy
"""

import collections
import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
PAYMENTS_PER_ROUND = 40


class PaymentRefused(Exception):
    pass


class ErrorLog:
    def __init__(self):
        self.errors = collections.deque(maxlen=100)

    def add(self, error):
        self.errors.append(f"{type(error).__name__}: {error}")


def charge(request):
    lines = [dict(request, line=number) for number in range(10)]
    if request["amount"] % 2:
        raise PaymentRefused(f"card {request['card']} refused")
    return len(lines)


def handle(errors, number):
    """One payment; every second one is refused."""
    request = {"card": f"card-{number}", "amount": number, "headers": {"accept": "*/*"}}
    try:
        return charge(request)
    except PaymentRefused as error:
        errors.add(error)
        return 0


def main():
    errors = ErrorLog()
    charged = 0
    for number in range(ROUNDS):
        for place in range(PAYMENTS_PER_ROUND):
            charged += handle(errors, number * PAYMENTS_PER_ROUND + place)
        time.sleep(PAUSE_SECONDS)
    print("lines charged:", charged)


if __name__ == "__main__":
    main()
