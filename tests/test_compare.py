"""`leakhunt compare` on run folders and kept reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from heap import Heap, run_folder

from leakhunt.cli.app import invoke
from leakhunt.snapshot import Snapshot


def shop(*places: str, pid: int = 7, moments: int = 24) -> list[Snapshot]:
    # module shop -> .<place> -> dict -> Order …
    heap = Heap(pid=pid)
    dicts = {place: heap.dict() for place in places}
    heap.module("shop", **dicts)

    def serve(k: int) -> None:
        for table in dicts.values():
            for _ in range(20):
                table.add(heap.instance("shop.Order"))

    return heap.live(serve, moments)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """The last release leaks in OPEN and OLD, this one in OPEN and NEW."""
    last = run_folder(tmp_path / "last", shop("OPEN", "OLD"))
    return last, run_folder(tmp_path / "this", shop("OPEN", "NEW", pid=99, moments=30))


def test_new_known_and_gone_are_told(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", *map(str, runs)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("1 new leak, 1 known, 1 gone\n")
    new, known, gone = (text.partition(title)[2] for title in ("New in B", "Known", "Gone in B"))
    assert new.index("shop.NEW") < new.index("Known")
    assert known.index("shop.OPEN") < known.index("Gone in B")
    assert "shop.OLD" in gone


def test_ci_fails_on_a_new_leak_alone(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    last, this = map(str, runs)
    assert invoke(["compare", last, this, "--fail-on-new"]) == 1
    assert invoke(["compare", last, last, "--fail-on-new"]) == 0
    assert capsys.readouterr().out.count("No new leak, 2 known, 0 gone") == 1


def test_a_kept_report_stands_for_its_run(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last, this = runs
    kept = tmp_path / "last.json"
    assert invoke(["report", str(last), "--format", "json", "-o", str(kept)]) == 0
    assert invoke(["compare", str(kept), str(this), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [f["holder"]["owner"] for f in found["new"]] == ["shop.NEW"]
    assert [pair["after"]["holder"]["owner"] for pair in found["known"]] == ["shop.OPEN"]
    assert [f["holder"]["owner"] for f in found["gone"]] == ["shop.OLD"]
    assert found["schema"] == 1


def test_a_run_in_which_no_python_ran_is_no_proof(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = run_folder(tmp_path / "empty")
    assert invoke(["compare", str(runs[0]), str(empty), "--fail-on-new"]) == 3
    assert "No Python process reported in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 1, "run": 3}', "\0", '{"schema":1,"run":{},"verdict":"x"}'],
)
def test_a_file_that_is_no_report_is_refused_in_words(
    text: str, runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd.json"
    odd.write_text(text)
    assert invoke(["compare", str(odd), str(runs[0])]) == 3
    assert "is not a leakhunt report" in capsys.readouterr().err


def test_a_report_of_another_form_is_refused(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "last.json"
    assert invoke(["report", str(runs[0]), "--format", "json", "-o", str(kept)]) == 0
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "schema": 9}))
    assert invoke(["compare", str(kept), str(runs[0])]) == 3
    assert "in another format" in capsys.readouterr().err
