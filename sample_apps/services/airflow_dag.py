"""A DAG whose task keeps every row it has read; KEEP=100 repairs it: `airflow tasks test leaky read 2026-01-01`"""

import collections
import datetime
import os
import time

from airflow.sdk import dag, task

rows = collections.deque(maxlen=int(os.environ.get("KEEP", "0")) or None)


class Row:
    def __init__(self, number):
        self.number, self.cells = number, [number]


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False)
def leaky():
    @task
    def read():
        until = time.monotonic() + float(os.environ.get("SECONDS_TO_READ", "60"))
        while time.monotonic() < until:
            rows.append(Row(len(rows)))
            time.sleep(0.01)

    read()


leaky()
