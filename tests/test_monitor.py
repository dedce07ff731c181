"""Figures and alarms while a run goes on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from heap import Heap, run_folder

from leakhunt.analysis.growth.known import BUILT_IN
from leakhunt.cli.app import invoke
from leakhunt.errors import UsageError
from leakhunt.findings import Finding, Findings, Holder, HolderSeries, ProcessSummary, RunSummary
from leakhunt.monitor import beside, notify
from leakhunt.monitor.beside import Monitor, Wishes
from leakhunt.monitor.ending import Ending
from leakhunt.monitor.figures import SERIES_MAX, Watched, metrics, places
from leakhunt.monitor.follow import Followed, ProcessFigures
from leakhunt.monitor.watch import SHARE, Watch
from leakhunt.pipeline import hunt
from leakhunt.snapshot import Snapshot

APP = Path(__file__).parent.parent / "sample_apps" / "session_registry.py"
LEAKHUNT = [sys.executable, "-c", "from leakhunt.cli import main; main()"]


def shop(*owners: str, pid: int = 7) -> list[Snapshot]:
    # module shop -> .<owner> -> dict -> Order …
    heap = Heap(pid=pid)
    tables = {owner: heap.dict() for owner in owners}
    heap.module("shop", **tables)

    def serve(k: int) -> None:
        for table in tables.values():
            for _ in range(20):
                table.add(heap.instance("shop.Order"))

    return heap.live(serve, 24)


def value(text: str, name: str) -> list[float]:
    """The values of a metric in a scrape."""
    return [float(found) for found in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)]


def until(is_so: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


# The figures


def findings(number: int) -> Findings:
    found = tuple(
        Finding("python-leak", f"shop.Order{n}", n, holder=Holder(f"shop.P{n}"), fingerprint=f"{n:012x}")
        for n in range(number)
    )
    series = tuple(HolderSeries(f"shop.P{n}", (0.0, 1.0, 2.0), (n, 2 * n, 3 * n)) for n in range(number))
    process = ProcessSummary(7, "shop", 3, holders=series)
    return Findings(RunSummary(("shop",), 3.0, 3, "3.11.7"), "leak", findings=found, processes=(process,))


def test_the_number_of_series_is_bounded_whatever_the_program_does() -> None:
    many = findings(500)
    watched = Watched([ProcessFigures(pid) for pid in range(300)], 300, many, places=places(many))
    series = [(metric.name, tuple(labels.items())) for metric in metrics(watched) for labels, _ in metric.values]
    assert len(series) == len(set(series)) <= SERIES_MAX


def test_nothing_seen_yet_is_no_error() -> None:
    assert {metric.name for metric in metrics(Watched())} == {
        metric.name for metric in metrics(Watched(findings=findings(2)))
    }


def test_the_fastest_places_are_told_and_those_of_several_processes_added_up() -> None:
    one = findings(3)
    both = replace(one, processes=one.processes * 2)
    assert next(iter(places(both).items())) == ("shop.P2", (12.0, 240.0))


def test_a_long_or_broken_name_is_a_label_that_every_wire_takes() -> None:
    odd = replace(findings(1).findings[0], type="x" * 5000 + "\ud800")
    watched = Watched(findings=replace(findings(1), findings=(odd, replace(odd, type="\ud800"))))
    for metric in metrics(watched):
        for labels, _ in metric.values:
            assert all(len(text.encode()) <= 200 for text in labels.values())


# A run folder that grows


def test_each_snapshot_is_read_once_and_its_cost_added_up(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", shop("OPEN"))
    later = sorted(run.glob("pid-*/*.leak"))[10:]
    kept = [(path, path.read_bytes()) for path in later]
    for path in later:
        path.unlink()
    followed = Followed(run)
    followed.look()
    assert [one.snapshots for one in followed.living(5.0)] == [10]
    for path, data in kept:
        path.write_bytes(data)
    followed.look()
    (process,) = followed.living(5.0)
    assert (process.pid, process.snapshots, followed.snapshots) == (7, 24, 24)
    assert process.gc_objects > 400


def test_older_snapshots_may_be_removed_meanwhile(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", shop("OPEN"))
    files = sorted(run.glob("pid-*/*.leak"))
    newest = files.pop().rename(tmp_path / "newest.leak")
    followed = Followed(run)
    followed.look()
    for path in files[5:15]:
        path.unlink()
    newest.rename(files[0].with_name("000024.leak"))
    followed.look()
    assert followed.living(5.0)[0].snapshots == followed.snapshots == 24


def test_a_snapshot_or_a_folder_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", shop("OPEN"))
    sorted(run.glob("pid-*/*.leak"))[3].write_bytes(b"cut")
    followed = Followed(run)
    followed.look()
    assert followed.living(5.0)[0].snapshots == 23
    shutil.rmtree(run)
    followed.look()
    assert followed.living(5.0)[0].snapshots == 23


# The watch


def watching(run: Path, told: list[str], command: str = "true") -> Watch:
    return Watch(run, 0.01, BUILT_IN, notify.Notifier(command), told.append)


def test_an_analysis_is_followed_by_a_rest_that_keeps_it_to_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clocks are counted on by hand: an analysis takes 2 seconds, and what is new would make each tick due."""
    run = run_folder(tmp_path / "run", shop("OPEN"))
    watch, now, spent = watching(run, []), [0.0], [0.0]
    analyses: list[float] = []

    def analysis(*_: object) -> Findings:
        analyses.append(now[0])
        spent[0] += 2.0
        return findings(0)

    monkeypatch.setattr("leakhunt.monitor.watch.hunt", analysis)
    monkeypatch.setattr(
        "leakhunt.monitor.watch.time", type("T", (), {"monotonic": lambda: now[0], "process_time": lambda: spent[0]})
    )
    going_on = type("E", (), {"is_over": False})
    for _ in range(400):
        watch.look()
        watch._analysed = 0  # as if there were something new at every tick
        if watch._is_due():
            watch._analyse(going_on)  # type: ignore[arg-type]
        now[0] += 1.0
    assert len(analyses) >= 10
    assert spent[0] <= SHARE * now[0] + 2.0


