"""pytest: a test that leaves more behind on every round fails, with the sentence that a report gives.

    @pytest.mark.leakhunt                        # or pytest --leakhunt for all tests
    def test_login(client): ...

The body runs again and again with the same fixtures, a snapshot after each round. Marked or not, a test that leaks
nothing passes as it would without.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from leakhunt.analysis.heap.naming import Names
    from leakhunt.findings import Finding
    from leakhunt.recorder import SnapshotRecorder

ROUNDS, WARMUP, TOLERANCE = 5, 2, 0
ROUNDS_MIN = 3
LONGER_LOOK_ROUNDS, LONGER_LOOK_SECONDS = 100, 2.0
HARNESS = (
    "_pytest.",
    "pytest.",
    "pluggy.",
    "xdist.",
    "execnet.",
    "pytest_",
    "unittest.mock.",
    "coverage.",
    "_hypothesis",
)
_HUNTED = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Settings:
    """How a test is hunted: `rounds` that count after `warmup` that don't, and items that each round may leave."""

    rounds: int = ROUNDS
    warmup: int = WARMUP
    tolerance: int = TOLERANCE
    is_marked: bool = False


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("leakhunt", "memory leaks")
    group.addoption(
        "--leakhunt", action="store_true", help="loop the body of every test, and fail on holders that grow"
    )
    group.addoption(
        "--leakhunt-rounds", type=int, default=ROUNDS, metavar="N", help=f"rounds that count (default {ROUNDS})"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "leakhunt(rounds=5, warmup=2, tolerance=0): loop the test's body and fail when a holder gains more than "
        "`tolerance` items on every round; rounds=0 leaves the test alone.",
    )
    config.pluginmanager.register(_Coroutines(), "leakhunt-coroutines")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("leakhunt") and not _is_loopable(item):
            item.warn(pytest.PytestWarning(f"leakhunt can't loop {item.name}: it is no test function of pytest's own."))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Calls the hook itself once for each round, so that other plugins run the body as they would."""
    settings = None if pyfuncitem.stash.get(_HUNTED, False) else settings_of(pyfuncitem)
    if settings is None:
        return None
    pyfuncitem.stash[_HUNTED] = True
    try:
        found = _hunt(pyfuncitem, settings)
    finally:
        pyfuncitem.stash[_HUNTED] = False
    if found:
        pytest.fail(told(found, settings), pytrace=False)
    return True


class _Coroutines:
    """Runs coroutine tests that no other plugin runs: those come first, pytest's own refusal last."""

    @pytest.hookimpl
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        if not pyfuncitem.stash.get(_HUNTED, False) or not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        asyncio.run(pyfuncitem.obj(**_arguments(pyfuncitem)))
        return True


def settings_of(item: pytest.Item) -> Settings | None:
    """What the nearest mark and the options say; None for a test that is not hunted.

    Raises:
        pytest.UsageError: the mark's arguments make no sense.
    """
    mark = item.get_closest_marker("leakhunt")
    if mark is None and not item.config.getoption("leakhunt"):
        return None
    given = {"rounds": item.config.getoption("leakhunt_rounds"), **(mark.kwargs if mark else {})}
    unknown = given.keys() - {"rounds", "warmup", "tolerance"}
    if unknown or (mark and mark.args) or any(type(n) is not int or n < 0 for n in given.values()):
        raise pytest.UsageError(f"{item.nodeid}: leakhunt takes rounds=, warmup= and tolerance=, as whole numbers.")
    if given["rounds"] == 0:
        return None
    if given["rounds"] < ROUNDS_MIN:
        raise pytest.UsageError(
            f"{item.nodeid}: leakhunt needs {ROUNDS_MIN} rounds or more to tell growth from chance."
        )
    return Settings(is_marked=mark is not None, **given)


def _hunt(item: pytest.Function, settings: Settings) -> list[Finding]:
    """What grows on every round. Two snapshots clear most tests, and what they show may be a cache that fills.

    So a suspect body runs for a while before the rounds that count: what grows on every one of them then is a leak.
    """
    from leakhunt.recorder import SnapshotRecorder

    pins = SnapshotRecorder()
    try:
        begun = time.monotonic()
        done = _repeat(item, 0, settings.warmup)
        pins.take(0.0)
        done = _repeat(item, done, settings.rounds)
        pins.take(1.0)
        if not _is_suspect(pins, settings):
            return []
        until = time.monotonic() + max(LONGER_LOOK_SECONDS, 2 * (time.monotonic() - begun))
        while done < LONGER_LOOK_ROUNDS and time.monotonic() < until:
            done = _repeat(item, done, 1)
        return _look(item, settings, pins, done)
    finally:
        pins.close()


