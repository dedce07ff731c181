import gc
import time

gc.disable()


class Connection:
    def __init__(self):
        self.handler = self.handle

    def handle(self):
        pass

    def __del__(self):
        pass  # would close the socket


for _ in range(2000):
    Connection()
    time.sleep(0.004)
