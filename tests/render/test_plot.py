"""Growth plots: a valid picture for any run, the accused on it, series that keep their shape."""

from __future__ import annotations

import dataclasses
import io
import itertools
import random
import subprocess
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from leakhunt.errors import UsageError
from leakhunt.findings import ClassSeries, Finding, Findings, HolderSeries
from leakhunt.render import plot
from leakhunt.render.plot import growth
from leakhunt.render.selection import CURVES_MAX, holder_curves, top_growing, top_processes
from leakhunt.render.series import decimate, spark, trend

from . import sample


def texts(findings: Findings, by: str = "class") -> list[str]:
    root = ElementTree.fromstring(growth(findings, "svg", by))
    return ["".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("by", ["class", "holder"])
@pytest.mark.parametrize("name", sorted(sample.ALL))
def test_any_run_gives_a_picture_and_no_warning(name: str, by: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = Image.open(io.BytesIO(growth(sample.ALL[name](), by=by)))
    picture.verify()
    assert picture.size[0] >= 1000


def test_the_picture_names_what_grows_and_by_how_much() -> None:
    said = texts(sample.leak())
    assert {"aiohttp.cookiejar.Morsel", "+23,560", "http.cookies.SimpleCookie", "+5,890"} <= set(said)
    assert "shop.db.Cursor" not in said  # did not grow
    assert any(line.startswith("LEAK") for line in said)
    assert "seconds since the start of the process" in said


def held(*holders: HolderSeries) -> Findings:
    """The leak of the samples, in a process with these holders."""
    return dataclasses.replace(sample.leak(), processes=(sample.process(holders=holders),))


def test_by_holder_the_places_that_grow_are_named_from_when_they_were_seen() -> None:
    late = HolderSeries("shop.cache.PRICES", sample.SECONDS[5:], sample.rising(7, 100, 15))
    accused = HolderSeries("aiohttp.cookiejar.CookieJar._cookies", sample.SECONDS, sample.rising(3))
    said = texts(held(late, accused), "holder")
    assert {"CookieJar._cookies", "+57", "shop.cache.PRICES", "+98"} <= set(said)
    assert "items more than after the warm-up" in said
    assert "aiohttp.cookiejar.Morsel" not in said


def test_the_accused_holder_comes_before_what_grew_more() -> None:
    more = HolderSeries("shop.cache.PRICES", sample.SECONDS, sample.rising(7))
    accused = HolderSeries("aiohttp.cookiejar.CookieJar._cookies", sample.SECONDS, sample.rising(3))
    findings = held(more, accused)
    curves = holder_curves(findings, findings.processes[0])
    assert [(curve.name, curve.is_accused) for curve in curves] == [(accused.owner, True), (more.owner, False)]


def test_of_very_many_holders_those_that_grew_most_are_drawn() -> None:
    many = [HolderSeries(f"shop.place_{n}", sample.SECONDS, sample.rising(n)) for n in range(40)]
    findings = held(*many)
    assert [curve.gain for curve in holder_curves(findings, findings.processes[0])] == [
        19 * n for n in range(39, 39 - CURVES_MAX, -1)
    ]


def test_a_process_in_which_no_holder_grew_says_so() -> None:
    assert "No holder was seen to grow." in texts(held(), "holder")


def test_what_cannot_be_plotted_by_is_refused() -> None:
    with pytest.raises(UsageError, match="class, holder"):
        growth(sample.leak(), by="colour")


def test_a_run_without_snapshots_says_so() -> None:
    assert texts(Findings(sample.run(), "inconclusive")) == ["No snapshot was taken, so there is nothing to plot."]


def test_a_process_in_which_nothing_grew_says_so() -> None:
    assert "No class grew." in texts(sample.two_processes())


def test_long_runs_are_told_in_hours_and_stay_small() -> None:
    pick, moments = random.Random(1), 3000
    seconds = tuple(5.0 * n for n in range(moments))
    noisy = tuple(n + pick.randrange(500) for n in range(moments))
    process = sample.process(seconds=seconds, classes=(ClassSeries("m.T", noisy, noisy),), rss_bytes=noisy)
    findings = dataclasses.replace(sample.leak(), processes=(process,))
    assert "hours since the start of the process" in texts(findings)
    assert len(growth(findings, "svg")) < 150_000


def test_the_ledger_says_what_malloc_has_where_it_could_be_asked() -> None:
    known = sample.process(malloc_in_use_bytes=sample.rising(9, 100), malloc_free_bytes=sample.rising(1, 50))
    said = texts(dataclasses.replace(sample.leak(), processes=(known, sample.process(4712))))
    for name in ("RSS", "in use by malloc", "kept free by malloc", "objects under gc"):
        assert said.count(name) == 1  # once for both processes
    assert "in use by malloc" not in texts(sample.leak())


def test_series_of_different_lengths_are_cut_to_the_shorter() -> None:
    process = sample.process(rss_bytes=(1, 2), gc_objects=(5,), seconds=sample.SECONDS[:7])
    assert growth(dataclasses.replace(sample.leak(), processes=(process,)))


def test_a_process_with_one_snapshot_is_drawn() -> None:
    process = sample.process(
        seconds=(1.0,), rss_bytes=(0,), gc_objects=(), deep_seconds=(), classes=(ClassSeries("m.T", (1,), (1,)),)
    )
    assert "No class grew." not in texts(sample.leak())
    assert growth(dataclasses.replace(sample.leak(), processes=(process,)))


def test_plotting_leaves_matplotlib_as_it_was_and_starts_no_gui() -> None:
    code = (
        "import sys, matplotlib; from tests.render import sample; from leakhunt.render.plot import growth\n"
        "growth(sample.leak()); assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert (matplotlib.rcParams['font.size'], matplotlib.rcParams['svg.hashsalt']) == (10.0, None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_same_findings_give_the_same_bytes() -> None:
    assert growth(sample.leak(), "svg") == growth(sample.leak(), "svg")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="png, svg"):
        growth(sample.leak(), "gif")


def test_the_accused_come_before_what_grew_more() -> None:
    findings = dataclasses.replace(sample.leak(), findings=(Finding("python-leak", "shop.db.Cursor", 1),))
    names = [series.type for series in top_growing(findings, findings.processes[0], 2)]
    assert names == ["shop.db.Cursor", "builtins.dict"]


def test_a_finding_of_another_process_accuses_nobody_here() -> None:
    findings = sample.two_processes()
    assert top_growing(findings, sample.process(4711), 1)[0].type == "builtins.dict"
    assert top_growing(findings, sample.process(4712), 1)[0].type == "aiohttp.cookiejar.Morsel"


def test_of_many_processes_those_with_findings_are_shown_in_order() -> None:
    processes = tuple(sample.process(pid, (1,) if pid in (8, 5) else ()) for pid in range(10))
    findings = dataclasses.replace(sample.leak(), processes=processes)
    assert [process.pid for process in top_processes(findings, 3)] == [0, 5, 8]
    assert any("+ 6 more processes" in line for line in texts(findings))


@pytest.mark.parametrize("limit", [4, 10, 60, 601])
def test_a_decimated_series_keeps_ends_and_extremes(limit: int) -> None:
    pick = random.Random(limit)
    ys = [pick.random() for _ in range(5000)]
    ys[2345], ys[777] = 9.0, -9.0
    xs, short = decimate(range(5000), ys, limit)
    assert len(short) <= limit
    assert (xs[0], xs[-1], short[0], short[-1]) == (0, 4999, ys[0], ys[-1])
    assert max(short) == 9.0 and min(short) == -9.0
    assert xs == sorted(set(xs))
    assert all(ys[int(x)] == y for x, y in zip(xs, short, strict=True))


def test_a_short_series_is_left_alone() -> None:
    assert decimate((1, 2), (5, 6), 600) == ([1.0, 2.0], [5.0, 6.0])


def test_a_spark_line_ends_where_the_series_ends() -> None:
    assert spark([*[0] * 99, 100])[-1] == "█"
    assert spark([5]) == "" and set(spark([5, 5, 5])) == {"▁"}


def test_the_trend_is_the_least_squares_line() -> None:
    assert trend([0, 1, 2], [1, 3, 5]) == (2.0, 1.0)
    assert trend([1, 1], [3, 4]) is None and trend([], []) is None


def test_labels_at_line_ends_keep_apart() -> None:
    places = plot._apart([0.5] * 7, 0.1)
    assert all(b - a >= 0.0999 for a, b in itertools.pairwise(places))
    assert places[-1] <= 1.1
