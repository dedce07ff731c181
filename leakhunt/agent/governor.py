"""How often to look and how deep, so that the program hardly notices: a share of its time, a longest single pause."""

from time import monotonic

from . import __builtins__

FIRST_DEEP = 1.5  # intervals of a program's life before its first graph: imports are still going on
DEEP_RATIO = 1.25  # a deep snapshot when the run is this much older than at the last one …
DEEP_SPACING = 1.9  # … and this many intervals have passed
DEEP_SPACING_MAX_SECONDS = 3600.0
CREDIT_SECONDS = 3.0  # what is advanced on the budget at an interval of a second or less, so that short runs are seen …
# … at all; at longer ones that much less: who waits for the first minutes anyway need not pay for them in advance
CREDIT_GRAPHS = 4.5  # … or as much as four graphs take, the censuses between them included: fewer show no trend, …
CREDIT_SECONDS_MAX = 6.0  # … if that is not more than this
CREDIT_AT_ONCE = 0.25  # of that, what graphs may take at the very beginning; the rest comes in time, so that none is …
CREDIT_INTERVALS = 24.0  # … spent before a run has lasted long enough to be judged
REPAYMENT = 1 / 6  # of the budget, until what was spent beyond it is paid back: 39 minutes at 3 s and 1 %
SIDE_EFFECTS = 1.3  # seconds that the program loses for one of the agent: caches, the GIL (benchmarks/slowdown.py)
CENSUS_SHARE = 0.5  # of the budget for censuses once it is overdrawn: the rest pays the debt off, and graphs come again
WAIT_SECONDS_MAX = 600.0
FRONTIER_RATIO = 1.5  # times what a census takes, in pause and in processor time (benchmarks/README.md)
FRONTIER_SPACING = 0.9  # intervals between two graphs of a large heap, which cost little more than a census
FIRST_SECONDS = 0.2  # to the first look at a program that has run for a while, and from it to its first graph


