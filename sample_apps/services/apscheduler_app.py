"""An APScheduler whose job keeps every measurement; KEEP=100 repairs it."""

import os

from apscheduler.schedulers.blocking import BlockingScheduler

KEEP = int(os.environ.get("KEEP", "0"))


class Measurement:
    def __init__(self):
        self.values = [os.getpid(), str(os.times().elapsed)]


class Station:
    def __init__(self):
        self.history = []

    def measure(self):
        self.history.append(Measurement())
        if KEEP:
            del self.history[:-KEEP]


scheduler = BlockingScheduler()
scheduler.add_job(Station().measure, "interval", seconds=0.05, max_instances=3)
scheduler.start()
