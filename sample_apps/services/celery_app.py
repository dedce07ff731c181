"""A Celery application (prefork, --pool threads, beat, --max-tasks-per-child); KEEP=100 repairs it."""

import collections
import os

from celery import Celery

app = Celery("celery_app", broker=os.environ.get("BROKER", "redis://127.0.0.1:6379/0"))
app.conf.broker_connection_retry_on_startup = True
app.conf.beat_schedule = {"often": {"task": "celery_app.invoice", "schedule": 0.05, "args": (17,)}}


class Invoice:
    def __init__(self, order):
        self.order, self.lines = order, [f"line {number} of {order}" for number in range(3)]


sent = collections.deque(maxlen=int(os.environ.get("KEEP", "0")) or None)


@app.task(name="celery_app.invoice")
def invoice(order):
    sent.append(Invoice(order))
