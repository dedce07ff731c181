"""`leakhunt run --to` and `leakhunt fleet`: what is written, whole or not at all; what is asked, by which engine."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_runs import LEAK, fill, runs

pytest.importorskip("ibis")
pytest.importorskip("fsspec")

from leakhunt.cli.app import invoke
from leakhunt.errors import LeakhuntError
from leakhunt.findings import Fleet
from leakhunt.fleet import columns, questions
from leakhunt.fleet.ending import program_name
from leakhunt.fleet.engine import Engine, engine
from leakhunt.fleet.place import Place
from leakhunt.fleet.report import report
from leakhunt.fleet.tables import rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fleet")
    fill(str(made))
    return made


def asked(place: str, name: str = "duckdb", service: str | None = None, since: str | None = None) -> Fleet:
    with engine(Place(place), name) as answering:
        return report(answering, name, place, service, since, lambda what, share: None)


# What it says


def test_a_leak_is_merged_over_processes_and_releases(place: Path) -> None:
    found = asked(str(place))
    (leak,) = found.findings
    assert (leak.fingerprint, leak.holder, leak.line) == (LEAK.fingerprint, "shop.Store.orders", 12)
    assert (leak.processes, leak.watched, leak.hosts) == (24, 72, 6)
    assert leak.since_release == "1.2"
    assert [(one.release, one.processes, one.of) for one in leak.releases] == [("1.2", 12, 24), ("1.10", 12, 24)]
    assert leak.bytes_per_hour == pytest.approx(2e6)
    assert leak.lost_bytes == pytest.approx(24 * 20 * 2e6, rel=0.05)  # less the gap between two days


def test_the_worker_unlike_its_peers_is_named_and_no_other(place: Path) -> None:
    """In 1.2 and 1.10 every other worker leaks: two kinds of workers, and nobody is unlike the others."""
    found = asked(str(place))
    assert {(one.host, one.process, one.release) for one in found.odd} == {("web3", "pid-102.0", "1.1")}
    assert {one.what for one in found.odd} >= {"memory", "builtins.bytearray"}
    memory = next(one for one in found.odd if one.what == "memory")
    assert memory.value > 29e6 and memory.z > 5 and memory.peers == 24


def test_releases_are_in_order_of_their_time_with_their_spread(place: Path) -> None:
    found = asked(str(place))
    assert [one.release for one in found.releases] == ["1.1", "1.2", "1.10"]
    for one in found.releases:
        assert one.lowest <= one.lower <= one.median <= one.upper <= one.highest
        assert (one.processes, one.hosts) == (24, 6)


def test_a_process_that_lived_over_midnight_is_one(place: Path) -> None:
    days = {path.name for path in (place / "processes").glob("*/*/*/*")}
    assert len(days) > 3
    assert asked(str(place)).processes == 72


def test_medians_are_exact(place: Path) -> None:
    import numpy as np

    with engine(Place(str(place))) as answering:
        people = questions.workers(answering.tables["processes"])
        values: dict[str, list[float]] = {}
        for row in answering.rows(people):
            values.setdefault(row["release"], []).append(row["bytes_per_hour"])
        for one in answering.rows(questions.releases(people)):
            assert one["median"] == pytest.approx(np.median(values[one["release"]]), rel=1e-12)
            assert one["lowest"] == min(values[one["release"]])


def test_since_and_service_choose(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = asked(str(place), since="2026-11-20")
    assert [one.release for one in later.releases] == ["1.10"] or later.processes < 72
    assert invoke(["fleet", str(place), "--service", "shoq"]) == 2
    assert "There are runs of: shop." in capsys.readouterr().err


# The place


def test_a_run_counts_only_when_all_of_it_is_there(place: Path, tmp_path: Path) -> None:
    """`processes` is written last; a run that died before that is not seen."""
    shutil.copytree(place, tmp_path / "half")
    for file in (tmp_path / "half" / "processes").rglob("web0-1.2.parquet"):
        file.unlink()
    found = asked(str(tmp_path / "half"))
    assert found.processes == 68
    assert found.findings[0].processes == 22


def test_what_can_not_be_written_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings, origin = next(runs())
    at = Place(str(tmp_path / "place"))

    def broken(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(at.fs, "mv", broken)
    with pytest.raises(LeakhuntError, match="the disk is full"):
        at.write(rows(findings, origin), origin)
    assert not [path for path in (tmp_path / "place").rglob("*") if path.is_file()]


def test_names_that_are_no_folder_names_come_back_as_they_were(tmp_path: Path) -> None:
    findings, origin = next(runs())
    odd = type(origin)(**{**vars(origin), "service": "shop/web=1 ä", "release": "1.0", "host": ""})
    Place(str(tmp_path)).write(rows(findings, odd), odd)
    found = asked(str(tmp_path))
    assert (found.releases[0].service, found.releases[0].release) == ("shop/web=1 ä", "1.0")
    assert [path for path in tmp_path.rglob("*") if path.name.startswith("host=unknown")]


def test_every_column_has_a_meaning_and_is_written(place: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for table, expected in columns.TABLES.items():
        file = next((place / table).rglob("*.parquet"))
        assert parquet.read_schema(file).names == [column.name for column in expected]
    page = (Path(__file__).parent.parent / "docs" / "fleet.md").read_text()
    for table, expected in columns.TABLES.items():
        for column in expected:
            assert f"| `{column.name}` | {column.means} |" in page, (table, column.name)


def test_a_place_without_runs_and_one_of_no_protocol_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["fleet", str(tmp_path)]) == 2
    assert "holds no runs" in capsys.readouterr().err
    assert invoke(["fleet", "nowhere://x"]) == 2
    assert "can't be reached" in capsys.readouterr().err
    assert invoke(["fleet", str(tmp_path), "--engine", "abacus"]) == 2
    assert "There is no engine 'abacus'" in capsys.readouterr().err
    assert invoke(["fleet", str(tmp_path), "--since", "soon"]) == 2
    assert "is no time" in capsys.readouterr().err


# The formats


def test_text_json_and_page(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["fleet", str(place), "--fail-on-leak"]) == 1
    text = capsys.readouterr().out
    assert "1 leak in 72 processes on 6 hosts" in text
    assert "since release 1.2" in text and "web3 pid-102.0 of shop 1.1" in text
    assert invoke(["fleet", str(place), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["findings"][0]["fingerprint"] == LEAK.fingerprint
    page = tmp_path / "fleet.html"
    assert invoke(["fleet", str(place), "-o", str(page)]) == 0
    html = page.read_text()
    assert html.count("<svg") == 2 and "shop.Store.orders" in html
    assert "src=" not in html and 'href="http' not in html


def test_a_name_is_neither_markup_nor_a_formula(tmp_path: Path) -> None:
    name = "<script>$\\frac{1$</script>"
    for findings, origin in runs(hosts=2):
        odd = type(origin)(**{**vars(origin), "service": name})
        Place(str(tmp_path / "place")).write(rows(findings, odd), odd)
    page = tmp_path / "fleet.html"
    assert invoke(["fleet", str(tmp_path / "place"), "-o", str(page)]) == 0
    assert "<script>" not in page.read_text() and "&lt;script&gt;$" in page.read_text()


def test_sql_asks_the_tables(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = "SELECT release, count(*) AS n FROM processes GROUP BY release ORDER BY n DESC, release"
    assert invoke(["fleet", "sql", question, str(place), "--format", "json"]) == 0
    assert {row["release"] for row in json.loads(capsys.readouterr().out)} == {"1.1", "1.2", "1.10"}
    assert invoke(["fleet", "sql", "SELECT nothing FROM processes", str(place)]) == 2
    assert "The engine says" in capsys.readouterr().err


@pytest.mark.parametrize("extra", ["fsspec", "ibis"])
def test_a_missing_extra_is_a_sentence_with_the_command(
    extra: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    assert invoke(["fleet", str(place)]) == 3
    assert "pip install 'leakhunt[fleet]'" in capsys.readouterr().err


# The same from Spark


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def every_question(answering: Engine) -> dict[str, list[dict[str, Any]]]:
    processes = questions.chosen(answering.tables["processes"], None, "shop", "2026-11-18")
    tables = {
        name: questions.chosen(answering.tables[name], processes, "shop", "2026-11-18")
        for name in ("findings", "classes", "samples")
    }
    people = questions.workers(processes)
    asked = {
        "releases": questions.releases(people), "findings": questions.findings(tables["findings"], people),
        "spread": questions.spread_of_findings(tables["findings"], people),
        "growth": questions.odd_by_growth(people), "classes": questions.odd_by_class(tables["classes"]),
        "memory": questions.memory(tables["samples"], 3600),
        "workers": people.order_by(*questions.WORKER),
    }  # fmt: skip
    return {name: [_plain(row) for row in answering.rows(question)] for name, question in asked.items()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Moments of either engine are of UTC, whether they say so or not."""
    return {k: v.replace(tzinfo=None).isoformat() if hasattr(v, "tzinfo") else v for k, v in row.items()}