def _is_suspect(pins: SnapshotRecorder, settings: Settings) -> bool:
    from leakhunt.rounds import is_suspect

    before, after = pins.load()
    return is_suspect(before, after, settings.rounds * (settings.tolerance + 1))


def _look(item: pytest.Function, settings: Settings, pins: SnapshotRecorder, done: int) -> list[Finding]:
    """The rounds that count. Nothing is kept of a round but its file, for that would be seen growing."""
    from leakhunt import rounds
    from leakhunt.config import known_places
    from leakhunt.errors import LeakhuntError

    try:
        known = known_places(item.config.rootpath)
    except LeakhuntError as problem:
        raise pytest.UsageError(str(problem)) from None
    pins.take(0.0)
    for number in range(settings.rounds):
        _repeat(item, done + number, 1)
        pins.take(number + 1.0)
    taken, naming = pins.load(settings.rounds + 1), Fixtures(item, settings.is_marked).name
    return rounds.findings(taken, settings.tolerance, naming, known)


def _repeat(item: pytest.Function, done: int, times: int) -> int:
    """Run the body `times` more after `done` times; gives the new number."""
    for number in range(done + 1, done + times + 1):
        _run(item, number)
    return done + times


def _run(item: pytest.Function, number: int) -> None:
    try:
        item.ihook.pytest_pyfunc_call(pyfuncitem=item)
    except Exception as problem:
        if number > 1:
            problem.add_note(f"leakhunt: this was round {number} of the same test body; the rounds before it passed.")
        raise


class Fixtures:
    """Names what grows in a test's fixtures after them.

    What pytest itself holds only until the test is over is nobody's leak; a fixture made for this one test is
    looked into when the test is marked, but not when all tests are hunted.
    """

    def __init__(self, item: pytest.Function, is_marked: bool) -> None:
        values = {name: id(value) for name, value in item.funcargs.items()}
        self._names = {address: name for name, address in values.items()}
        self._passing = frozenset() if is_marked else {values[name] for name in values if not _outlives(item, name)}

    def name(self, names: Names, index: int) -> str | None:
        """The name of a growing container; None where it is the harness's, or goes with the test."""
        from leakhunt.analysis.growth.holders import place_name

        addresses = names.graph.addresses
        way = [(step.source, step.target) for step in names.steps(index)]
        is_by_pytest = any(names.graph.type_name(source).startswith(HARNESS) for source, _ in way)
        if is_by_pytest and any(int(addresses[target]) in self._passing for _, target in way):
            return None
        owner = place_name(names, index)
        if owner.startswith(HARNESS):
            fixture = self._names.get(int(addresses[index]))
            return f"fixture {fixture}" if fixture else None
        return owner


def _outlives(item: pytest.Function, fixture: str) -> bool:
    definitions = item._fixtureinfo.name2fixturedefs.get(fixture, ())
    return any(definition.scope != "function" for definition in definitions)


def _arguments(item: pytest.Function) -> dict[str, Any]:
    return {name: item.funcargs[name] for name in item._fixtureinfo.argnames}


def _is_loopable(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and type(item).__name__ != "TestCaseFunction"


def told(found: list[Finding], settings: Settings) -> str:
    """The failure as a person reads it."""
    return (
        "\n".join(line for finding in found[:3] for line in _told_one(finding))
        + _more(found)
        + (
            f"\n(leakhunt: each of {settings.rounds} rounds, long after the first; "
            "@pytest.mark.leakhunt(tolerance=N) allows N items a round)"
        )
    )


def _told_one(finding: Finding) -> Iterator[str]:
    from leakhunt.render import words

    yield f"leakhunt: {words.sentence(finding.sentence)}"
    holder = finding.holder
    if holder is not None:
        where = words.holder_place(holder)
        yield f"  held by  {words.name(holder.owner)}{'  ' if where else ''}{where}"
        if holder.path:
            yield f"  path     {' > '.join(words.name(step) for step in holder.path)}"
    if finding.advice:
        yield f"  fix      {words.sentence(finding.advice)}"


def _more(found: list[Finding]) -> str:
    return f"\n+ {len(found) - 3} more" if len(found) > 3 else ""
