"""The report on a terminal, as golden files and as promises. `UPDATE_GOLDEN=1 pytest` rewrites the files."""

from __future__ import annotations

import dataclasses
import doctest
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from leakhunt.errors import UsageError
from leakhunt.findings import Chain, Diff, DiffRow, Finding, Findings, Growth
from leakhunt.render import REGISTRY, renderer, series, tables, units, words
from leakhunt.render.text import Text, chain_trees, diff_table

from . import sample

GOLDEN = Path(__file__).parent / "golden"


def check(name: str, written: str) -> None:
    """`written` is what the golden file says."""
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(written, encoding="utf-8")
    assert written == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(sample.ALL))
def test_report_reads_as_its_golden_file(name: str) -> None:
    check(name, Text(width=100).render(sample.ALL[name]()))


def test_report_in_ascii_on_a_narrow_terminal() -> None:
    written = Text(width=70, encoding="ascii").render(sample.leak())
    assert written.isascii()
    assert max(map(len, written.splitlines())) <= 70
    check("leak_ascii_70", written)


@pytest.mark.parametrize("name", sorted(sample.ALL))
def test_any_report_can_be_written_in_ascii_and_utf8(name: str) -> None:
    assert Text(encoding="ascii").render(sample.ALL[name]()).isascii()
    Text(color=True).render(sample.ALL[name]()).encode("utf-8")


def test_the_usual_report_fits_one_screen() -> None:
    assert len(Text().render(sample.leak()).splitlines()) <= 24


def test_colour_adds_nothing_but_escapes() -> None:
    plain, coloured = Text().render(sample.leak()), Text(color=True).render(sample.leak())
    assert "\x1b[" in coloured and "\x1b" not in plain
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_names_of_the_target_never_reach_the_terminal_raw() -> None:
    written = Text().render(sample.hostile())
    assert "\x1b" not in written and "\u202e" not in written
    assert "\\x1b[31m\\u202e" in written


def test_a_lone_surrogate_can_be_written() -> None:
    finding = Finding("python-leak", "m.\ud800", 1)
    written = Text().render(Findings(sample.run(), "leak", "", (finding,)))
    assert "m.\\ud800" in written
    written.encode("utf-8")


def test_square_brackets_are_not_markup() -> None:
    finding = Finding("python-leak", "m.Box[bold]", 1, reason="[red]x[/red] and :smile:")
    written = Text().render(Findings(sample.run(), "leak", "", (finding,)))
    assert "m.Box[bold]" in written and "[red]x[/red] and :smile:" in written


def test_more_than_three_findings_are_counted() -> None:
    written = Text().render(sample.many())
    assert "+ 4 more (leakhunt report leakhunt-runs/app --format json)" in written
    assert "\n4. " not in written


def test_a_run_that_was_not_kept_names_no_next_command() -> None:
    assert words.next_command(sample.refcount(), sample.refcount_finding()) == ""
    assert "   next " not in Text().render(sample.refcount())
    assert "   next " in Text().render(sample.leak())


def test_the_next_command_can_be_pasted_into_a_shell() -> None:
    spaced = dataclasses.replace(sample.leak(), run=sample.run(path="my runs/a b"))
    assert "backrefs 'my runs/a b' --type" in words.next_command(spaced, spaced.findings[0])


def test_native_growth_points_to_the_plot() -> None:
    finding = Finding("native-growth", "", 1)
    assert words.next_command(sample.leak(), finding).startswith("leakhunt plot ")


def test_a_long_path_is_drawn_without_its_middle() -> None:
    link = sample.cookie_chain().links[2]
    chain = Chain(tuple(dataclasses.replace(link, label=f".step{n}") for n in range(40)))
    finding = dataclasses.replace(sample.cookie_finding(), chain=chain)
    written = Text().render(dataclasses.replace(sample.leak(), findings=(finding,)))
    assert ".step0 " in written and ".step39 " in written and ".step20 " not in written
    assert "28 more steps" in written


def test_chains_share_their_trunk_and_mark_finalizers() -> None:
    links = sample.cookie_chain().links
    written = chain_trees([Chain(links), Chain((*links[:3], dataclasses.replace(links[3], label=".other")))])
    assert written.count(".SESSION") == 1 and ".other" in written
    assert "! __del__ at aiohttp/cookiejar.py:212" in written
    check("chains", written)


def test_no_chain_is_said_in_words() -> None:
    assert "No chain" in chain_trees([])


def test_diff_reads_as_its_golden_file() -> None:
    check("diff", diff_table(sample.diff(), width=100))


def test_diff_without_graphs_has_no_columns_for_births() -> None:
    rows = tuple(dataclasses.replace(r, births=None, deaths=None, survivors=None) for r in sample.diff().rows)
    written = diff_table(Diff("a", "b", 1.0, rows))
    assert "born" not in written and "+23,560" in written and "-8" in written


def test_diff_counts_what_its_limit_hides() -> None:
    rows = tuple(DiffRow(f"m.T{n}", 0, n, 0, n) for n in range(30))
    assert "+ 5 more classes" in diff_table(Diff("a", "b", 1.0, rows))
    assert "m.T29" in diff_table(Diff("a", "b", 1.0, rows), limit=0)


@pytest.mark.parametrize("name", sorted(sample.ALL))
def test_json_gives_the_findings_back(name: str) -> None:
    findings = sample.ALL[name]()
    written = renderer("json")().render(findings)
    assert isinstance(written, str)
    assert Findings.from_json(written) == findings


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="text, json, html"):
        renderer("pdf")


def test_registry_holds_the_contract_formats() -> None:
    assert list(REGISTRY) == ["text", "json", "html"]
    assert "pdf" not in REGISTRY


def test_text_loads_neither_matplotlib_nor_jinja2() -> None:
    code = (
        "import sys, leakhunt.render as r; r.REGISTRY['text']; sys.exit(len({'matplotlib', 'jinja2'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=GOLDEN.parents[2]).returncode == 0


def test_a_growth_without_a_rate_says_so() -> None:
    assert words.growth(Finding("python-leak", "T", growth=Growth())) == "no steady rate"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_question_marks(number: float) -> None:
    assert units.count(number) == units.size(number) == "?"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_499, "999 kB"), (999_500, "1.0 MB")],
)
def test_sizes_never_show_four_digits(number: int, text: str) -> None:
    assert units.size(number) == text


@pytest.mark.parametrize("module", [units, words, series, tables], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module: types.ModuleType) -> None:
    tried = doctest.testmod(module)
    assert tried.attempted and not tried.failed


def test_a_note_that_many_processes_share_is_said_once() -> None:
    notes = {pid: (f"Snapshots came up to {pid} s apart.",) for pid in range(20, 80)} | {90: ("Another one.",)}
    processes = tuple(sample.process(pid, (1, 2), notes=told) for pid, told in notes.items())
    page = Text().render(dataclasses.replace(sample.healthy(), processes=processes))
    assert page.count("apart") == 1
    said = "processes 20, 21, 22 and 57 more: Snapshots came up to 20 s apart. (figures of process 20)"
    assert said in " ".join(page.split())
    assert "process 90: Another one." in page


@pytest.mark.parametrize(("pids", "said"), [((1,), "process 1: "), ((1, 2), "processes 1 and 2: ")])
def test_processes_are_listed_as_in_a_sentence(pids: tuple[int, ...], said: str) -> None:
    processes = tuple(sample.process(pid, (1, 2), notes=("killed",)) for pid in pids)
    assert words.process_notes(dataclasses.replace(sample.healthy(), processes=processes)) == [f"{said}killed"]
