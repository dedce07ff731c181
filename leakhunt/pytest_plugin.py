"""pytest: a test that leaves more behind on every round fails, with the sentence that a report gives.

    @pytest.mark.leakhunt                        # or pytest --leakhunt for all tests
    def test_login(client): ...

The body runs again and again with the same fixtures, and a method of a unittest.TestCase in a fresh case each time.
Marked or not, a test that leaks nothing passes as it would without. What the rounds may take is bounded, and how many
tests were not measured is said at the end.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import unittest
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.unittest import TestCaseFunction

from leakhunt.looping import ROUNDS, SECONDS, Loop, Settings, TooSlow

if TYPE_CHECKING:
    from leakhunt.analysis.heap.naming import Names
    from leakhunt.findings import Finding

ROUNDS_MIN = 3
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
_PROPERTY, _MEASURED, _TOO_SLOW = "leakhunt", "measured", "too slow"
_WHY = {_TOO_SLOW: "too slow for --leakhunt-time"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("leakhunt", "memory leaks")
    group.addoption(
        "--leakhunt", action="store_true", help="loop the body of every test, and fail on holders that grow"
    )
    group.addoption(
        "--leakhunt-rounds", type=int, default=ROUNDS, metavar="N", help=f"rounds that count (default {ROUNDS})"
    )
    group.addoption(
        "--leakhunt-time",
        type=float,
        default=SECONDS,
        metavar="SECONDS",
        help=f"what the rounds of one test may take; a test that needs longer is run once and counted at the end "
        f"(default {SECONDS:g}; 0: as long as they need)",
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
        if item.get_closest_marker("leakhunt") and not isinstance(item, pytest.Function):
            item.warn(pytest.PytestWarning(f"leakhunt can't loop {item.name}: it is no test function."))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Calls the hook itself once for each round, so that other plugins run the body as they would."""
    settings = None if pyfuncitem.stash.get(_HUNTED, False) else settings_of(pyfuncitem)
    if settings is None:
        return None
    pyfuncitem.stash[_HUNTED] = True
    try:
        loop = _loop(pyfuncitem, settings, lambda number: _run(pyfuncitem, number))
        loop.run_once()
        _judge(pyfuncitem, loop, settings)
    finally:
        pyfuncitem.stash[_HUNTED] = False
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A method of a unittest.TestCase: pytest runs it once, and the other rounds are fresh cases of its class."""
    begun = time.monotonic()
    result = yield
    if not isinstance(item, TestCaseFunction):
        if not isinstance(item, pytest.Function) and item.config.getoption("leakhunt"):
            _told_of(item, "no test function")
        return result
    settings = settings_of(item)
    if settings is not None and not item._excinfo:
        loop = _loop(item, settings, lambda number: _run_case(item, number))
        loop.count_round(time.monotonic() - begun)
        _judge(item, loop, settings)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests were measured, and what became of the others."""
    reports = [one for group in terminalreporter.stats.values() for one in group if isinstance(one, pytest.TestReport)]
    made = [one for one in reports if one.when == "call"]
    told = Counter(str(what) for one in made for key, what in one.user_properties if key == _PROPERTY)
    if told:
        terminalreporter.write_line(f"leakhunt: {summary(told)}")


def summary(told: Mapping[str, int]) -> str:
    """
    >>> summary({"measured": 8, "too slow": 1})
    '8 tests measured, 1 not: 1 too slow for --leakhunt-time'
    """
    measured = told.get(_MEASURED, 0)
    others = {what: number for what, number in told.items() if what != _MEASURED}
    why = ", ".join(f"{number} {_WHY.get(what, what)}" for what, number in sorted(others.items()))
    tests = "1 test" if measured == 1 else f"{measured} tests"
    return f"{tests} measured" + (f", {sum(others.values())} not: {why}" if others else "")


def _loop(item: pytest.Function, settings: Settings, run: Callable[[int], None]) -> Loop:
    from leakhunt.config import known_places
    from leakhunt.errors import LeakhuntError

    try:
        known = known_places(item.config.rootpath)
    except LeakhuntError as problem:
        raise pytest.UsageError(str(problem)) from None
    return Loop(run, settings, Fixtures(item, settings.is_marked).name, lambda: _say_looking(item), known)


def _judge(item: pytest.Function, loop: Loop, settings: Settings) -> None:
    """Run the other rounds and fail the test where something grows on each; one that is too slow is only counted."""
    try:
        found = loop.findings()
    except TooSlow:
        _told_of(item, _TOO_SLOW)
        return
    _told_of(item, _MEASURED)
    if found:
        pytest.fail(told(found, settings), pytrace=False)


def _told_of(item: pytest.Item, what: str) -> None:
    """Keep with the test what became of it: the report takes it to the terminal, from a worker of xdist as well."""
    item.user_properties.append((_PROPERTY, what))


def _say_looking(item: pytest.Item) -> None:
    """On a terminal, say at which test a closer look is taken: it takes seconds."""
    reporter = item.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.isatty:
        reporter.write_line(f" leakhunt: taking a closer look at {item.nodeid}")


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
    return Settings(is_marked=mark is not None, seconds=item.config.getoption("leakhunt_time"), **given)


def _run(item: pytest.Function, number: int) -> None:
    try:
        item.ihook.pytest_pyfunc_call(pyfuncitem=item)
    except Exception as problem:
        if number > 1:
            problem.add_note(f"leakhunt: this was round {number} of the same test body; the rounds before it passed.")
        raise


def _run_case(item: TestCaseFunction, number: int) -> None:
    """One round of a unittest method: set up, run and torn down in a case of its own."""
    result = unittest.TestResult()
    case = type(item.instance)(item.name)
    case(result)
    problems = [text for _, text in (*result.errors, *result.failures)]
    if problems:
        said = f"leakhunt: this was round {number} of the same test body; the rounds before it passed."
        pytest.fail(f"{problems[0]}\n{said}", pytrace=False)


class Fixtures:
    """Names what grows in a test's fixtures after them.

    What pytest itself holds only until the test is over is nobody's leak; a fixture made for this one test is
    looked into when the test is marked, but not when all tests are hunted.
    """

    def __init__(self, item: pytest.Function, is_marked: bool) -> None:
        values = {name: id(value) for name, value in (getattr(item, "funcargs", None) or {}).items()}
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
    for what, origin in words.origins(finding):
        yield f"  {what:9}{words.origin(origin)}"
        if origin.source:
            yield f"           {words.name(origin.source)}"
    if finding.advice:
        yield f"  fix      {words.sentence(finding.advice)}"


def _more(found: list[Finding]) -> str:
    return f"\n+ {len(found) - 3} more" if len(found) > 3 else ""
