"""Who makes and who adds, as the agent sees it: every way there is, on every interpreter, and what is left of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from leakhunt import births
from leakhunt.births import Births

from .target import VERSIONS, Ran, Target, said

# `ask()` leaves a request and has it obeyed at once, by a thread as the agent's own is one; `answer()` ends it.
ASKING = """
import threading
def by_agent(*names):
    sampler = sys.modules["_leakhunt_agent"]._sampler
    thread = threading.Thread(target=lambda: [getattr(sampler, name)() for name in names])
    thread.start()
    thread.join()
def ask(classes=(), places=(), names=(), functions=(), seconds=0.0, ways={}):
    sampler = sys.modules["_leakhunt_agent"]._sampler
    if sampler._folder is None:
        take(False)
    ask.number = getattr(ask, "number", 0) + 1
    lines = ["number\\t%d" % ask.number]
    lines += ["class\\t%d\\t%s.%s" % (id(c), c.__module__, c.__qualname__) for c in classes]
    lines += ["place\\t%d\\t%s" % (id(p), " ".join(str(id(w)) for w in ways.get(id(p), ()))) for p in places]
    lines += ["name\\t" + name.replace(" ", "\\t") for name in names]
    lines += ["function\\t%s\\t%d" % f for f in functions]
    with open(sampler._folder + "/births.ask", "w") as file:
        file.write("\\n".join(lines))
    sampler._options.births_seconds = seconds
    by_agent("_look_after_births")
def tick():
    by_agent("_look_after_births")
def answer():
    by_agent("_end_births")
"""
SHOP = """
class Session:
    def __init__(self, n):
        self.n = n
def open_session(n):
    return Session(n)  # made here
def subscribe(session):
    SESSIONS.append(session)  # put in here
def enter(session):
    BY_NUMBER[session.n] = session  # entered here
SESSIONS, BY_NUMBER = [], {}
def visit(n):
    session = open_session(n)
    subscribe(session)
    enter(session)
