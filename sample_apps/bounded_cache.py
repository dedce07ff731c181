"""A translation service whose cache fills during the whole run and is allowed to: it has a bound.

Every round brings new words, so the cache only grows while one looks; it ends at 4096 entries. A profiler that counts
objects sees the same line as in a leak.

Expected: healthy
"""

import functools
import os
import time

ROUNDS = int(os.environ.get("ROUNDS", "45"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0.25"))
WORDS_PER_ROUND = 20


class Translation:
    def __init__(self, word, language):
        self.word = word
        self.language = language
        self.text = f"{word[::-1]} ({language})"


@functools.lru_cache(maxsize=4096)
def translate(word, language):
    return Translation(word, language)


def main():
    letters = 0
    for number in range(ROUNDS):
        for place in range(WORDS_PER_ROUND):
            word = f"word{number * WORDS_PER_ROUND + place}"
            letters += len(translate(word, "eo").text)
            letters += len(translate("hello", "eo").text)
        time.sleep(PAUSE_SECONDS)
    print("letters:", letters)


if __name__ == "__main__":
    main()
