"""Servers, workers and schedulers that people run, each with its leak and repaired: the verdict, and nothing disturbed.

All of them: `pytest -m "services or not services" tests/services`. Without the mark three that are quick.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leakhunt.retention import is_deep

from .cases import QUICK, SERVED, Service
from .serving import Served, free_port, serve, until

pytestmark = pytest.mark.story
SLOW = [pytest.param(name, marks=pytest.mark.services) for name in SERVED]
EVERY = QUICK | SERVED
SNAPSHOTS, GRAPHS, RECYCLED = 30, 6, 10
PATIENCE_SECONDS = 240.0
MODULES = {"uvicorn": "uvicorn", "gunicorn": "gunicorn", "celery": "celery"}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis server of our own."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server here: apt install redis-server")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen([server, "--port", str(port), "--save", "", "--dir", str(folder)], stdout=-3)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait()


def has_seen_enough(run: Path, service: Service) -> bool:
    """Whether the processes that do the work were looked at so often that a verdict is due."""
    folders = sorted(run.glob("pid-*"), key=lambda folder: folder.stat().st_mtime)
    taken = {folder: sorted(folder.glob("*.leak")) for folder in folders}
    if service.is_recycled:
        return sum(len(files) >= 6 for files in taken.values()) >= RECYCLED
    seen = [files for files in taken.values() if len(files) >= SNAPSHOTS]
    return bool(seen) and len(seen) == len(taken) and all(sum(map(is_deep, files)) >= GRAPHS for files in seen)


def served(service: Service, folder: Path, request: pytest.FixtureRequest, **more: str) -> Served:
    for module in MODULES.values():
        if module in service.words and importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'leakhunt[services]'")
    port = free_port() if service.has_port else None
    words = [word.format(port=port, folder=folder) if "{" in word else word for word in service.words]
    environment = {**service.environment, **more}
    if service.needs_redis:
        environment["BROKER"] = request.getfixturevalue("redis")
    begun = time.monotonic()

    def is_enough() -> bool:
        return time.monotonic() - begun > PATIENCE_SECONDS or has_seen_enough(folder / "run", service)

    return serve(
        words, folder, "--budget", "0.3", is_enough=is_enough, port=port, per_second=service.per_second,
        environment=environment,
    )  # fmt: skip


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_the_leak_is_named_and_the_service_runs_and_ends_as_without(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    service = EVERY[name]
    done = served(service, tmp_path, request)
    found = done.findings
    assert found is not None and found.verdict == "leak", done.told() + done.said[-2000:]
    first = found.findings[0]
    assert first.holder is not None
    place = f"{first.holder.file}:{first.holder.line}"
    assert (first.type, first.holder.owner) == service.leak[:2], done.told()
    assert place.startswith(service.leak[2]), place
    assert (done.errors, done.status) == ({}, service.status), done.said[-2000:]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_its_repaired_twin_is_silent(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    service = EVERY[name]
    done = served(service, tmp_path, request, **service.repaired)
    assert done.findings is not None
    assert done.findings.findings == (), done.told()
    assert (done.errors, done.status) == ({}, service.status), done.said[-2000:]


@pytest.mark.services
@pytest.mark.parametrize("name", ["gunicorn recycled", "Celery recycled"])
def test_workers_of_a_few_seconds_are_judged_together(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    done = served(EVERY[name], tmp_path, request)
    assert done.findings is not None and done.findings.verdict == "leak", done.told()
    assert len(done.findings.processes) >= RECYCLED


def test_the_printed_next_step_works_in_a_run_of_several_processes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from leakhunt.pipeline import backrefs, chains

    service = replace(QUICK["gunicorn sync"], words=(*QUICK["gunicorn sync"].words[:-1], "-w", "2", "flask_app:app"))
    served(service, tmp_path, request)
    assert chains(tmp_path / "run", "flask_app.Session")
    assert any(node.type == "flask_app.Session" for node in backrefs(tmp_path / "run", "flask_app.Session").nodes)


def test_a_harness_that_waits_for_what_never_comes_says_so() -> None:
    with pytest.raises(AssertionError, match="never: not in 0 s"):
        until(lambda: False, 0.0, "never")
