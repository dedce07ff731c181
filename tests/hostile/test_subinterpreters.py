"""Sub-interpreters: no thread of the agent in them, nothing said, and the report says that they were not measured."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from agent.conftest import LIBRARY, any_engine  # noqa: F401
from agent.target import Target

# As mod_wsgi makes them, sharing the GIL, and isolated; by the name that the module has in this interpreter.
MAKE = """
import time
try:
    import _interpreters as them
except ImportError:
    import _xxsubinterpreters as them
def make(isolated):
    for how in ({"isolated": isolated}, None):
        try:
            return them.create(**how) if how else them.create("isolated" if isolated else "legacy")
        except TypeError:
            pass
    return them.create()
run = getattr(them, "run_string", None) or them.exec
"""


@pytest.mark.parametrize("isolated", [False, True], ids=["sharing", "isolated"])
def test_a_program_that_ends_a_sub_interpreter_lives_on(any_engine: Target, isolated: bool) -> None:  # noqa: F811
    ran = any_engine.run(
        MAKE
        + f"""
for _ in range(3):
    number = make({isolated})
    run(number, "kept = [[] for _ in range(1000)]")
    wait_for(sys.modules["_leakhunt_agent"]._sampler._sequence + 2)
    them.destroy(number)
print("lives")
""",
        interval=0.05,
    )
    assert (ran.status, ran.out, ran.err) == (0, "lives\n", "")
    (process,) = ran.processes
    assert len(process.snapshots) > 6
    assert process.problems == "sub-interpreters are not measured"


def test_without_a_sub_interpreter_nothing_is_told(any_engine: Target) -> None:  # noqa: F811
    ran = any_engine.run("wait_for(2)", interval=0.05)
    assert ran.processes[0].problems == ""


def test_the_agent_knows_the_main_interpreter_in_every_thread(any_engine: Target) -> None:  # noqa: F811
    ran = any_engine.run(
        MAKE
        + """
import threading
agent = sys.modules["_leakhunt_agent"]
said = [agent.is_main_interpreter()]
thread = threading.Thread(target=lambda: said.append(agent.is_main_interpreter()))
thread.start()
thread.join()
print(said)
"""
    )
    assert ran.out == "[True, True]\n", ran.err


def test_an_attached_agent_does_not_start_in_a_sub_interpreter(any_engine: Target) -> None:  # noqa: F811
    """A thread that runs one may be the thread that is asked in."""
    payload = Path(__file__).parents[2] / "leakhunt" / "agent" / "payload.py"
    ran = any_engine.run(
        MAKE
        + f"""
stage = os.path.join(os.getcwd(), "stage")
os.mkdir(stage)
with open(stage + "/request", "w") as file: file.write("arm\\0" + os.getcwd() + "\\0")
number = make(False)
run(number, '''if True:
    namespace = {{"__name__": "payload"}}
    with open({str(payload)!r}) as file: exec(compile(file.read(), "payload", "exec"), namespace)
    namespace["main"]({{stage!r}}, {str(payload.parent)!r})
    import sys
    assert "_leakhunt_agent" not in sys.modules
'''.replace("{{stage!r}}", repr(stage)))
them.destroy(number)
print(sorted(os.listdir(stage)))
"""
    )
    assert ran.out == "['request']\n", ran.err  # left for another thread


@pytest.mark.skipif(not LIBRARY.exists(), reason="the C engine is not built")
def test_a_second_load_of_the_c_library_leaves_the_first_as_it_was() -> None:
    from leakhunt.agent import native

    first, second = native.load("first_load"), native.load("second_load")
    try:
        assert first.Rows is not second.Rows
        rows = native.take(first, False, set(), [], 1 << 30)
        assert type(rows) is first.Rows
        assert type(native.take(second, False, set(), [], 1 << 30)) is second.Rows
        second.__dict__.clear()
        assert isinstance(first, types.ModuleType)
        containers = {"container.address", "container.type", "container.length"}
        assert rows.containers().keys() == {*containers, "spectrum.count"}
    finally:
        del sys.modules["first_load._walk"], sys.modules["second_load._walk"]
