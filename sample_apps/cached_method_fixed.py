"""The twin of cached_method.py: the total is kept in the basket that it belongs to, and goes with it.

Expected: healthy
"""

import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
ORDERS_PER_ROUND = 30

RATES = {"EUR": 1.0, "CHF": 0.95, "NOK": 11.6}


class Basket:
    def __init__(self, customer, prices):
        self.customer = customer
        self.prices = prices
        self.totals = {}

    def total(self, currency):
        if currency not in self.totals:
            self.totals[currency] = round(sum(self.prices) * RATES[currency], 2)
        return self.totals[currency]


def order(number):
    """One order: make a basket, show the total twice, forget the basket."""
    basket = Basket(f"customer-{number}", [number % 7 + 0.5, number % 11 + 0.25])
    shown = basket.total("EUR")
    return basket.total("EUR") == shown


def main():
    agreed = 0
    for number in range(ROUNDS):
        for place in range(ORDERS_PER_ROUND):
            agreed += order(number * ORDERS_PER_ROUND + place)
        time.sleep(PAUSE_SECONDS)
    print("orders:", agreed)


if __name__ == "__main__":
    main()