def test_an_analysis_is_broken_off_when_the_run_ends(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", shop("OPEN"))
    told: list[str] = []
    watch = watching(run, told)
    ending = Ending(lambda: b"")
    assert ending.wait(10)
    watch.look()
    watch._analyse(ending)
    assert watch._watched.findings is None and not told


def test_what_goes_wrong_is_told_once_and_the_watch_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_folder(tmp_path / "run", shop("OPEN"))
    told: list[str] = []
    watch = watching(run, told)

    def broken(*_: object) -> Findings:
        raise RuntimeError("odd")

    monkeypatch.setattr("leakhunt.monitor.watch.hunt", broken)
    never = Ending(threading.Event().wait)  # type: ignore[arg-type]
    for _ in range(3):
        watch._analyse(never)
    assert told == ["RuntimeError: odd"]
    assert watch._watched.problems == 3


# The alarm


def test_the_command_is_run_once_for_each_new_finding_with_its_json(tmp_path: Path) -> None:
    out = tmp_path / "told"
    notifier = notify.Notifier(f"cat >> {out}")
    first, second = (
        hunt(run_folder(tmp_path / name, shop(*owners))) for name, owners in (("a", ["OPEN"]), ("b", ["OPEN", "NEW"]))
    )
    for found in (first, first, second, second):
        notifier.tell(found)
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["holder"]["owner"] for row in told] == ["shop.OPEN", "shop.NEW"]
    assert {row["run"]["path"] for row in told} == {str(tmp_path / "a"), str(tmp_path / "b")}
    assert (notifier.count, notifier.problem) == (2, "")


@pytest.mark.parametrize(
    ("command", "words"),
    [("exit 3", "ended with 3"), ("exec < /dev/null; sleep 60", "was killed"), ("no-such-command-here", "127")],
)
def test_a_command_that_fails_is_told_and_not_tried_again(
    command: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "COMMAND_SECONDS", 0.5)
    notifier = notify.Notifier(command)
    notifier.tell(findings(1))
    notifier.tell(findings(1))
    assert words in notifier.problem
    assert notifier.failures == 1


# The options


WRONG = {
    "a port that is none": (["--metrics", "soon"], "neither a port"),
    "a port that there is not": (["--metrics", "70000"], "neither a port"),
    "a host that there is not": (["--metrics", "no.such.host.invalid:9101"], "cannot listen"),
    "an address of another machine": (["--metrics", "192.0.2.1:9101"], "cannot listen"),
    "becoming the program": (["--metrics", "0", "--exec"], "--exec"),
}