@pytest.mark.story
def test_spark_gives_the_same_rows_as_duckdb(place: Path) -> None:
    pytest.importorskip("pyspark")
    if not shutil.which("java"):
        pytest.skip("Spark needs Java")
    with engine(Place(str(place)), "duckdb") as answering:
        expected = every_question(answering)
    with engine(Place(str(place)), "local[2]") as answering:
        found = every_question(answering)
    assert found.keys() == expected.keys()
    for name, rows_ in expected.items():
        assert rows_, name
        assert len(found[name]) == len(rows_), name
        for one, other in zip(found[name], rows_, strict=True):
            assert same(one, other), (name, one, other)


# S3


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks S3: moto's."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    with open(log, "w") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline and server.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.story
def test_a_bucket_is_a_place_as_a_folder_is(
    s3: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import fsspec

    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("leaks")
    fill("s3://leaks/prod", hosts=4, workers=3)
    assert invoke(["fleet", "s3://leaks/prod"]) == 0
    assert "1 leak in 36 processes on 4 hosts" in capsys.readouterr().out
    assert invoke(["fleet", "s3://no-such-bucket/prod"]) in (2, 3)
    assert "Traceback" not in capsys.readouterr().err


# The whole way


def test_what_a_program_is_called() -> None:
    assert program_name(["/usr/bin/python3", "/srv/shop.py", "--port", "1"]) == "shop"
    assert program_name([]) == "unknown"


@pytest.mark.story
def test_a_run_goes_to_its_place_when_it_is_over(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import time\nclass Order: pass\nORDERS = []\n"
        "for _ in range(60):\n    ORDERS.extend(Order() for _ in range(20))\n    time.sleep(0.05)\n"
    )
    words = [sys.executable, "-m", "leakhunt", "run", "-q", "--interval", "0.1", "--to", "place", "--release", "1.4"]
    environment = {**os.environ, "OTEL_SERVICE_NAME": "shop"}
    done = subprocess.run(
        [*words, "--", sys.executable, "shop.py"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = asked(str(tmp_path / "place"))
    assert [(one.service, one.release) for one in found.releases] == [("shop", "1.4")]
    assert [leak.holder for leak in found.findings] == ["__main__.ORDERS"]
