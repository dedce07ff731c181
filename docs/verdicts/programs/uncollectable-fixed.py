import gc
import time


class Page:
    def __init__(self):
        self.me = self


for number in range(2000):
    Page()
    if number % 50 == 0:
        gc.collect()
    time.sleep(0.004)