@pytest.mark.parametrize(("options", "words"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_told_before_anything_runs(
    options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["run", *options, "--", "touch", "ran"]) == 2
    assert words in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert invoke(["run", "--metrics", str(taken.getsockname()[1]), "--", "touch", "ran"]) == 2
    assert "in use" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "wishes", "extra"),
    [("prometheus_client", Wishes(metrics="0"), "metrics"), ("opentelemetry.sdk", Wishes(otel=True), "otel")],
)
def test_a_missing_extra_is_one_sentence_with_the_command(
    module: str, wishes: Wishes, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside.importlib.util, "find_spec", lambda name: None if name == module else 1)
    with pytest.raises(UsageError, match=rf"pip install 'leakhunt\[{extra}\]'"):
        Monitor(wishes)


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    for text, address in (("0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:"), ("0.0.0.0:0", "http://0.0.0.0:")):
        try:
            monitor = Monitor(Wishes(metrics=text))
        except UsageError:
            assert ":" in text  # a machine without IPv6
            continue
        assert monitor.address.startswith(address) and monitor.address.endswith("/metrics")
        monitor.abandon()


# A real run


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes what OpenTelemetry sends."""
    taken: list[bytes] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()


@pytest.mark.story
def test_a_run_tells_prometheus_opentelemetry_and_a_command_while_it_goes_on(
    tmp_path: Path, collector: tuple[str, list[bytes]]
) -> None:
    told = tmp_path / "told"
    endpoint, taken = collector
    command = [*LEAKHUNT, "run", "--interval", "0.2", "--budget", "1", "--out", str(tmp_path / "run"),
               "--metrics", "0", "--otel", "--on-leak", f"cat >> {told}", "--", sys.executable, str(APP)]  # fmt: skip
    environment = {**os.environ, "ROUNDS": "100000", "PAUSE_SECONDS": "0.1",
                   "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "500",
                   "OTEL_SERVICE_NAME": "till"}  # fmt: skip
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stderr is not None
        line = running.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/metrics", line)
        assert address, line

        def scrape() -> str:
            with urllib.request.urlopen(address[0], timeout=60) as answer:
                return str(answer.read().decode())

        until(lambda: value(scrape(), "leakhunt_findings") == [1.0])
        until(lambda: told.exists() and told.read_text().endswith("\n"))
        until(lambda: value(scrape(), "leakhunt_alarms_total") == [1.0])  # counted when the command has ended
        text = scrape()
        assert value(text, "leakhunt_process_resident_memory_bytes")[0] > 1e6
        assert value(text, "leakhunt_place_items")[0] > 10
        assert 'holder="__main__.SessionRegistry.sessions"' in text
        assert running.poll() is None  # all this while the program goes on
        until(lambda: taken)
    finally:
        running.send_signal(signal.SIGTERM)
        _, rest = running.communicate(timeout=120)
    assert running.returncode == -signal.SIGTERM, rest
    assert [json.loads(line)["type"] for line in told.read_text().splitlines()] == ["__main__.Session"]
    for name in (b"leakhunt.process.resident_memory_bytes", b"till", b"SessionRegistry.sessions"):
        until(lambda name=name: name in b"".join(taken))  # the monitor sends the last of it by itself


@pytest.mark.story
def test_a_short_quiet_run_tells_of_its_leaks_at_the_end_and_ends_as_the_program_did(tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = [*LEAKHUNT, "run", "-q", "--interval", "0.1", "--budget", "1", "--out", str(tmp_path / "run"),
               "--on-leak", f"cat >> {told}", "--", sys.executable, str(APP)]  # fmt: skip
    environment = {**os.environ, "ROUNDS": "30", "PAUSE_SECONDS": "0.1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["type"] for line in told.read_text().splitlines()] == ["__main__.Session"]


# Ended from outside


WAITING = "import time; print('up', flush=True); time.sleep(600)"


def monitor_of(run: Path) -> int:
    """The pid of the monitor of a run, 0 without one; one that only waits to be collected is none."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"leakhunt.monitor" in command and json.dumps(str(run)).encode() in command and state != "Z":
            return int(entry.name)
    return 0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as taking:
        taking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taking.bind(("127.0.0.1", port))
            taking.listen()
        except OSError:
            return False
        return True


