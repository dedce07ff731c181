"""A prefork server: the parent only waits, and two forked workers remember every job they did.

The parent is healthy; the leak is in both children, at the same place, and is to be named once.

Expected: python-leak of __main__.Job held by __main__.Worker.history
"""

import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
WORKERS = 2
JOBS_PER_ROUND = 20


class Job:
    def __init__(self, number):
        self.number = number
        self.result = None

    def run(self):
        self.result = [self.number, self.number**2]


class Worker:
    def __init__(self):
        self.history = []

    def work(self, number):
        job = Job(number)
        job.run()
        self.history.append(job)

    def serve(self):
        for number in range(ROUNDS):
            for place in range(JOBS_PER_ROUND):
                self.work(number * JOBS_PER_ROUND + place)
            time.sleep(PAUSE_SECONDS)


def main():
    children = []
    for _ in range(WORKERS):
        pid = os.fork()
        if pid == 0:
            Worker().serve()
            return
        children.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    print("workers ended:", statuses)


if __name__ == "__main__":
    main()
