"""Every interpreter at hand, every way in, hostile programs: none is hurt. The long form is in benchmarks."""

from __future__ import annotations

import os
import shutil
import time

import pytest
from targets import KINDS, VERSIONS, Interpreter, helper, hostile_target, interpreters

from leakhunt.attach import ARM, BY_NAME, DISARM, Request

OPTIONS = "interval=0.02,deep=auto,budget=0.2"
NEEDS_HELPER = ("malloc", "malloc_with_gil", "dlopen")
KINDS_PER_CELL = 3

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="tested on x86-64 only")


def cells() -> list[object]:
    """A few kinds for each interpreter and way, so that all kinds come up; absent versions by name, skipped."""
    found = []
    for number, interpreter in enumerate(interpreters()):
        methods = ["ptrace", *(["pep768"] if interpreter.version >= (3, 14) else [])]
        for method in methods:
            kinds = [KINDS[(number + step * 4 + len(method)) % len(KINDS)] for step in range(KINDS_PER_CELL)]
            found += [
                pytest.param(interpreter, method, kind, id=f"{interpreter.name}-{method}-{kind}") for kind in kinds
            ]
    have = {"{}.{}".format(*interpreter.version) for interpreter in interpreters()}
    for version in VERSIONS:
        if version not in have:
            mark = pytest.mark.skip(reason=f"no Python {version} here")
            found.append(pytest.param(None, "", "", id=version, marks=mark))
    return found


@pytest.mark.parametrize(("interpreter", "method", "kind"), cells())
def test_a_hostile_program_survives_being_attached_to_and_detached_from(
    interpreter: Interpreter, method: str, kind: str
) -> None:
    if kind in NEEDS_HELPER and helper() is None:
        pytest.skip("no C compiler here")
    if method == "pep768" and kind == "asleep":
        pytest.skip("its one thread never comes back from C")
    way = BY_NAME[method]
    with hostile_target(interpreter, kind) as target:
        folder = f"/tmp/leakhunt-test-{target.pid}"
        (interpreter.root / folder[1:]).mkdir()
        threads = target.threads()
        for _ in range(2):
            assert way.why_not(target.pid) is None
            assert way.inject(target.pid, Request(ARM, folder, OPTIONS)).word == "started"
            time.sleep(0.05)
            assert way.inject(target.pid, Request(DISARM)).word == "stopped"
            assert target.is_alive, target.errors
            assert kind == "asleep" or target.goes_on(), "deadlocked"
        assert target.broken == 0, target.errors
        assert settles(target, threads)
        assert list((interpreter.root / folder[1:]).glob("pid-*/process"))
    shutil.rmtree(interpreter.root / folder[1:])


def settles(target: object, threads: int) -> bool:
    """Whether the target comes back to its own number of threads."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if target.threads() == threads:  # type: ignore[attr-defined]
            return True
        time.sleep(0.01)
    return False
