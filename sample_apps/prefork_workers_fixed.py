"""The twin of prefork_workers.py: a worker remembers how many jobs it did, not which.

Expected: healthy
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
        self.done = 0

    def work(self, number):
        job = Job(number)
        job.run()
        self.done += 1

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
