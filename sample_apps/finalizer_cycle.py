"""A job runner that switched the garbage collector off for the sake of latency, as some large sites do.

A connection refers to its cursor and the cursor to its connection, so reference counts alone never free the two, and
`Connection.__del__`, which should close the socket, waits for a collection that does not come.

Expected: delayed-finalizer of __main__.Connection
"""

import gc
import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
JOBS_PER_ROUND = 20

closed = 0


class Cursor:
    def __init__(self, connection):
        self.connection = connection
        self.rows = []

    def execute(self, query):
        self.rows = [(query, number) for number in range(5)]
        return self.rows


class Connection:
    def __init__(self, address):
        self.address = address
        self.cursor = Cursor(self)

    def __del__(self):
        global closed
        closed += 1


def work(job):
    """One job opens its own connection, asks one question and forgets the connection."""
    connection = Connection("database:5432")
    return len(connection.cursor.execute(f"select {job}"))


def main():
    gc.disable()
    rows = 0
    for number in range(ROUNDS):
        for job in range(JOBS_PER_ROUND):
            rows += work(number * JOBS_PER_ROUND + job)
        time.sleep(PAUSE_SECONDS)
    print("rows:", rows, "connections closed:", closed)


if __name__ == "__main__":
    main()
