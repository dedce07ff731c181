"""How often to look and how deep, so that the program hardly notices: a share of its time, a longest single pause."""

from time import monotonic

from . import __builtins__

DEEP_RATIO = 1.25  # a deep snapshot when the run is this much older than at the last one …
DEEP_SPACING = 1.9  # … and this many intervals have passed
DEEP_SPACING_MAX_SECONDS = 3600.0
CREDIT_SECONDS = 3.0  # what is advanced on the budget, so that short runs are seen at all
CREDIT_GRAPHS = 4.5  # … or as much as four graphs take, the censuses between them included: fewer show no trend, …
CREDIT_SECONDS_MAX = 6.0  # … if that is not more than this
CREDIT_AT_ONCE = 0.25  # of that, what graphs may take at the very beginning; the rest comes in time, so that none is …
CREDIT_INTERVALS = 24.0  # … spent before a run has lasted long enough to be judged
REPAYMENT = 1 / 6  # of the budget, until what was spent beyond it is paid back: 39 minutes at 3 s and 1 %
SIDE_EFFECTS = 1.3  # seconds that the program loses for one of the agent: caches, the GIL (benchmarks/slowdown.py)
CENSUS_SHARE = 0.5  # of the budget for censuses once it is overdrawn: the rest pays the debt off, and graphs come again
WAIT_SECONDS_MAX = 600.0


class Governor:
    """Decides over the snapshots of one process; `options` are the sampler's.

    `pauses_per_deep` is how many times the pause of a census a deep snapshot may take, until better is known.
    `begun` is the moment at which sampling began, by the monotonic clock; now, where that is not given.
    `spent_seconds` is processor time of the agent; `waited_seconds` how long the last wait for a snapshot was to be.
    """

    def __init__(self, options, pauses_per_deep, begun=None):
        self._options = options
        self._budget = options.budget / SIDE_EFFECTS
        self._pauses_per_deep = pauses_per_deep
        self._begun = monotonic() if begun is None else begun
        self.spent_seconds = 0.0
        self.waited_seconds = options.interval
        self._cost_seconds = 0.0  # of the last census, or of the last of all where every one is deep
        self._deep_cost_seconds = 0.0  # of the last graph
        self._census_pause_ms = 0.0
        self._deep_at = -1.0

    def elapsed(self):
        return monotonic() - self._begun

    def choose(self):
        """(whether the next snapshot has the whole graph, why it has not although that is due: "budget" or "pause")."""
        if not self._is_deep_due():
            return False, ""
        if self._options.deep != "every":
            if self._is_overdrawn():
                return False, "budget"
            if self.spent_seconds > self._allowed_seconds(self._credit_so_far()):
                return False, ""  # it comes somewhat later
        if self._census_pause_ms * self._pauses_per_deep > self._options.pause * 1e3:
            return False, "pause"
        return True, ""

    def wait(self):
        """Seconds to the next snapshot: the interval, stretched where the budget is overdrawn."""
        self.waited_seconds = self._options.interval
        if self._is_overdrawn():
            affordable = self._cost_seconds / (self._budget * CENSUS_SHARE)
            self.waited_seconds = max(self._options.interval, min(affordable, WAIT_SECONDS_MAX))
        return self.waited_seconds

    def tried_deep(self):
        """A deep snapshot was begun, whatever became of it."""
        self._deep_at = self.elapsed()

    def took(self, deep, cost_seconds, pause_ms):
        """A snapshot was taken or tried; `pause_ms` is its longest pause, 0 where that is not known."""
        self.spent_seconds += cost_seconds
        if not deep:
            self._census_pause_ms = pause_ms
        else:
            self._deep_cost_seconds = cost_seconds
            if self._census_pause_ms > 0 and pause_ms > 0:
                self._pauses_per_deep = min(self._pauses_per_deep, max(1.0, pause_ms / self._census_pause_ms))
        if not deep or self._options.deep == "every":
            self._cost_seconds = cost_seconds

    def _is_deep_due(self):
        mode, now = self._options.deep, self.elapsed()
        if mode in ("never", "every"):
            return mode == "every"
        if self._deep_at < 0:
            return now >= 1.5 * self._options.interval  # not the first: imports are still going on
        since = now - self._deep_at
        if mode != "auto":
            return since >= float(mode) * 0.99
        spacing = max(self._deep_at * (DEEP_RATIO - 1), DEEP_SPACING * self._options.interval)
        return since >= min(spacing, max(DEEP_SPACING_MAX_SECONDS, self._options.interval))

    def _is_overdrawn(self):
        return self.spent_seconds > self._allowed_seconds(self._credit_seconds())

    def _allowed_seconds(self, credit_seconds):
        """Processor time that may be spent by now: the advance is paid back by a part of what the time earns."""
        if self._budget <= 0:
            return float("inf")
        earned = self._budget * self.elapsed()
        return max(earned, credit_seconds + (1 - REPAYMENT) * earned)

    def _credit_seconds(self):
        return max(CREDIT_SECONDS, min(CREDIT_GRAPHS * self._deep_cost_seconds, CREDIT_SECONDS_MAX))

    def _credit_so_far(self):
        share = min(1.0, self.elapsed() / (CREDIT_INTERVALS * self._options.interval))
        return self._credit_seconds() * (CREDIT_AT_ONCE + (1.0 - CREDIT_AT_ONCE) * share)
