"""A plain worker, for supervisord, systemd, a container; KEEP=100 repairs it."""

import functools
import os
import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


class Thumbnail:
    def __init__(self, name):
        self.name, self.pixels = name, [0] * 8


@functools.lru_cache(maxsize=int(os.environ.get("KEEP", "0")) or None)
def thumbnail(name):
    return Thumbnail(name)


for number in range(10**9):
    thumbnail(f"picture {number}")
    time.sleep(0.02)
