"""Two runs of one program: new, known and gone, faster and slower."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leakhunt.analysis.growth import trends
from leakhunt.analysis.report.compare import compare
from leakhunt.findings import ClassSeries, Comparison, Finding, Findings, HolderSeries, ProcessSummary, RunSummary

SECONDS = tuple(float(k) for k in range(40))
RUN = RunSummary(("python", "shop.py"), 40.0, 40, "3.11.7")


def leak(name: str, fingerprint: str) -> Finding:
    return Finding("python-leak", name, rank=1, fingerprint=fingerprint)


def report(
    *findings: Finding, verdict: str = "leak", processes: int = 1, run: RunSummary = RUN, **per_second: float
) -> Findings:
    """A run whose classes grow by `per_second`, with a jitter of one object."""
    jitter = np.random.default_rng(len(per_second)).integers(0, 2, len(SECONDS))
    classes = tuple(
        ClassSeries(
            f"shop.{name}", tuple((np.array(SECONDS) * rate + jitter).astype(int).tolist()), (0,) * len(SECONDS)
        )
        for name, rate in per_second.items()
    )
    process = ProcessSummary(1, "shop", len(SECONDS), seconds=SECONDS, classes=classes)
    return Findings(run, verdict, findings=findings, processes=(process,) * processes)


def names(found: Comparison) -> tuple[list[str], list[str]]:
    return [pace.name for pace in found.faster], [pace.name for pace in found.slower]


def test_findings_are_new_known_or_gone_by_their_fingerprint() -> None:
    old, both, new = leak("shop.Cart", "1"), leak("shop.Order", "2"), leak("shop.User", "3")
    found = compare(report(old, both), report(replace(both, type="shop.Order2"), new))
    assert ([f.type for f in found.new], [f.type for f in found.gone]) == (["shop.User"], ["shop.Cart"])
    assert [(pair.before.type, pair.after.type) for pair in found.known] == [("shop.Order", "shop.Order2")]


def test_the_same_run_twice_differs_in_nothing() -> None:
    found = compare(report(leak("a", "1"), Order=10.0), report(leak("a", "1"), Order=10.0))
    assert not (found.new or found.gone or found.faster or found.slower or found.notes)


def test_what_grows_faster_is_told_with_its_interval() -> None:
    found = compare(report(Order=10.0, Cart=5.0), report(Order=20.0, Cart=5.0))
    assert names(found) == (["shop.Order"], [])
    (pace,) = found.faster
    assert pace.before is not None and pace.after is not None
    assert pace.before.low <= 600 <= pace.before.high < pace.after.low <= 1200 <= pace.after.high


def test_a_difference_within_the_uncertainty_or_under_a_tenth_is_none() -> None:
    assert names(compare(report(Order=10.0), report(Order=10.5))) == ([], [])
    noise = np.random.default_rng(1).normal(0, 60, len(SECONDS)).cumsum() / 4
    shaky = ClassSeries("shop.Order", tuple((np.array(SECONDS) * 14 + noise).astype(int).tolist()), (0,) * len(SECONDS))
    process = replace(report().processes[0], classes=(shaky,))
    slope = trends.slope_interval(np.array(SECONDS), np.array(shaky.counts, dtype=float))
    assert slope[1] < slope[0] < slope[2]
    before = report(Order=float(slope[2]) - 0.1)
    assert names(compare(before, replace(before, processes=(process,)))) == ([], [])


def test_what_began_to_grow_and_what_does_not_grow_any_more() -> None:
    assert names(compare(report(Cart=10.0), report(Order=10.0))) == (["shop.Order"], ["shop.Cart"])


def test_a_saw_tooth_has_no_pace() -> None:
    teeth = ClassSeries("shop.Order", tuple(int(k % 8) * 50 for k in range(40)), (0,) * 40)
    before = report()
    assert names(compare(before, replace(before, processes=(replace(before.processes[0], classes=(teeth,)),)))) == (
        [],
        [],
    )


def test_the_processes_of_a_run_count_together_and_a_note_says_how_many_there_were() -> None:
    found = compare(report(Order=10.0), report(Order=10.0, processes=2))
    assert names(found) == (["shop.Order"], [])
    assert found.faster[0].after is not None and found.faster[0].after.per_minute == pytest.approx(1200, rel=0.02)
    assert "1 and 2 processes" in found.notes[0]


def test_places_come_before_classes_and_a_renamed_one_is_known_again() -> None:
    def grown(owner: str, rate: int) -> Findings:
        place = HolderSeries(owner, SECONDS, tuple(int(s) * rate for s in SECONDS))
        base = report(Order=float(rate))
        return replace(base, processes=(replace(base.processes[0], holders=(place,)),))

    found = compare(grown("warnings.onceregistry", 10), grown("_py_warnings.onceregistry", 20))
    assert [(pace.what, pace.name) for pace in found.faster] == [
        ("place", "_py_warnings.onceregistry"),
        ("class", "shop.Order"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (report(verdict="inconclusive"), report(), "may have been there already"),
        (report(), report(verdict="inconclusive"), "may only not have shown"),
        (report(), report(run=replace(RUN, command=("python", "other.py"))), "different commands"),
        (report(), report(run=replace(RUN, python="3.13.0")), "Python 3.11 and 3.13"),
    ],
)
def test_what_limits_the_comparison_is_said(before: Findings, after: Findings, words: str) -> None:
    (note,) = compare(before, after).notes
    assert words in note


def test_an_interpreter_elsewhere_is_no_other_command() -> None:
    assert not compare(report(), report(run=replace(RUN, command=("/venv/bin/python", "shop.py")))).notes
