"""A daemon by python-daemon: it forks away from who started it. KEEP=100 repairs it. Usage: daemon_app.py PIDFILE"""

import os
import sys
import time

import daemon
from daemon.pidfile import PIDLockFile

KEEP = int(os.environ.get("KEEP", "0"))


class Mail:
    def __init__(self, number):
        self.number, self.body = number, [f"mail {number}"]


class Mailbox:
    def __init__(self):
        self.read = {}

    def fetch(self, number):
        self.read[number] = Mail(number)
        if KEEP:
            self.read.pop(number - KEEP, None)


with daemon.DaemonContext(pidfile=PIDLockFile(os.path.abspath(sys.argv[1]))):
    mailbox = Mailbox()
    for number in range(10**9):
        mailbox.fetch(number)
        time.sleep(0.02)
