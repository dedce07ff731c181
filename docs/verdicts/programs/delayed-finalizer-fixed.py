import contextlib
import gc
import time

gc.disable()


class Connection:
    def __init__(self):
        self.handler = self.handle

    def handle(self):
        pass

    def close(self):
        del self.handler


for _ in range(2000):
    with contextlib.closing(Connection()):
        pass
    time.sleep(0.004)
