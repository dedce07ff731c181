"""A stock ticker with live views: every view listens to the bus, and none stops when its browser tab is closed.

The bus outlives the views, a bound method holds its object, and so the bus holds every view there ever was.

Expected: python-leak of __main__.LiveView held by __main__.EventBus.listeners
"""

import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
VIEWS_PER_ROUND = 12


class EventBus:
    def __init__(self):
        self.listeners = {"price": [], "news": []}

    def subscribe(self, topic, listener):
        self.listeners[topic].append(listener)

    def publish(self, topic, event):
        for listener in self.listeners[topic]:
            listener(event)


class LiveView:
    def __init__(self, bus, symbol):
        self.symbol = symbol
        self.last_event = None
        bus.subscribe("price", self.on_price)

    def on_price(self, event):
        self.last_event = event


def browse(bus, number):
    """One visitor opens a view, sees one price and closes the tab."""
    view = LiveView(bus, f"ACME{number % 5}")
    bus.publish("price", {"symbol": view.symbol, "price": 10 + number % 3})
    return view.last_event["price"]


def main():
    bus = EventBus()
    seen = 0
    for number in range(ROUNDS):
        for place in range(VIEWS_PER_ROUND):
            seen += browse(bus, number * VIEWS_PER_ROUND + place)
        time.sleep(PAUSE_SECONDS)
    print("prices seen:", seen)


if __name__ == "__main__":
    main()
