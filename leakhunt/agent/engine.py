"""Which walker takes the snapshot, and why not the other; from the moment to the file's bytes."""

import sys
from time import perf_counter, sleep, time

from . import census, ledger, listing, own, roots, write
from .walk import Types, Walk

HOLD_SECONDS = 0.002


class Breath:
    """Called between slices: gives the GIL away when it was held for HOLD_SECONDS, and keeps the longest hold."""

    def __init__(self, begun, stopped):
        self._since = begun
        self._stopped = stopped
        self.longest = 0.0

    def __call__(self):
        held = perf_counter() - self._since
        self.longest = max(self.longest, held)
        if self._stopped():
            raise Interrupted
        if held > HOLD_SECONDS:
            sleep(0)
            self._since = perf_counter()


class Interrupted(Exception):
    """The program forks or ends: this snapshot is given up."""


class Engine:
    """Takes snapshots in this process. `package` is the name under which the agent is loaded."""

    name = "python"

    def __init__(self, package):
        self._package = package
        self._malloc = ledger.Malloc()
        self._own = ()

    def settle(self):
        """Learn what belongs to the agent; call again when it has loaded more."""
        self._own = own.objects(self._package)

    def memory(self):
        """The figures of the ledger that the agent itself moves: resident bytes, and bytes free inside malloc's heap."""
        found = {"rss_anonymous_bytes": ledger.system_figures().get("rss_anonymous_bytes", 0)}
        found.update(self._malloc.figures())
        return found

    def snapshot(self, deep, meta, stopped=lambda: False):
        """(meta, strings, columns) of this moment, ready for `write.pieces`.

        `stopped` is asked between slices; Interrupted is raised when it says yes.
        """
        begun = perf_counter()
        if not self._own:
            self.settle()
        listed = listing.listed()  # first of all: what is made from here on is not in it
        breathe = Breath(begun, stopped)
        meta = dict(meta, time=time(), engine=self.name, kind="deep" if deep else "census")
        meta.update(ledger.figures(self._malloc))
        strings = write.Strings()
        types = Types(strings)
        columns = census.census(listed, types, self._own, breathe)
        if deep:
            columns.update(self._walk(listed, types, strings, breathe))
        columns.update(types.columns)
        meta["hold_ms"] = round(breathe.longest * 1e3, 3)
        meta["cost_ms"] = round((perf_counter() - begun) * 1e3, 3)
        return meta, strings, columns

    def _walk(self, listed, types, strings, breathe):
        hidden = set(map(id, self._own))
        hidden.add(id(self._own))
        hidden.update(own.frames())
        walk = Walk(strings, types, hidden, breathe)
        walk.run(listed, roots.listed(self._package))
        return walk.columns()


def version():
    return "%d.%d.%d" % sys.version_info[:3]
