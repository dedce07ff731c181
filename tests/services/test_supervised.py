"""Under who starts and stops services: supervisord, systemd, cron-like repeats, a container with a sidecar."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leakhunt.attach import procfs
from leakhunt.cli import COMMANDS
from leakhunt.cli.app import leakhunt
from leakhunt.pipeline import hunt
from leakhunt.runfolder import read_run, starts

from .serving import LEAKHUNT, SERVICES, started, until

pytestmark = pytest.mark.story
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--mount")
NOBODY = "65534"
LONG = 150.0


def output_of(folder: Path) -> str:
    return (folder / "output").read_text(errors="replace")


@pytest.mark.services
@pytest.mark.skipif(importlib.util.find_spec("supervisor") is None, reason="pip install 'leakhunt[services]'")
def test_supervisord_reads_the_leak_in_the_log_and_its_stop_is_not_held_up(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_bytes((SERVICES / "worker.py").read_bytes())
    configuration = (SERVICES / "supervisord.conf").read_text().replace("--service", "--service --interval 0.25")
    (tmp_path / "supervisord.conf").write_text(configuration)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "supervisord.conf"]
    log = tmp_path / "worker.log"
    with started(command, tmp_path, {"FOLDER": str(tmp_path), "PYTHON": sys.executable}) as process:
        until(lambda: log.exists() and "leakhunt: leak " in log.read_text(), LONG, "a line in the log")
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    said = (tmp_path / "supervisord.log").read_text()
    assert "stopped: worker (exit status 0)" in said and "killing" not in said
    assert "__main__.thumbnail" in log.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_systemd_unit_is_one() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", str(SERVICES / "worker.service")], check=False, capture_output=True, text=True
    )
    problems = [line for line in done.stderr.splitlines() if "worker.service" in line]
    assert done.returncode == 0 and not problems, done.stderr


def test_journald_finds_the_priorities_where_it_reads_stderr(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with open(journal, "wb") as stderr:
        about = os.fstat(stderr.fileno())
        process = subprocess.Popen(
            [*LEAKHUNT, "run", "--service", "--interval", "0.25", "--", sys.executable, str(SERVICES / "worker.py")],
            cwd=tmp_path, stderr=stderr, start_new_session=True,
            env={**os.environ, "JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}"},
        )  # fmt: skip
    try:
        until(lambda: "<4>leakhunt: leak " in journal.read_text(), LONG, "a warning")
        assert "<6>leakhunt: writes about" in journal.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_job_that_runs_again_and_again_gets_a_run_for_each_start(tmp_path: Path) -> None:
    job = "import time\nkept = []\nfor n in range(40): kept.append(object()); time.sleep(0.02)"
    command = [*LEAKHUNT, "run", "--service", "--interval", "0.1", "--out", "jobs", "--", sys.executable, "-c", job]
    for _ in range(3):
        assert subprocess.run(command, cwd=tmp_path, check=False, stderr=subprocess.DEVNULL).returncode == 0
    found = starts(tmp_path / "jobs")
    assert len(found) == 3
    assert all(read_run(start).info["exit_status"] == 0 for start in found)


@pytest.mark.services
@pytest.mark.skipif(importlib.util.find_spec("daemon") is None, reason="pip install 'leakhunt[services]'")
@pytest.mark.parametrize("repaired", [False, True])
def test_python_daemon_is_followed(repaired: bool, tmp_path: Path) -> None:
    command = [*LEAKHUNT, "run", "--interval", "0.25", "--budget", "0.3", "--out", "run", "--", sys.executable]
    environment = {**os.environ, **({"KEEP": "60"} if repaired else {})}
    words = [*command, str(SERVICES / "daemon_app.py"), "pid"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "went on in the background" in done.stderr
    try:
        until(lambda: any(len(one.snapshots) >= 40 for one in read_run(tmp_path / "run").processes), LONG, "snapshots")
        found = hunt(tmp_path / "run")
        named = [(f.type, f.holder.owner) for f in found.findings if f.holder]
        assert named == ([] if repaired else [("__main__.Mail", "__main__.Mailbox.read")])
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)


@pytest.mark.services
@pytest.mark.skipif(shutil.which("airflow") is None, reason="no airflow on PATH: it wants an environment of its own")
@pytest.mark.parametrize("repaired", [False, True])
def test_a_task_of_airflow_is_judged_by_its_work(repaired: bool, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    shutil.copy(SERVICES / "airflow_dag.py", tmp_path / "dags")
    environment = {
        **os.environ, "AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "SECONDS_TO_READ": "100", **({"KEEP": "60"} if repaired else {}),
    }  # fmt: skip
    for words in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run(["airflow", *words], env=environment, check=True, capture_output=True, timeout=300)
    command = [*LEAKHUNT, "run", "-q", "--interval", "0.5", "--budget", "0.3", "--out", str(tmp_path / "run"), "--"]
    words = [*command, "airflow", "tasks", "test", "leaky", "read", "2026-01-01"]
    done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:]
    found = hunt(tmp_path / "run")
    named = [f.type.rpartition(".")[2] for f in found.findings]
    assert "Row" not in named if repaired else named[0] == "Row", found.summary


def can_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0 or not can_unshare(), reason="needs root and namespaces")
@pytest.mark.parametrize("user", ["0", NOBODY])
def test_a_sidecar_looks_into_a_container_with_a_read_only_root(user: str, tmp_path: Path) -> None:
    """As sample_apps/services/kubernetes.yaml: another mount namespace, another user, the pids shared."""
    shutil.copy(SERVICES / "worker.py", "/var/tmp/leakhunt-test-worker.py")
    container = (
        "mount -t tmpfs -o size=64m tmpfs /tmp && mount -o remount,bind,ro / && exec setpriv --reuid "
        f"{user} --regid {user} --clear-groups /usr/bin/python3 -B /var/tmp/leakhunt-test-worker.py"
    )
    try:
        with started([*UNSHARE, "sh", "-c", container], tmp_path, {"PYTHONPATH": ""}) as outer:
            until(lambda: any(python_in(outer.pid)), 60, "the container")
            (pid,) = python_in(outer.pid)
            before = procfs.start_time(pid)
            (tmp_path / "sidecar").mkdir()
            command = [
                *LEAKHUNT,
                "attach",
                str(pid),
                "--service",
                "--interval",
                "0.25",
                "--out",
                str(tmp_path / "leaks"),
            ]
            with started(command, tmp_path / "sidecar", {}) as sidecar:
                until(lambda: "leakhunt: leak " in output_of(tmp_path / "sidecar"), LONG, "a leak in the log")
                sidecar.send_signal(signal.SIGTERM)
                assert sidecar.wait(60) == 0
            said = output_of(tmp_path / "sidecar")
            assert "__main__.Thumbnail held by __main__.thumbnail" in said
            assert "process 1" not in said
            assert procfs.start_time(pid) == before and outer.poll() is None
            assert [one.pid for one in read_run(tmp_path / "leaks").processes] == [pid]
            os.kill(pid, signal.SIGTERM)
            assert outer.wait(60) == 0
    finally:
        os.unlink("/var/tmp/leakhunt-test-worker.py")


def python_in(outer: int) -> list[int]:
    """The Pythons among the descendants of a process."""
    below = [pid for pid, _ in procfs.descendants(outer)]
    return [pid for pid in below if "python" in "".join(procfs.command(pid)[:1])]


@pytest.mark.parametrize("name", ["worker.service", "supervisord.conf", "Dockerfile", "kubernetes.yaml", "crontab"])
def test_the_options_in_the_samples_are_options(name: str) -> None:
    import click

    text = (SERVICES / name).read_text().replace('", "', " ").replace('"', " ")
    uses = re.findall(r"leakhunt (run|attach) (.*?)(?: -- |$| --\n)", text, re.MULTILINE)
    assert uses
    for command, words in uses:
        found = leakhunt.get_command(click.Context(leakhunt), command)
        assert command in COMMANDS and found is not None
        known = {word for parameter in found.params for word in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", words)) <= known
