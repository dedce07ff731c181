"""A doubt about a candidate, as a value, and the confidence that doubts leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Doubt:
    """Another explanation than a leak. `sentence` says it in words.

    It takes `less` off the candidate's confidence, or leaves `at_most`; one that is an `end` says that it is no leak of
    its own at all. `instead` is the owner that is named in the candidate's stead. An `alternative` is told to the
    reader of the finding.
    """

    name: str
    sentence: str
    less: float = 0.0
    at_most: float = 1.0
    is_end: bool = False
    is_alternative: bool = False
    instead: str = ""


def ended(name: str, sentence: str, instead: str = "") -> Doubt:
    """A doubt that ends a candidate."""
    return Doubt(name, sentence, at_most=0.0, is_end=True, instead=instead)


def weighed(certainty: float, doubts: Sequence[Doubt], least: float) -> float:
    """The confidence that the doubts leave of `certainty`: not below `least` but for those that set a limit.

    >>> weighed(0.99, [Doubt("few", "only six", less=0.1), Doubt("young", "seen for a minute", at_most=0.7)], 0.3)
    0.7
    """
    left = max(least, certainty - sum(doubt.less for doubt in doubts))
    return round(min([left, *(doubt.at_most for doubt in doubts)]), 2)
