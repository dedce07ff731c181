"""An import service that makes a logger per request, to have the request's number in front of each line.

The logging module keeps every logger for ever, by name: a name that never comes again is never freed.

Expected: python-leak of logging.Logger held by logging.Manager.loggerDict
"""

import logging
import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
REQUESTS_PER_ROUND = 15


class Importer:
    def __init__(self):
        self.rows = 0

    def handle(self, number):
        log = logging.getLogger(f"importer.request-{number}")
        log.debug("reading")
        self.rows += number % 4
        log.debug("done")


def main():
    importer = Importer()
    for number in range(ROUNDS):
        for place in range(REQUESTS_PER_ROUND):
            importer.handle(number * REQUESTS_PER_ROUND + place)
        time.sleep(PAUSE_SECONDS)
    print("rows:", importer.rows)


if __name__ == "__main__":
    main()
