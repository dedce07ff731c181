import time


class Pool:
    def __init__(self):
        self.idle = []


class Channel:
    def __init__(self, pool):
        self.pool = pool

    def __del__(self):
        self.pool.idle.append(self)


pool = Pool()
for _ in range(2000):
    Channel(pool)
    time.sleep(0.004)
