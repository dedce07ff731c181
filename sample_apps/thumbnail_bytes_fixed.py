"""The twin of thumbnail_bytes.py: at most forty thumbnails are kept, the oldest goes first.

Expected: healthy
"""

import collections
import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
PICTURES_PER_ROUND = 10
THUMBNAIL_BYTES = 4096
KEPT = 40


class Thumbnails:
    def __init__(self):
        self.by_url = collections.OrderedDict()

    def get(self, url):
        if url not in self.by_url:
            self.by_url[url] = self._shrink(url)
            if len(self.by_url) > KEPT:
                self.by_url.popitem(last=False)
        return self.by_url[url]

    def _shrink(self, url):
        return url.encode().ljust(THUMBNAIL_BYTES, b".")


def main():
    thumbnails = Thumbnails()
    served = 0
    for number in range(ROUNDS):
        for place in range(PICTURES_PER_ROUND):
            url = f"/picture/{number * PICTURES_PER_ROUND + place}.png"
            served += len(thumbnails.get(url)) + len(thumbnails.get(url))
        time.sleep(PAUSE_SECONDS)
    print("bytes served:", served)


if __name__ == "__main__":
    main()
