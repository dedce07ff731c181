import gc
import time

gc.set_debug(gc.DEBUG_SAVEALL)  # left behind by somebody who hunted a leak


class Page:
    def __init__(self):
        self.me = self


for number in range(2000):
    Page()
    if number % 50 == 0:
        gc.collect()
    time.sleep(0.004)