class Governor:
    """Decides over the snapshots of one process; `options` are the sampler's.

    `pauses_per_deep` is how many times the pause of a census a deep snapshot may take, until one was measured; of a
    heap of `frontier_min` listed objects and more it is FRONTIER_RATIO at most.
    `lived_seconds` is how long the process ran before: one whose imports are long over is looked at at once, twice as
    deep as may be, for it can be judged by that (analysis/growth/age.py).
    `spent_seconds` is processor time of the agent; `waited_seconds` how long the last wait for a snapshot was to be.
    """

    def __init__(self, options, pauses_per_deep, lived_seconds=0.0, frontier_min=float("inf")):
        self._options = options
        self._is_old = lived_seconds >= FIRST_DEEP * options.interval
        self._taken = self._graphs = 0
        self._budget = options.budget / SIDE_EFFECTS
        self._pauses_per_deep, self._frontier_min = pauses_per_deep, frontier_min
        self._begun = monotonic()
        self.spent_seconds = 0.0
        self.waited_seconds = options.interval
        self._cost_seconds = 0.0  # of the last census, or of the last of all where every one is deep
        self._deep_cost_seconds = 0.0  # of the last graph
        self._census_pause_ms = self._deep_pause_ms = 0.0
        self._listed = self._deep_listed = 0  # objects at the last snapshot, and at the last graph
        self._has_measured = False
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
            credit = self._credit_seconds() if self._is_old and self._graphs < 2 else self._credit_so_far()
            if self.spent_seconds > self._allowed_seconds(credit):
                return False, ""  # it comes somewhat later
        if self._expected_pause_ms() > self._options.pause * 1e3:
            return False, "pause"
        return True, ""

    def first_wait(self):
        """Seconds to the first snapshot."""
        return min(FIRST_SECONDS, self._options.interval) if self._is_old else self._options.interval

    def wait(self):
        """Seconds to the next snapshot: the interval, stretched where the budget is overdrawn."""
        self.waited_seconds = self._options.interval
        if self._is_old and self._taken == 1 and self._options.deep != "never":
            self.waited_seconds = self.first_wait()  # the census came first, to tell how long a graph will take
        if self._is_overdrawn():
            affordable = self._cost_seconds / (self._budget * CENSUS_SHARE)
            self.waited_seconds = max(self._options.interval, min(affordable, WAIT_SECONDS_MAX))
        elif self._is_large() and self._taken > 1 and self._options.deep == "auto" and self._budget > 0:
            self.waited_seconds = max(self._options.interval, min(self._spread_seconds(), WAIT_SECONDS_MAX))
        return self.waited_seconds

    def tried_deep(self):
        """A deep snapshot was begun, whatever became of it."""
        self._deep_at = self.elapsed()
        self._graphs += 1

    def took(self, deep, cost_seconds, pause_ms, listed=0):
        """A snapshot of `listed` objects was taken or tried; `pause_ms` is its longest pause, 0 where not known."""
        self.spent_seconds += cost_seconds
        self._listed = listed or self._listed
        self._taken += 1
        if not deep:
            self._census_pause_ms = pause_ms
        else:
            self._deep_cost_seconds = cost_seconds
            if pause_ms > 0:
                self._learn(pause_ms)
        if not deep or self._options.deep == "every":
            self._cost_seconds = cost_seconds

    def _learn(self, pause_ms):
        """What was measured counts, not what was hoped for; a ratio that was higher before is forgotten by halves."""
        if self._census_pause_ms > 0:
            ratio = max(1.0, pause_ms / self._census_pause_ms)
            if self._has_measured:
                ratio = max(ratio, (ratio + self._pauses_per_deep) / 2)
            self._pauses_per_deep, self._has_measured = ratio, True
        self._deep_pause_ms, self._deep_listed = pause_ms, self._listed

    def _expected_pause_ms(self):
        """Of a graph now: by the last census, or by the last graph and what is listed since, whichever is longer."""
        grown = self._listed / self._deep_listed if self._deep_listed else 1.0
        ratio = self._pauses_per_deep
        if not self._has_measured and self._is_large():
            ratio = min(ratio, FRONTIER_RATIO)
        return max(self._census_pause_ms * ratio, self._deep_pause_ms * grown)

    def _is_deep_due(self):
        mode, now = self._options.deep, self.elapsed()
        if mode in ("never", "every"):
            return mode == "every"
        if self._deep_at < 0:
            return self._census_pause_ms > 0 if self._is_old else now >= FIRST_DEEP * self._options.interval
        since = now - self._deep_at
        if mode != "auto":
            return since >= float(mode) * 0.99
        if self._is_old and self._graphs == 1:
            return since >= 0.75 * self._options.interval
        if self._is_large() and now <= CREDIT_INTERVALS * self._options.interval:
            return since >= FRONTIER_SPACING * self._options.interval  # `wait` spreads them
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
        least = CREDIT_SECONDS / max(1.0, self._options.interval)
        return max(least, min(CREDIT_GRAPHS * self._cost_of_graph(), CREDIT_SECONDS_MAX))

    def _cost_of_graph(self):
        """Processor time of the last graph; before there was one, of a large heap, by the last census."""
        if self._deep_cost_seconds > 0 or not self._is_large():
            return self._deep_cost_seconds
        return FRONTIER_RATIO * self._cost_seconds

    def _is_large(self):
        """Whether graphs are of the frontier, and cost little more than a census: then most looks may be graphs."""
        return self._listed >= self._frontier_min

    def _spread_seconds(self):
        """How far apart graphs are that spend what may be spent in the time in which a run is to be judged."""
        seconds = CREDIT_INTERVALS * self._options.interval
        may_spend = self._credit_seconds() + (1 - REPAYMENT) * self._budget * seconds
        return seconds * self._cost_of_graph() / may_spend

    def _credit_so_far(self):
        share = min(1.0, self.elapsed() / (CREDIT_INTERVALS * self._options.interval))
        return self._credit_seconds() * (CREDIT_AT_ONCE + (1.0 - CREDIT_AT_ONCE) * share)
