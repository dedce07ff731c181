"""`leakhunt export` and `leakhunt query` as typed, the commands of docs/queries.md among them."""

from __future__ import annotations

import importlib
import json
import shlex
import sys
from pathlib import Path

import networkx
import pandas
import pytest
from heap import Heap, run_folder
from pages import DOCS, QUESTIONS, worker

import leakhunt
from leakhunt.cli.app import invoke
from leakhunt.errors import UsageError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the run folder run1, of three workers; the third one's orders grow."""
    run_folder(tmp_path / "run1", worker(101, 0), worker(102, 0), worker(103, 20))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert invoke(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert invoke(list(arguments)) in (2, 3)
    said = capsys.readouterr().err
    assert said.startswith("leakhunt: ")
    assert said.count("\n") == 1
    return said


def test_there_are_ten_questions_and_a_command_for_each_format() -> None:
    assert sum("leakhunt query" in command for command in QUESTIONS) >= 10
    assert sum("leakhunt export" in command for command in QUESTIONS) == 5


@pytest.mark.parametrize("command", QUESTIONS, ids=[" ".join(command.split())[15:55] for command in QUESTIONS])
def test_every_command_of_the_docs_runs(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(command)
    assert program == "leakhunt"
    if "run1.parquet" in arguments and arguments[0] == "query":
        asked(capsys, "export", "run1", "-o", "run1.parquet")
    said = asked(capsys, *arguments)
    if arguments[0] == "export":
        assert (here / arguments[arguments.index("-o") + 1]).exists()
    elif "value IS NOT NULL" not in command:  # the run was made without --values
        assert "No rows." not in said
        assert "leakhunt" not in said


def test_the_tables_page_is_that_of_the_tables() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        page = importlib.import_module("make_tables").page()
    finally:
        sys.path.remove(str(DOCS))
    assert (DOCS / "tables.md").read_text() == page, "run python docs/make_tables.py"


def test_worker_3_has_what_the_others_have_not(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = "SELECT pid, objects FROM types WHERE type = 'shop.Order' ORDER BY pid"
    rows = json.loads(asked(capsys, "query", question, "run1", "--format", "json"))
    assert rows == [{"pid": 103, "objects": 480}]
    assert asked(capsys, "query", question, "run1", "--format", "csv") == "pid,objects\n103,480\n"
    assert "480" in asked(capsys, "query", question, "run1")


def test_text_shows_the_first_rows_and_says_how_many_more(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = asked(capsys, "query", "SELECT object FROM objects ORDER BY 1", "run1", "--limit", "3")
    assert "more rows (--limit shows more)" in said


def test_what_duckdb_does_not_understand_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Parser Error" in refused(capsys, "query", "SELEC", "run1")
    assert "Tables: processes" in refused(capsys, "query", "SELECT * FROM nothing", "run1")
    assert "Candidate bindings" in refused(capsys, "query", "SELECT sise_bytes FROM objects", "run1")
    assert "There is no file run2" in refused(capsys, "query", "SELECT 1", "run2")


@pytest.mark.parametrize("target", ["run1/pid-103.0/000024.leak", "run1"])
def test_a_snapshot_can_be_asked_as_a_run_can(target: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = "SELECT count(*) AS n FROM objects WHERE type = 'shop.Order'"
    assert json.loads(asked(capsys, "query", question, target, "--format", "json")) == [{"n": 480}]


def test_a_notebook_gets_a_data_frame(here: Path) -> None:
    run, lone = leakhunt.load("run1"), leakhunt.load("run1/pid-103.0/000024.leak")
    for view in (run, lone):
        frame = view.sql("SELECT type, count(*) AS n FROM objects GROUP BY type ORDER BY n DESC")
        assert isinstance(frame, pandas.DataFrame)
        assert frame.set_index("type")["n"]["shop.Order"] == 480


def test_graphml_is_read_by_networkx(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "export", "run1", "-o", "orders.graphml", "--type", "shop.Order")
    graph = networkx.read_graphml("orders.graphml")
    (orders,) = [node for node, data in graph.nodes(data=True) if data["role"] == "leaked"]
    assert graph.nodes[orders]["type"] == "shop.Order"
    assert graph.nodes[orders]["count"] == 480
    assert [graph.nodes[node]["type"] for node in graph.predecessors(orders)] == ["builtins.list"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "heap.foo"), "does not say in which format"),
        (("-o", "heap.dot"), "wants a class"),
        (("-o", "heap.heapsnapshot", "--type", "shop.Order"), "is of the whole heap"),
        (("-o", "heap.heapsnapshot", "--every"), "--every is for parquet"),
        (("-o", "nowhere/heap.heapsnapshot"), "cannot be written"),
        (("-o", "orders.dot", "--type", "shop.Orders"), "Did you mean shop.Store"),
        (("-o", "heap", "--format", "tape"), "There is no export format"),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: tuple[str, ...], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "export", "run1", *arguments)
    assert [path.name for path in here.iterdir()] == ["run1"]


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("pyarrow", ("export", "run1", "-o", "run1.parquet"), "leakhunt[export]"),
        ("duckdb", ("query", "SELECT 1", "run1"), "leakhunt[query]"),
    ],
)
def test_a_missing_extra_is_one_sentence_with_the_command_to_type(
    module: str,
    arguments: tuple[str, ...],
    extra: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install '{extra}'" in refused(capsys, *arguments)
    assert [path.name for path in here.iterdir()] == ["run1"]


def test_a_snapshot_of_a_living_interpreter_is_in_no_file() -> None:
    from leakhunt.notebook import HeapView

    with pytest.raises(UsageError, match="not in a file"):
        HeapView(Heap().snapshot()).sql("SELECT 1")
