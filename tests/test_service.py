"""`--service`: a folder with a run for each start, a log of findings, and a report on request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leakhunt import starts as service_starts
from leakhunt.errors import UsageError
from leakhunt.findings import Finding, Findings, Growth, Holder, RunSummary
from leakhunt.monitor.earlier import earlier
from leakhunt.monitor.follow import ProcessFigures
from leakhunt.monitor.log import FindingsLog
from leakhunt.monitor.watch import hourly_bytes, write_report
from leakhunt.runfolder import create, newest, read_run, starts

LEAKHUNT = (sys.executable, "-m", "leakhunt")
WORKER = Path(__file__).parent.parent / "sample_apps" / "services" / "worker.py"

SESSION = Finding(
    rank=1, kind="python-leak", type="shop.Session", confidence=0.98, reason="9 more",
    holder=Holder("shop.OPEN", file="shop.py", line=7), growth=Growth(120.0, 30_000.0), retained_size_bytes=5000,
    fingerprint="4f1c9a",
)  # fmt: skip
OTHER = replace(SESSION, type="shop.Cart", fingerprint="77aa77")


def found(*findings: Finding, verdict: str = "", seconds: float = 90.0) -> Findings:
    run = RunSummary(("python", "shop.py"), seconds, 20, "3.11.7")
    return Findings(run, verdict or ("leak" if findings else "healthy"), "Nothing grows.", findings)


# The log


def test_a_leak_is_told_once_and_again_when_it_has_changed() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append)
    for growth, retained in [(120.0, 5000), (150.0, 9000), (130.0, 19_000), (400.0, 19_500), (410.0, 21_000)]:
        log.tell(found(replace(SESSION, growth=Growth(growth, 30_000.0), retained_size_bytes=retained)))
    assert len(lines) == 2
    assert lines[0] == (
        "leakhunt: leak 4f1c9a: shop.Session held by shop.OPEN: 9 more at shop.py:7; +120/min, +0.03 MB/min, 98% sure"
    )
    assert lines[1].startswith("leakhunt: leak, changed 4f1c9a: ") and "+400/min" in lines[1]


def test_a_leak_that_goes_on_for_weeks_is_told_now_and_then() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append)
    for hour in range(1, 24 * 14):
        log.tell(found(replace(SESSION, retained_size_bytes=1_000_000 * hour)))
    assert 3 <= len(lines) <= 8


def test_one_analysis_without_it_does_not_take_a_leak_back_and_two_do() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append)
    for findings in (found(SESSION), found(), found(SESSION), found(), found(), found()):
        log.tell(findings)
    assert [line.split()[1] for line in lines] == ["leak", "no", "healthy"]


def test_json_lines_have_what_a_log_collector_filters_by_and_journald_its_priority() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append, is_json=True)
    log.tell(found(SESSION))
    told = json.loads(lines[0])
    assert {key: told[key] for key in ("level", "event", "fingerprint", "type", "holder", "line")} == {
        "level": "warning", "event": "leak", "fingerprint": "4f1c9a", "type": "shop.Session", "holder": "shop.OPEN",
        "line": 7,
    }  # fmt: skip
    prefixed: list[str] = []
    FindingsLog(prefixed.append, has_priorities=True).tell(found(SESSION))
    assert prefixed[0].startswith("<4>leakhunt: leak 4f1c9a")


def test_a_name_of_the_target_makes_no_second_line() -> None:
    lines: list[str] = []
    FindingsLog(lines.append).tell(found(replace(SESSION, type="shop.\n<0>Forged")))
    assert "\n" not in lines[0]


def test_the_starts_before_are_compared_with_by_fingerprint() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append, known={"77aa77": ("20261120-100000", OTHER)}, starts=2)
    log.tell(found(SESSION))
    assert lines[0].endswith("(new: no earlier start had it)")
    assert "not seen in this start so far" in lines[1] and "77aa77" in lines[1]
    again: list[str] = []
    FindingsLog(again.append, known={"4f1c9a": ("20261120-100000", SESSION)}, starts=2).tell(found(SESSION))
    assert again[0].endswith("(known since the start of 20261120-100000)")


def test_too_little_seen_says_nothing_of_what_is_gone() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append, known={"77aa77": ("20261120-100000", OTHER)}, starts=1)
    log.tell(found(verdict="inconclusive"))
    assert lines == []


def test_a_verdict_that_does_not_come_is_told_of_once() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append)
    for seconds in (60.0, 599.0, 700.0, 800.0):
        log.tell(found(verdict="inconclusive", seconds=seconds))
    assert lines == ["leakhunt: no verdict after 12 min: Nothing grows."]


def test_on_request_all_is_told_again() -> None:
    lines: list[str] = []
    log = FindingsLog(lines.append)
    log.tell(found(SESSION))
    log.tell(found(SESSION), repeats=True)
    assert len(lines) == 2


def test_what_an_hour_will_write_is_known_from_one_census_and_one_graph() -> None:
    figures = ProcessFigures(1, census_bytes=10_000, graph_bytes=1_000_000)
    assert hourly_bytes(figures, 5.0) == pytest.approx(720 * 10_000 + 27.7e6, rel=0.05)


# The folder


def test_each_start_gets_a_folder_of_its_own_and_the_newest_is_meant(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    first, second = (create(folder, ["python"], is_service=True) for _ in range(2))
    assert starts(folder) == [first, second]
    assert newest(folder) == second
    assert read_run(folder).path == second


def test_earlier_starts_are_known_by_their_reports(tmp_path: Path) -> None:
    first, second, third = (create(tmp_path, ["python"], is_service=True) for _ in range(3))
    write_report(first, found(SESSION))
    write_report(second, found(SESSION, OTHER))
    known, count = earlier(third)
    assert count == 2
    assert {key: start for key, (start, _) in known.items()} == {"4f1c9a": first.name, "77aa77": second.name}
    assert (first / "report.json").stat().st_mode & 0o777 == 0o600


def test_the_snapshots_of_old_starts_make_room_and_their_reports_stay(tmp_path: Path) -> None:
    made = [create(tmp_path, ["python"], is_service=True) for _ in range(4)]
    for run in made:
        write_report(run, found(SESSION))
        (run / "pid-1.0").mkdir()
        (run / "pid-1.0" / "000001.leak").write_bytes(bytes(100_000))
    left = service_starts.make_room(made[-1], 450_000)
    assert [(run / "pid-1.0").exists() for run in made] == [False, True, True, True]
    assert 220_000 <= left <= 250_000
    assert service_starts.report_of(made[0]) == made[0] / "report.json"
    assert service_starts.report_of(made[1]) == made[1]


def test_a_service_that_crashes_again_and_again_keeps_a_bounded_number_of_starts(tmp_path: Path) -> None:
    for _ in range(service_starts.STARTS_MAX + 5):
        create(tmp_path, ["python"], is_service=True)
    (tmp_path / "20200101-000000").mkdir()  # not ours: it has no run.json
    service_starts.forget_oldest(tmp_path)
    assert len(starts(tmp_path)) == service_starts.STARTS_MAX
    assert (tmp_path / "20200101-000000").is_dir()


def test_a_comparison_takes_two_starts(tmp_path: Path) -> None:
    create(tmp_path, ["python"], is_service=True)
    with pytest.raises(UsageError, match="one start"):
        service_starts.last_two(tmp_path)


# A service, started twice


Lines = Callable[[str], list[dict[str, object]]]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Lines]]:
    error = tmp_path / "stderr"
    before = create(tmp_path / "service", ["python"], is_service=True)
    write_report(before, found(OTHER))
    command = [
        sys.executable, "-m", "leakhunt", "run", "--service", "--log", "json", "--interval", "0.25", "--out",
        str(tmp_path / "service"), "--", sys.executable, str(WORKER),
    ]  # fmt: skip
    with open(error, "wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr, cwd=tmp_path, start_new_session=True)

    def lines(event: str) -> list[dict[str, object]]:
        told = [json.loads(line) for line in error.read_text().splitlines() if line.startswith("{")]
        return [line for line in told if line["event"] == event]

    yield process, lines
    process.kill()
    process.wait()


def until(is_true: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.story
def test_a_service_tells_of_its_leak_while_it_runs_and_of_all_on_request(
    service: tuple[subprocess.Popen[bytes], Lines], tmp_path: Path
) -> None:
    process, lines = service
    until(lambda: lines("leak"))
    (leak,) = lines("leak")
    assert (leak["type"], leak["holder"], leak["file"]) == ("__main__.Thumbnail", "__main__.thumbnail", "worker.py")
    assert str(leak["message"]).endswith("(new: no earlier start had it)")
    assert "of " + starts(tmp_path / "service")[0].name in str(lines("gone")[0]["message"])
    assert "at most 1,000 MB" in str(lines("started")[0]["message"])
    request = tmp_path / "service" / "report-now"
    request.touch()
    until(lambda: not request.exists())
    assert len(lines("leak")) + len(lines("changed")) >= 2
    kept = json.loads((newest(tmp_path / "service") / "report.json").read_text())
    assert kept["verdict"] == "leak"
    begun = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - begun < 20
    done = subprocess.run(
        [*LEAKHUNT, "compare", str(tmp_path / "service")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "shop.Cart" in done.stdout and "Thumbnail" in done.stdout, done.stderr