@contextlib.contextmanager
def monitored(
    run: Path, *options: str, program: tuple[str, ...] = ("-c", WAITING), **environment: str
) -> Iterator[Any]:
    """`leakhunt run` of a Python program, whose monitor has seen snapshots; both are gone afterwards."""
    port = free_port()
    options = ("--interval", "0.2", "--budget", "1", "--metrics", str(port), *options)
    command = [*LEAKHUNT, "run", "-q", "--out", str(run), *options, "--"]

    def is_up() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return max(value(answer.read().decode(), "leakhunt_process_snapshots_total"), default=0) > 0
        return False

    running = subprocess.Popen(
        [*command, sys.executable, *program],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until(is_up)
        yield running
    finally:
        running.kill()
        running.communicate()
        until(lambda: not monitor_of(run))
        assert is_free(port)


@pytest.fixture
def slow_collector() -> Iterator[tuple[str, list[bytes], threading.Event]]:
    """As `collector`, but it answers only when told to."""
    taken: list[bytes] = []
    may_answer = threading.Event()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            may_answer.wait(60)
            taken.append(body)
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", taken, may_answer
    may_answer.set()
    server.shutdown()


@pytest.mark.story
def test_who_ends_a_run_waits_for_no_figures_and_they_are_sent_all_the_same(
    tmp_path: Path, slow_collector: tuple[str, list[bytes], threading.Event]
) -> None:
    """The collector answers only when leakhunt has ended and its stderr is closed."""
    endpoint, taken, may_answer = slow_collector
    run = tmp_path / "run"
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    with monitored(run, "--otel", **settings) as running:
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=60)
        assert (running.returncode, said) == (-signal.SIGTERM, b"")
        assert monitor_of(run) and not taken
        may_answer.set()
        until(lambda: taken)
        assert b"leakhunt.process.resident_memory_bytes" in b"".join(taken)


@pytest.mark.story
def test_a_monitor_whose_collector_never_answers_ends_by_itself_and_frees_its_port(
    tmp_path: Path, slow_collector: tuple[str, list[bytes], threading.Event]
) -> None:
    endpoint, taken, _ = slow_collector
    run = tmp_path / "run"
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    with monitored(run, "--otel", **settings) as running:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
        until(lambda: not monitor_of(run))
    assert not taken


@pytest.mark.story
def test_a_monitor_that_is_told_to_end_with_its_group_ends_in_haste(tmp_path: Path, collector: Any) -> None:
    """systemd sends SIGTERM to all processes of a service."""
    endpoint, taken = collector
    run = tmp_path / "run"
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    with monitored(run, "--otel", **settings) as running:
        os.kill(monitor_of(run), signal.SIGTERM)
        until(lambda: not monitor_of(run))
        assert taken
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == -signal.SIGTERM


@pytest.mark.story
def test_a_command_of_on_leak_that_does_not_end_is_killed_soon_after(tmp_path: Path) -> None:
    run, told = tmp_path / "run", tmp_path / "told"
    environment = {"ROUNDS": "100000", "PAUSE_SECONDS": "0.1"}
    command = f"echo $$ > {told}; exec sleep 600"
    with monitored(run, "--on-leak", command, program=(str(APP),), **environment) as running:
        until(lambda: told.exists() and told.read_text().endswith("\n"))
        pid = int(told.read_text())
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == -signal.SIGTERM
        until(lambda: not Path(f"/proc/{pid}").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())


def test_in_haste_leakhunt_waits_a_fifth_of_a_second_and_kills_nothing() -> None:
    waited: list[float] = []

    class Stuck:
        stdin = io.BytesIO()

        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            raise subprocess.TimeoutExpired("monitor", seconds)

    monitor = Monitor(Wishes(on_leak="true"))
    monitor._process = Stuck()  # type: ignore[assignment]
    assert monitor.end(in_haste=True) == ""
    assert waited == [beside.HASTE_SECONDS] and beside.HASTE_SECONDS <= 0.2


@pytest.mark.story
def test_a_monitor_that_dies_changes_nothing_for_the_program(tmp_path: Path) -> None:
    code = f"""if True:
        import os, signal, sys, time
        from leakhunt.monitor import beside
        begin = beside.Monitor.start
        def start(self, folder):
            begin(self, folder)
            os.kill(self._process.pid, signal.SIGKILL)
        beside.Monitor.start = start
        program = ["sh", "-c", "sleep 0.5; exit 7"]
        sys.argv = ["leakhunt", "run", "-q", "--out", {str(tmp_path / "run")!r}, "--metrics", "0", "--", *program]
        from leakhunt.cli import main
        main()
        """
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")
