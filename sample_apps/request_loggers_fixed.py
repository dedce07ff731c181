"""The twin of request_loggers.py: one logger for the service, and the request's number comes from an adapter.

Expected: healthy
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
        self.logger = logging.getLogger("importer")

    def handle(self, number):
        log = logging.LoggerAdapter(self.logger, {"request": number})
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
