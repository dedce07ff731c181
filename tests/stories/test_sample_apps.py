"""Each sample app is told apart from its repaired twin: verdict, class and holder as its docstring foretells.

The apps run five at a time (they mostly sleep); under pytest-xdist one worker has them all (tests/conftest.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from leakhunt.findings import Findings

from .watching import APPS, Accusation, concluded, expected

AT_ONCE = 5
NAMES = sorted(path.stem for path in APPS.glob("*.py"))

pytestmark = pytest.mark.story


def hunted(name: str, folder: Path) -> Findings:
    _, found, done = concluded(APPS / f"{name}.py", folder, "-q")
    assert done.stderr == ""
    return found


@pytest.fixture(scope="module")
def findings_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Findings]]:
    """Findings by name of the app; the other apps that were asked for run meanwhile."""
    folder = tmp_path_factory.mktemp("runs")
    here = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    names = dict.fromkeys(item.callspec.params["name"] for item in here)
    runs: dict[str, Future[Findings]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def start(name: str) -> Future[Findings]:
            if name not in runs:
                runs[name] = pool.submit(hunted, name, folder / name)
            return runs[name]

        for name in names:
            start(name)
        yield lambda name: start(name).result()
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_is_what_the_docstring_foretells(name: str, findings_of: Callable[[str], Findings]) -> None:
    found = findings_of(name)
    accusations = expected(APPS / f"{name}.py")
    assert [Accusation.of(finding) for finding in found.findings] == accusations, found.summary
    assert found.verdict == ("leak" if accusations else "healthy"), found.summary


def test_every_leaking_app_has_a_twin_that_does_not() -> None:
    leaking = {name for name in NAMES if expected(APPS / f"{name}.py")}
    assert len(leaking) >= 8
    assert {f"{name}_fixed" for name in leaking} <= set(NAMES) - leaking
