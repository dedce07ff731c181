import collections
import time


class Visit:
    def __init__(self, page):
        self.page = page


class Site:
    def __init__(self):
        self.visits = collections.deque(maxlen=50)

    def show(self, page):
        self.visits.append(Visit(page))


site = Site()
for page in range(2000):
    site.show(page)
    time.sleep(0.004)
