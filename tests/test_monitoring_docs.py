"""Every command of docs/comparing.md and docs/monitoring.md works, and what they say of figures holds."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import DOCS, ROOT, SHOP, commands, quicker

from leakhunt.monitor.figures import SERIES_MAX, Watched, metrics

GRAFANA = ROOT / "sample_apps" / "grafana"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the program that the pages are about, and `leakhunt` and `python` on the PATH."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "sample_apps").symlink_to(ROOT / "sample_apps")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m leakhunt "$@"\n'
    (programs / "leakhunt").write_text(script)
    (programs / "leakhunt").chmod(0o755)
    return tmp_path


def typed(place: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "OTEL_METRIC_EXPORT_TIMEOUT": "100"}
    return subprocess.run(
        ["/bin/sh", "-c", command], check=False, cwd=place, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.story
def test_the_commands_of_comparing_tell_what_the_page_says(place: Path) -> None:
    statuses = []
    for command in commands("comparing.md"):
        done = typed(place, command)
        statuses.append(done.returncode)
        assert "Traceback" not in done.stderr
        if command == "leakhunt compare last this":
            assert done.stdout.startswith("1 new leak, 1 known, 0 gone\n"), done.stdout
            assert (DOCS / "comparing.md").read_text().count(done.stdout.splitlines()[0]) == 1
            assert "__main__.CARTS" in done.stdout
    assert statuses == [0, 0, 0, 0, 1]


@pytest.mark.story
def test_the_commands_of_monitoring_work(place: Path) -> None:
    for command in commands("monitoring.md"):
        if command.startswith("pip "):
            continue
        if command.startswith("promtool ") and not shutil.which("promtool"):
            continue
        done = typed(place, quicker(command))
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
    told = [json.loads(line) for line in (place / "leaks.jsonl").read_text().splitlines()]
    assert [one["holder"]["owner"] for one in told] == ["__main__.ORDERS"]


def test_the_extras_that_the_pages_name_exist() -> None:
    named = re.findall(r"leakhunt\[(\w+)\]", (DOCS / "monitoring.md").read_text())
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert named and set(named) <= set(extras)


def test_the_page_names_every_figure_and_the_bound() -> None:
    text = (DOCS / "monitoring.md").read_text()
    for metric in metrics(Watched()):
        assert f"`{metric.name.removeprefix('leakhunt_')}`" in text
    (bound,) = map(int, re.findall(r"There are (\d+) series at the most", text))
    assert bound <= SERIES_MAX


# The dashboard


def expressions() -> Iterator[str]:
    for panel in json.loads((GRAFANA / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_the_dashboard_and_the_rules_ask_for_figures_that_there_are() -> None:
    known = {metric.name for metric in metrics(Watched())}
    for text in (*expressions(), (GRAFANA / "alerts.yml").read_text()):
        asked = set(re.findall(r"\bleakhunt_\w+", text))
        assert asked <= known, asked - known


def lost(value: Any, back: Any, path: str = "") -> Iterator[str]:
    """Where a value does not come back as it was."""
    if isinstance(value, dict) and isinstance(back, dict):
        for key in value:
            yield from lost(value[key], back.get(key), f"{path}/{key}")
    elif isinstance(value, list) and isinstance(back, list) and len(value) == len(back):
        for number, pair in enumerate(zip(value, back, strict=True)):
            yield from lost(*pair, f"{path}/{number}")
    elif value != back and value not in ({}, []):
        yield path


def test_the_dashboard_is_what_grafana_s_own_schema_knows() -> None:
    """Read and written by the classes that Grafana makes from its schema, nothing of it is lost."""
    dashboard = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    plugins.register_default_plugins()
    ours = json.loads((GRAFANA / "dashboard.json").read_text())
    back = json.loads(JSONEncoder().encode(dashboard.Dashboard.from_json(ours)))
    assert not list(lost(ours, back))
    wrong = {**ours, "panles": []}
    assert list(lost(wrong | {"panles": 1}, json.loads(JSONEncoder().encode(dashboard.Dashboard.from_json(wrong)))))
