"""When a watch is over: whoever started it says so by closing its end of a pipe, and may ask for haste."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .beside import HASTE, LINGER


class Ending:
    """Reads what the one who started the watch says until it closes its end. Imports little: it must be there early."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self.text = b""
        self._over = threading.Event()
        self._haste = threading.Event()
        self._left = threading.Event()
        self._read = read
        _aside(self._listen)

    def wait(self, seconds: float) -> bool:
        return self._over.wait(seconds)

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    @property
    def is_in_haste(self) -> bool:
        return self._haste.is_set()

    def hurry(self) -> None:
        """It is over, and there is little time left. Not for signal handlers: use a thread there."""
        self._haste.set()
        self._over.set()

    def in_haste(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something so many seconds after haste was asked for, on a thread of its own; never where it is not."""

        def act() -> None:
            self._haste.wait()
            time.sleep(seconds)
            action()

        _aside(act)

    def when_left(self, action: Callable[[], object]) -> None:
        """Do something when the watch is left to itself, with a last analysis to make; never where it is not."""

        def act() -> None:
            self._left.wait()
            action()

        _aside(act)

    def _listen(self) -> None:
        try:
            self.text = self._read()
            if self.text == HASTE:
                self._haste.set()
            elif self.text == LINGER:
                self.text = b""
                self._left.set()
        finally:
            self._over.set()


def _aside(action: Callable[[], None]) -> None:
    threading.Thread(target=action, daemon=True).start()