"""


def answers(ran: Ran) -> list[Births]:
    assert ran.status == 0, ran.err
    found = [births.load(path) for path in ran.processes[0].births]
    assert all(found)
    return [one for one in found if one is not None]


def innermost(records: object) -> Counter[tuple[int, str]]:
    """How often each (line, function) is the innermost frame."""
    return Counter((r.stack.frames[0].line, r.stack.frames[0].function) for r in records)  # type: ignore[attr-defined]


def line_of(ran: Ran, comment: str) -> int:
    """The line of the program that ends with a comment."""
    [program] = [path for path in ran.folder.parent.rglob("*.py") if comment in path.read_text()]
    lines = program.read_text().split("\n")
    return next(number for number, text in enumerate(lines, 1) if text.endswith(comment))


def at_least(target: Target, version: str) -> bool:
    return VERSIONS.index(target.version) >= VERSIONS.index(version)


def has_hooks(target: Target) -> bool:
    return target.engine != "python" and at_least(target, "3.11")


def sees_additions(target: Target) -> bool:
    return target.engine != "python" and at_least(target, "3.12")


def test_who_makes_objects_of_a_class_is_seen_with_its_callers(target: Target) -> None:
    ran = target.run(ASKING + SHOP + "ask([Session])\nfor n in range(8): visit(n)\nanswer()\n")
    [seen] = answers(ran)
    [session] = seen.classes.values()
    if not has_hooks(target):
        assert not seen.births
        assert "the C library is not used here" in session.why
        return
    assert session.way == "alloc"
    made = line_of(ran, "# made here")
    assert set(innermost(seen.births)) == {(made, "open_session")}
    assert len(seen.births) == 8
    assert [frame.function for frame in seen.births[0].stack.frames] == ["open_session", "visit", "<module>"]


def test_births_of_a_class_of_c_are_seen_from_3_13_on(target: Target) -> None:
    ran = target.run(
        ASKING + "def make(n): return {n, -1 - n}  # made here\nask([set])\n"
        "kept = [make(n) for n in range(7)]\nanswer()\n"
    )
    [seen] = answers(ran)
    [of_set] = seen.classes.values()
    if target.engine != "python" and at_least(target, "3.13"):
        assert of_set.way == "tracer"
        assert innermost(seen.births)[line_of(ran, "# made here"), "make"] == 7
    else:
        assert of_set.way == "-"
        assert of_set.why


def test_a_birth_among_very_many_is_seen_when_the_object_is_put_in(any_engine: Target) -> None:
    """Ten thousand sets come and go between two that stay: most are only counted, those that are put in are not."""
    ran = any_engine.run(
        ASKING + "STORE = []\ndef busy():\n    for n in range(2000): {n}\n"
        "def keep(n):\n    item = {n, -1 - n}  # made here\n    STORE.append(item)\n    return item\n"
        "ask([set], [STORE], ['attribute STORE'])\nfor n in range(5): busy(); keep(n)\nanswer()\n"
        "print('kept', *[id(item) for item in STORE])\n"
    )
    [seen] = answers(ran)
    if sees_additions(any_engine) and at_least(any_engine, "3.13"):
        kept = set(map(int, ran.out.split()[1:]))
        last = {birth.address: birth for birth in seen.births}  # others were at these addresses before
        stayed = [birth for birth in last.values() if birth.address in kept]
        assert innermost(stayed) == {(line_of(ran, "# made here"), "keep"): 5}


def test_a_local_container_that_gc_freeze_hid_is_found(any_engine: Target) -> None:
    ran = any_engine.run(
        ASKING + "class Bus:\n    def __init__(self): self.items = {1: 1}\n"
        "    def put(self, n): self.items[n] = n  # put in here\n"
        "def main():\n    bus = Bus()\n    gc.freeze()\n"
        "    ask([], [bus.items], ['attribute items'], ways={id(bus.items): [bus]})\n"
        "    for n in range(2, 7): bus.put(n)\n    answer()\nmain()\n"
    )
    [seen] = answers(ran)
    if sees_additions(any_engine):
        assert {function.rpartition(".")[2] for _, function in innermost(seen.additions)} == {"put"}
        assert len(seen.additions) == 5


def test_who_adds_to_a_list_and_to_a_dict_is_seen_from_3_12_on(target: Target) -> None:
    ran = target.run(
        ASKING + SHOP + "ask([], [SESSIONS, BY_NUMBER], ['attribute SESSIONS'], ways={id(BY_NUMBER): [globals()]})\n"
        "for n in range(8): visit(n)\nanswer()\nprint('list', id(SESSIONS)); print('dict', id(BY_NUMBER))\n"
    )
    [seen] = answers(ran)
    where = dict(said(ran))
    if not sees_additions(target):
        assert not seen.additions
        assert all(place.why for place in seen.places.values())
        return
    in_list = [a for a in seen.additions if a.of == where["list"]]
    in_dict = [a for a in seen.additions if a.of == where["dict"]]
    assert set(innermost(in_list)) == {(line_of(ran, "# put in here"), "subscribe")}
    assert set(innermost(in_dict)) == {(line_of(ran, "# entered here"), "enter")}
    assert len(in_list) == len(in_dict) == 8
    assert [frame.function for frame in in_list[0].stack.frames] == ["subscribe", "visit", "<module>"]
    assert seen.places[where["list"]].way == "lengths"
    assert seen.places[where["dict"]].way == "watcher"


@pytest.mark.parametrize(
    ("made", "added"),
    [
        ("collections.deque()", "PLACE.append(n)"),
        ("set()", "PLACE.add(n)"),
        ("bytearray()", "PLACE.extend(b'x')"),
        ("types.SimpleNamespace(last=None)", "PLACE.last = (n, PLACE.last)"),
    ],
)
def test_any_container_tells_who_adds(any_engine: Target, made: str, added: str) -> None:
    ran = any_engine.run(
        f"import collections, types\n{ASKING}PLACE = {made}\n"
        f"def add(n):\n    {added}  # put in here\n    return n\n"
        "ask([], [PLACE], ['attribute PLACE'], ways={id(PLACE): [globals()]})\n"
        "for n in range(5): add(n)\nanswer()\n"
    )
    [seen] = answers(ran)
    if sees_additions(any_engine):
        assert innermost(seen.additions) == {(line_of(ran, "# put in here"), "add"): 5}


def test_a_helper_that_adds_under_another_name_is_seen_by_the_functions_that_make(any_engine: Target) -> None:
    """`keep` does not use the name of the list, and stands in no stack of a birth; who calls it does."""
    ran = any_engine.run(
        ASKING + "STORE = []\ndef keep(anything, where):\n    where.append(anything)\n"
        "def work(n, where):\n    item = [n]\n    keep(item, where)  # put in here\n    return item\n"
        "ask([], [STORE], [], [(__file__, work.__code__.co_firstlineno + 1)])\n"
        "for n in range(5): work(n, STORE)\nanswer()\n"
    )
    [seen] = answers(ran)
    if sees_additions(any_engine):
        assert innermost(seen.additions) == {(line_of(ran, "# put in here"), "work"): 5}


def test_tracemalloc_sees_on_every_version_what_stays(target: Target) -> None:
    """Only with SECONDS, for what nothing cheaper sees, and not after the window."""
    ran = target.run(
        ASKING + "import _tracemalloc\ndef make(n):\n    return {n, -1 - n}  # made here\n"
        "ask([set], seconds=30.0)\nprint('tracing', int(_tracemalloc.is_tracing()))\n"
        "kept = [make(n) for n in range(7)]\nanswer()\nprint('after', int(_tracemalloc.is_tracing()))\n"
    )
    [seen] = answers(ran)
    said_ = dict(said(ran))
    assert said_["after"] == 0
    assert innermost(seen.births)[line_of(ran, "# made here"), "make"] == 7
    [of_set] = seen.classes.values()
    is_free = target.engine != "python" and at_least(target, "3.13")
    assert (of_set.way, said_["tracing"]) == (("tracer", 0) if is_free else ("tracemalloc", 1))


def test_tracemalloc_that_the_program_started_is_read_and_left_alone(target: Target) -> None:
    ran = target.run(
        ASKING + "import _tracemalloc\n_tracemalloc.start(3)\ndef make(n):\n    return {n, -1 - n}  # made here\n"
        "ask([set])\nkept = [make(n) for n in range(7)]\nanswer()\n"
        "print('after', int(_tracemalloc.is_tracing()), _tracemalloc.get_traceback_limit())\n"
    )
    [seen] = answers(ran)
    assert ran.out.split() == ["after", "1", "3"]
    assert innermost(seen.births)[line_of(ran, "# made here"), "make"] == 7


def test_nothing_is_left_when_it_is_over(target: Target) -> None:
    """No hook, no tool, no watcher; what is made afterwards is in no answer, and the heap is as it was."""
    ran = target.run(
        ASKING + SHOP + "def figures():\n    gc.collect()\n"
        "    return len(gc.get_objects()), sys.getrefcount(Session), sys.getrefcount(SESSIONS)\n"
        "def round():\n    ask([Session, set], [SESSIONS, BY_NUMBER], ['attribute SESSIONS'])\n"
        "    for n in range(8): visit(n)\n    answer()\n    SESSIONS.clear(); BY_NUMBER.clear()\n"
        "for n in range(4): round()\nbefore = figures()\n"
        "for n in range(6): round()\nafter = figures()\n"
        "for what, a, b in zip(('objects', 'class', 'list'), before, after): print(what, b - a)\n"
        "if sys.version_info >= (3, 12): print('tools', sum(sys.monitoring.get_tool(n) is not None for n in range(6)))\n"
        "for n in range(99): visit(n)\n"
    )
    figures = dict(said(ran))
    assert figures["objects"] <= 3
    assert figures["class"] == figures["list"] == 0
    assert not figures.get("tools")
    assert all(len(one.births) <= 8 and len(one.additions) <= 16 for one in answers(ran))


def test_the_answer_is_not_in_the_snapshots(target: Target) -> None:
    ran = target.run(
        ASKING + SHOP + "ask([Session], [SESSIONS], ['attribute SESSIONS'])\nfor n in range(8): visit(n)\n"
        "tick()\ntake()\nanswer()\nos._exit(0)\n"
    )
    heap = ran.heaps[-1]
    ours = [name for name in heap.snapshot.type_names if "leakhunt" in name]
    assert not [name for name in ours if heap.of_type(name)]


def test_a_fork_lets_go_of_the_hooks_in_the_child(target: Target) -> None:
    ran = target.run(
        ASKING + SHOP + "ask([Session], [SESSIONS], ['attribute SESSIONS'])\npid = os.fork()\n"
        "if pid == 0:\n    for n in range(5): visit(n)\n"
        "    tools = sys.version_info >= (3, 12) and any(sys.monitoring.get_tool(n) for n in range(6))\n"
        "    os._exit(7 if tools else 0)\n"
        "print('child', os.waitpid(pid, 0)[1])\nfor n in range(8): visit(n)\nanswer()\nprint('end 1')\n"
    )
    assert dict(said(ran))["child"] == 0
    [seen] = answers(ran)
    if has_hooks(target):
        assert len(seen.births) == 8


def test_other_tools_of_sys_monitoring_keep_their_ids(any_engine: Target) -> None:
    if not at_least(any_engine, "3.12"):
        pytest.skip("sys.monitoring came with 3.12")
    ran = any_engine.run(
        ASKING + SHOP + "for n in range(6):\n    sys.monitoring.use_tool_id(n, 'theirs')\n"
        "ask([], [SESSIONS], ['attribute SESSIONS'])\nfor n in range(4): visit(n)\nanswer()\n"
        "print('theirs', sum(sys.monitoring.get_tool(n) == 'theirs' for n in range(6)))\n"
    )
    [seen] = answers(ran)
    assert dict(said(ran))["theirs"] == 6
    assert [place.why for place in seen.places.values()] == [
        "sys.monitoring can't be used: other tools have all of its ids"
    ]


def test_a_tracer_that_another_tool_took_meanwhile_stays_its_own(any_engine: Target) -> None:
    if not at_least(any_engine, "3.13"):
        pytest.skip("the tracer came with 3.13")
    ran = any_engine.run(
        ASKING + "import tracemalloc\nask([set])\ntracemalloc.start()\ntick()\nanswer()\nkept = {1, 2}\n"
        "print('traced', int(tracemalloc.get_object_traceback(kept) is not None))\n"
    )
    [seen] = answers(ran)
    assert dict(said(ran))["traced"] == 1
    assert [one.why for one in seen.classes.values()] == ["another tool took the interpreter's tracer of references"]


def test_what_is_gone_is_said_to_be_gone(any_engine: Target) -> None:
    ran = any_engine.run(
        ASKING + "class Here: pass\nplace = [1]\nask([Here], [place])\nanswer()\n"
        "here, there = Here, place\ndel Here, place, here, there\ngc.collect()\n"
        "folder = sys.modules['_leakhunt_agent']._sampler._folder\n"
        "open(folder + '/births.ask', 'w').write('number\\t2\\nclass\\t12345\\t__main__.Here\\nplace\\t67890\\t1 2\\n')\n"
        "by_agent('_look_after_births', '_end_births')\n"
    )
    last = answers(ran)[-1]
    assert last.classes[12345].why == "the class is gone"
    assert last.places[67890].why == "the container is gone"


def test_a_request_that_makes_no_sense_is_answered_so(any_engine: Target) -> None:
    ran = any_engine.run(
        ASKING + "take(False)\nfolder = sys.modules['_leakhunt_agent']._sampler._folder\n"
        "open(folder + '/births.ask', 'w').write('number\\tx\\n')\ntick()\ntake(False)\n"
    )
    [seen] = answers(ran)
    assert seen.is_over
    assert "ValueError" in seen.problem
    assert not ran.processes[0].problems  # the run is as good as without it


def test_a_heap_of_millions_is_not_searched_for_what_is_asked(any_engine: Target) -> None:
    ran = any_engine.run(
        ASKING + SHOP + "take(False)\nsampler = sys.modules['_leakhunt_agent']._sampler\n"
        "sys.modules[type(sampler).__module__].FRONTIER_MIN = 1000\nask([Session])\ntick()\nanswer()\n"
    )
    [seen] = answers(ran)
    assert seen.is_over
    assert "too many to be searched" in seen.problem


def test_never_means_never(any_engine: Target) -> None:
    ran = any_engine.run(
        ASKING + SHOP + "take(False)\nsys.modules['_leakhunt_agent']._sampler._options.births = 'never'\n"
        "ask([Session])\nvisit(1)\nanswer()\n"
    )
    assert not answers(ran)


def test_the_answer_is_private(any_engine: Target) -> None:
    ran = any_engine.run(ASKING + SHOP + "ask([Session])\nvisit(1)\nanswer()\n")
    [path] = ran.processes[0].births
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_the_stack_of_a_task_is_joined_with_who_awaits_it(any_engine: Target) -> None:
    ran = any_engine.run(
        "import asyncio\n" + ASKING + "class A: pass\nkept = []\n"
        "async def work():\n    for n in range(5):\n        kept.append(A())\n        await asyncio.sleep(0)\n"
        "    tick()\n    await asyncio.sleep(0)\n"
        "async def outer():\n    await asyncio.create_task(work())  # awaited here\n"
        "async def main():\n    await asyncio.create_task(outer())\n"
        "ask([A])\nasyncio.run(main())\nanswer()\n"
    )
    [seen] = answers(ran)
    if has_hooks(any_engine):
        assert {birth.stack.frames[0].function for birth in seen.births} == {"work"}
        awaited = {(frame.function, frame.line) for birth in seen.births for frame in birth.stack.awaiting}
        assert awaited == {("outer", line_of(ran, "# awaited here"))}


def test_a_thread_is_told_by_the_function_that_it_runs(any_engine: Target) -> None:
    """However deep the stack is below it."""
    ran = any_engine.run(
        ASKING + "class A: pass\nkept = []\ndef deep(n): return deep(n - 1) if n else kept.append(A())\n"
        "gate = threading.Lock()\ngate.acquire()\ndef serve():\n    gate.acquire()\n    deep(25)\n"
        "thread = threading.Thread(target=serve)\nthread.start()\nask([A])\ngate.release()\nthread.join()\nanswer()\n"
    )
    [seen] = answers(ran)
    if has_hooks(any_engine):
        [birth] = seen.births
        assert len(birth.stack.frames) == 16
        assert "serve" in [frame.function for frame in birth.stack.frames]
