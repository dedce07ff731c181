"""The HTML report: one file, nothing fetched, nothing unescaped; in Chromium, where there is one, it works."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leakhunt.findings import Chain, ClassSeries, Finding, Findings, Growth, Holder, Link
from leakhunt.render import chart, classes
from leakhunt.render.chart import Chart, Curve, ticks
from leakhunt.render.classes import class_data, digits
from leakhunt.render.explore import spectrum_page
from leakhunt.render.html import Html, steps

from . import sample

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "input", "br", "path", "rect", "polygon", "polyline"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed, in order; keeps ids, targets and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:  # Chromium closes the empty elements of SVG
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def large(types: int = 5000, moments: int = 500) -> Findings:
    pick = random.Random(4)
    series = tuple(
        ClassSeries(
            f"some_package.part{n % 80}.module{n % 300}.Class{n}",
            tuple(n + i * n // 50 if n % 3 else pick.randrange(40) for i in range(moments)),
            tuple(i * n for i in range(moments)),
        )
        for n in range(types)
    )
    values = tuple(range(moments))
    process = sample.process(seconds=values, rss_bytes=values, gc_objects=values, classes=series, snapshots=moments)
    return dataclasses.replace(sample.leak(), processes=(process,))


@pytest.mark.parametrize("name", sorted(sample.ALL))
def test_any_report_is_well_formed_and_fetches_nothing(name: str) -> None:
    page = Page(Html().render(sample.ALL[name]()))
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "base", "object")
        assert not {"src", "onclick", "onload", "style"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")


@pytest.mark.parametrize("name", sorted(sample.ALL))
def test_links_and_labels_lead_somewhere_and_ids_are_unique(name: str) -> None:
    tags = Page(Html().render(sample.ALL[name]())).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(a.get("href") or "")[1:] for _, a in tags if "href" in a} | {a.get("aria-labelledby") for _, a in tags}
    assert targets - {None} <= set(ids)


@pytest.mark.parametrize("name", sorted(sample.ALL))
def test_no_two_regions_have_the_same_name(name: str) -> None:
    tags = Page(Html().render(sample.ALL[name]())).tags
    regions = [a for tag, a in tags if tag in ("section", "nav") or a.get("role") == "region"]
    named = [a.get("aria-label") or a.get("aria-labelledby") for a in regions]
    assert None not in named and len(named) == len(set(named))


def test_nothing_that_unfolds_has_a_link_in_its_heading() -> None:
    headings = re.findall(r"<summary>(.*?)</summary>", Html().render(sample.leak()), re.DOTALL)
    assert headings and not any("<a " in heading for heading in headings)


def test_the_verdict_comes_first_and_everything_of_the_finding_is_said() -> None:
    text = Page(Html().render(sample.leak())).text()
    body = text.partition("LEAK: ")[2]
    wanted = [
        "LEAK aiohttp.cookiejar.Morsel piles up",
        "almost certain, 98%",
        "Bound the jar",
        "+7,440/min, +900 kB/min",
        "aiohttp.cookiejar.CookieJar._cookies at aiohttp/cookiejar.py:61",
        "module shop.client",
        "._cookies collections.defaultdict at aiohttp/cookiejar.py:61 holds and only grows",
        "has __del__ at aiohttp/cookiejar.py:212",
        "grows here",
        "shop.db.Cursor.__del__ at shop/db.py:40",
        "cut here",
        "leakhunt backrefs leakhunt-runs/app",
        "RSS 20 MB to 48 MB",
        "Time for which the program stood still",
    ]
    places = [body.find(words) for words in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)


def test_what_keeps_the_memory_is_told_as_a_list_too_with_the_way_to_the_finding_open() -> None:
    page = Page(Html().render(sample.leak()))
    text = page.text()
    assert "30 MB, 62% aiohttp.cookiejar.CookieJar._cookies and elsewhere (collections.defaultdict) finding 1" in text
    assert "20 MB, 42% aiohttp.cookiejar.Morsel ×24,180 finding 1" in text
    of_list = [attributes.keys() for tag, attributes in page.tags if tag == "details"][1:]  # after the graph's own
    assert of_list == [{"class", "open"}, *[{"open"}] * 3]


def test_without_a_graph_there_is_no_treemap() -> None:
    findings = dataclasses.replace(sample.leak(), processes=(sample.process(retained=None),))
    assert "What keeps the memory" not in Page(Html().render(findings)).text()


def test_a_finding_too_far_down_for_the_page_is_named_without_a_link() -> None:
    found = tuple(sample.cookie_finding(rank) for rank in range(1, 20))
    process = sample.process(4711, tuple(range(1, 20)))
    page = Page(Html().render(dataclasses.replace(sample.leak(), findings=found, processes=(process,))))
    assert "finding 12 finding 13" in page.text()
    targets = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert "#finding-12" in targets and "#finding-13" not in targets


def test_a_healthy_report_accuses_nobody() -> None:
    text = Page(Html().render(sample.healthy())).text()
    assert "HEALTHY Nothing grows without end." in text
    assert "grows here" not in text and "cut here" not in text


def test_an_inconclusive_report_says_how_long_to_run() -> None:
    assert "at least 2 minutes" in Page(Html().render(sample.inconclusive())).text()


def test_a_run_that_saw_nothing_is_a_page_too() -> None:
    text = Page(Html().render(Findings(sample.run(), "inconclusive"))).text()
    assert "No process was seen." in text and "No classes were counted." in text


def test_processes_stand_side_by_side() -> None:
    text = Page(Html().render(sample.two_processes())).text()
    assert "Process 4711" in text and "Process 4712" in text and "killed by SIGKILL" in text


def test_no_name_of_the_target_becomes_markup_or_script() -> None:
    html = Html().render(sample.hostile())
    assert "<script>alert" not in html
    assert "\x1b" not in html and "\u202e" not in html
    assert [tag for tag, _ in Page(html).tags].count("script") == 2


def test_class_data_cannot_end_its_script() -> None:
    process = sample.process(classes=(ClassSeries("</script><b>", (1, 2), (3, 4)),))
    data = class_data(dataclasses.replace(sample.leak(), processes=(process,)))
    assert "<" not in data
    assert json.loads(data)[0]["rows"] == [["</script><b>", 1, 2, 3, 4, "0z"]]


def test_a_lone_surrogate_can_be_written() -> None:
    findings = Findings(sample.run(), "leak", "", (Finding("python-leak", "m.\ud800", 1),))
    assert b"m.\\ud800" in Html().render(findings).encode("utf-8")


def test_five_thousand_classes_over_five_hundred_snapshots_stay_small_and_quick() -> None:
    findings = large()
    began = time.monotonic()
    size_bytes = len(Html().render(findings).encode())
    assert size_bytes < 5_000_000 / 4
    assert time.monotonic() - began < 10


def test_of_too_many_classes_those_that_moved_least_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "ROWS", 3)
    (table,) = json.loads(class_data(sample.leak()))
    assert [row[0] for row in table["rows"]] == [
        "builtins.dict",
        "aiohttp.cookiejar.Morsel",
        "http.cookies.SimpleCookie",
    ]
    assert table["left_out"] == 1


def test_classes_of_which_only_the_ends_are_known_are_in_the_table_and_have_no_curve() -> None:
    quiet = ClassSeries("shop.Quiet", (3, 5), (30, 50))
    process = sample.process(quieter=(quiet,))
    (table,) = json.loads(class_data(dataclasses.replace(sample.leak(), processes=(process,))))
    assert ["shop.Quiet", 3, 5, 30, 50, None] in table["rows"]
    assert len(table["rows"]) == 5


def test_a_spark_of_a_constant_is_empty_and_of_a_long_series_short() -> None:
    assert digits([5] * 10) == "" and digits([]) == ""
    assert len(digits(range(500))) == 24 and digits(range(500))[-1] == "z"


def test_a_holder_path_without_a_chain_is_still_told() -> None:
    finding = dataclasses.replace(sample.cookie_finding(), chain=None)
    assert [step.label for step in steps(finding)] == list(sample.cookie_chain().path())
    assert steps(sample.refcount_finding()) == []


def test_the_holder_is_marked_once() -> None:
    marked = [step for step in steps(sample.cookie_finding()) if step.is_holder]
    assert [(step.label, step.place) for step in marked] == [("._cookies", "aiohttp/cookiejar.py:61")]


def test_a_nameless_holder_is_marked_where_it_is_and_its_place_where_the_name_is() -> None:
    # .listeners -> dict -> [*] -> list, which grows
    links = (*sample.cookie_chain().links[:4], Link("item", "[*]", "builtins.list"), Link("item", "[*]", "m.View"))
    holder = Holder("aiohttp.cookiejar.CookieJar._cookies", type="builtins.list", file="jar.py", line=3)
    told = steps(dataclasses.replace(sample.cookie_finding(), chain=Chain(links), holder=holder))
    assert [(step.place, step.is_holder) for step in told[3:]] == [("jar.py:3", False), ("", True), ("", False)]


def test_a_folded_box_leads_to_the_list_of_what_is_in_it() -> None:
    page = Page(Html().render(sample.leak()))
    assert "80 kB aiohttp.cookiejar.Morsel ['session'], 9 items" in page.text()
    assert "keeps 19 MB aiohttp.cookiejar.Morsel ×24,000 8 items each" in page.text()
    assert [a["href"] for tag, a in page.tags if tag == "a"].count("#folded-1-5") == 1


def test_native_growth_is_drawn_by_its_bytes() -> None:
    growth = Growth(0.0, 5e6, sample.SECONDS, (), sample.rising(1_000_000))
    finding = Finding("native-growth", "", 1, growth=growth)
    text = Page(Html().render(Findings(sample.run(), "leak", "", (finding,)))).text()
    assert "from 0 B to 19 MB" in text and "15 MB" in text


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 23), (-5, 5), (3, 3.001), (0, 1e12), (1e9, 1e9 + 7)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert all(low <= value <= high for value in found)


def test_a_chart_of_one_point_is_empty_and_of_a_constant_flat() -> None:
    assert Chart("t", [Curve([1.0], [1.0])]).svg() == ""
    flat = Chart("t", [Curve([0, 1, 2], [5, 5, 5])]).svg()
    (points,) = re.findall(r'<polyline class="main" points="([^"]+)"', flat)
    assert len({point.split(",")[1] for point in points.split()}) == 1


def test_a_chart_marks_only_moments_it_shows() -> None:
    drawn = Chart("t", [Curve([0, 10], [0, 1])], marks=(-1, 0, 5, 99)).svg()
    assert drawn.count('class="mark"') == 2


def test_a_long_chart_is_decimated() -> None:
    drawn = Chart("t", [Curve(range(9000), range(9000))]).svg()
    (points,) = re.findall(r'<polyline class="main" points="([^"]+)"', drawn)
    assert chart._POINTS / 2 < len(points.split()) <= chart._POINTS


def in_browser(folder: Path, html: str, script: str = "", width: int = 1280) -> Page:
    """The page as Chromium has it, `width` pixels wide, after its scripts, and after one more of ours, ran."""
    (folder / "report.html").write_text(html.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update --dump-dom"
    command = [
        str(CHROMIUM),
        *flags.split(),
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
        (folder / "report.html").as_uri(),
    ]
    return Page(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


def rows_of(page: Page) -> int:
    return (
        sum(tag == "th" and attributes.get("scope") == "row" for tag, attributes in page.tags) - 1
    )  # one of the costs


browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@browser
def test_in_a_browser_the_table_shows_200_rows_and_says_of_how_many(tmp_path: Path) -> None:
    page = in_browser(tmp_path, Html().render(large(1000, 20)))
    assert rows_of(page) == 200
    assert "200 of 1,000 classes" in page.text()
    assert [a["aria-sort"] for t, a in page.tags if "aria-sort" in a].index("descending") == 3


@browser
def test_in_a_browser_a_class_without_a_curve_says_so(tmp_path: Path) -> None:
    process = sample.process(quieter=(ClassSeries("shop.Quiet", (3, 5), (30, 50)),))
    page = in_browser(tmp_path, Html().render(dataclasses.replace(sample.leak(), processes=(process,))))
    assert "shop.Quiet 3 5 +2 50 B +20 B not kept" in page.text()


@browser
def test_in_a_browser_the_table_filters_and_sorts(tmp_path: Path) -> None:
    script = (
        "const f = document.getElementById('class-filter'); f.value = 'CLASS99'; f.dispatchEvent(new Event('input'));"
        "document.querySelector('#class-table th button').click();"
    )
    page = in_browser(tmp_path, Html().render(large(1000, 20)), script)
    names = re.findall(r"\.(Class99\d?) ", page.text())
    assert rows_of(page) == 11 == len(names)
    assert ("aria-sort", "ascending") in [item for _, a in page.tags for item in a.items()]


@browser
def test_in_a_browser_the_spectrum_of_ages_goes_back_in_time_and_puts_the_youngest_first(tmp_path: Path) -> None:
    old, young = [9, 1] + [0] * 8, [0] * 9 + [4]
    moments = [(1.0, {"shop.Table": old}), (2.5, {"shop.Table": old, "shop.Order": young})]
    page = spectrum_page(moments, "ages")
    assert re.search(r"2\.5 s\D* 10 shop.Table 4 shop.Order", in_browser(tmp_path, page).text())
    choose = "order.value = 'young'; order.dispatchEvent(new Event('change'));"
    assert "4 shop.Order 10 shop.Table" in in_browser(tmp_path, page, choose).text()
    back = "moment.value = 0; moment.dispatchEvent(new Event('input'));"
    text = in_browser(tmp_path, page, back).text()
    assert "1.0 s" in text and "10 shop.Table" in text and "4 shop.Order" not in text


@browser
def test_in_a_browser_pictures_get_buttons_that_enlarge(tmp_path: Path) -> None:
    page = in_browser(tmp_path, Html().render(sample.leak()), "document.querySelector('.zoom-bar button').click();")
    assert any(a.get("class") == "zoom scaled" for _, a in page.tags)


@browser
@pytest.mark.parametrize("width", [500, 800, 1280])  # Chromium has no narrower window
def test_in_a_browser_no_page_is_wider_than_its_window(tmp_path: Path, width: int) -> None:
    command = "/srv/shop/.venv/bin/python -m gunicorn --workers 4 --bind 0.0.0.0:8000 shop.wsgi:application"
    processes = tuple(dataclasses.replace(p, command=command) for p in (sample.process(), sample.process(4712, ())))
    findings = dataclasses.replace(sample.leak(), processes=processes)
    measure = "const e = document.documentElement; e.dataset.over = e.scrollWidth - innerWidth + ' of ' + innerWidth;"
    page = in_browser(tmp_path, Html().render(findings), measure, width)
    (measured,) = (attributes["data-over"] for tag, attributes in page.tags if tag == "html")
    over, _, shown = str(measured).partition(" of ")
    assert int(over) <= 0 and int(shown) == width


@browser
def test_in_a_browser_a_folded_box_opens_its_list(tmp_path: Path) -> None:
    click = "document.querySelector('.zoom a').dispatchEvent(new MouseEvent('click', {bubbles: true}));"
    page = in_browser(tmp_path, Html().render(sample.leak()), click)
    assert "open" in next(attributes for tag, attributes in page.tags if tag == "details")


@browser
def test_in_a_browser_a_large_report_opens_within_two_seconds(tmp_path: Path) -> None:
    script = (
        "addEventListener('load', () => setTimeout(() => "
        "document.body.setAttribute('data-ms', performance.getEntriesByType('navigation')[0].loadEventEnd), 0))"
    )
    page = in_browser(tmp_path, Html().render(large()), script)
    opened_ms = next(float(a["data-ms"] or 0) for tag, a in page.tags if tag == "body")
    assert 0 < opened_ms < 2000
