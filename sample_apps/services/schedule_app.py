"""A loop of the schedule package that books one more job on each pass; KEEP=1 repairs it."""

import os
import time

import schedule


def report():
    print("reported", flush=True)


def pass_by():
    job = schedule.every().day.at("04:00").do(report)
    if "KEEP" in os.environ:
        schedule.cancel_job(job)


schedule.every(0.05).seconds.do(pass_by)
while True:
    schedule.run_pending()
    time.sleep(0.01)
