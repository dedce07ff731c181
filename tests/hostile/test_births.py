"""Programs that would break a hook, a hook that would break a program: seeing births changes nothing and ends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.target import VERSIONS, Ran, Target, interpreters, said
from tests.agent.test_births import ASKING, answers

pytestmark = pytest.mark.hostile  # minutes; with the rest of the long part

HOOKED = [version for version in VERSIONS if VERSIONS.index(version) >= VERSIONS.index("3.11")]


@pytest.fixture(params=HOOKED)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    python = interpreters().get(request.param)
    if python is None:
        pytest.skip(f"no python{request.param} here")
    return Target(request.param, python, "auto", tmp_path)


def quiet(ran: Ran) -> Ran:
    """Where the interpreter may warn of a fork: the helper thread that asked is gone, and the system may not know."""
    assert ran.status == 0, ran.err
    return ran


def fine(ran: Ran) -> Ran:
    assert ran.status == 0, ran.err
    assert not ran.err, ran.err
    return ran


def test_an_audit_hook_that_refuses_everything_gets_no_exception_of_ours_and_gives_none(target: Target) -> None:
    ran = target.run(
        ASKING + "LIST = []\nclass A: pass\ndef add(): LIST.append(A())\n"
        "take(False)\non = []\n"
        "def refuse(event, arguments):\n"
        "    if on and event.startswith(('sys.monitoring', 'sys._', 'gc.', 'tracemalloc')): raise SystemExit(event)\n"
        "sys.addaudithook(refuse)\non.append(1)\n"
        "ask([A, set], [LIST], ['attribute LIST'])\nfor n in range(50): add()\ntick()\nanswer()\non.clear()\n"
        "print('added', len(LIST))\n"
    )
    assert dict(said(ran))["added"] == 50
    assert ran.status == 0


def test_classes_whose_every_method_lies_are_only_counted(target: Target) -> None:
    ran = fine(
        target.run(
            ASKING + "class Meta(type):\n"
            "    def __call__(cls, *a): return super().__call__(*a)\n"
            "    def __eq__(cls, other): raise RuntimeError('eq')\n"
            "    def __hash__(cls): return 1\n"
            "    def __getattribute__(cls, name):\n"
            "        if name in ('__name__', '__mro__'): raise RuntimeError(name)\n"
            "        return super().__getattribute__(name)\n"
            "class Liar(metaclass=Meta):\n"
            "    def __getattribute__(self, name): raise RuntimeError(name)\n"
            "    def __len__(self): raise RuntimeError('len')\n"
            "    def __eq__(self, other): raise RuntimeError('eq')\n"
            "    __hash__ = None\n"
            "class LyingList(list):\n"
            "    def __len__(self): raise RuntimeError('len')\n"
            "    def __iter__(self): raise RuntimeError('iter')\n"
            "class LyingDict(dict):\n"
            "    def __len__(self): raise RuntimeError('len')\n"
            "PLACE, MAPPING = LyingList(), LyingDict()\n"
            "def add(n):\n    PLACE.append(Liar())\n    MAPPING[n] = n\n"
            "class Names: __module__, __qualname__ = '__main__', 'Liar'\n"
            "sampler = sys.modules['_leakhunt_agent']._sampler\n"
            "take(False)\n"
            "with open(sampler._folder + '/births.ask', 'w') as file:\n"
            "    file.write('number\\t1\\nclass\\t%d\\t__main__.Liar\\nplace\\t%d\\t\\nplace\\t%d\\t\\n'\n"
            "               'name\\tattribute\\tPLACE\\n' % (id(Liar), id(PLACE), id(MAPPING)))\n"
            "tick()\nfor n in range(9): add(n)\nanswer()\nprint('added', list.__len__(PLACE))\n"
        )
    )
    [seen] = answers(ran)
    assert len(seen.births) == 9
    if VERSIONS.index(target.version) >= VERSIONS.index("3.12"):
        assert len(seen.additions) == 18


def test_threads_that_make_and_add_all_the_time_lose_nothing(target: Target) -> None:
    ran = fine(
        target.run(
            ASKING + "class A:\n    def __init__(self, n): self.n = n\n"
            "LIST, DICT = [], {}\nstop = []\n"
            "def add(n):\n    LIST.append(A(n))\n    DICT[n] = A(n)\n"
            "def work(k):\n    n = 0\n"
            "    while not stop:\n        n += 1\n        add((k, n))\n        done[k] = n\n"
            "done = {}\nthreads = [threading.Thread(target=work, args=(k,)) for k in range(6)]\n"
            "for t in threads: t.start()\n"
            "import time\n"
            "for n in range(12):\n"
            "    ask([A, set], [LIST, DICT], ['attribute LIST'], ways={id(DICT): [globals()]})\n"
            "    for k in range(3): time.sleep(0.02); tick()\n    answer()\n"
            "stop.append(1)\nfor t in threads: t.join()\n"
            "print('lost', sum(done.values()) - len(LIST), sum(done.values()) - len(DICT))\n"
        )
    )
    assert ran.out.split() == ["lost", "0", "0"]
    assert any(one.births for one in answers(ran))


def test_a_storm_of_forks_while_armed(target: Target) -> None:
    ran = quiet(
        target.run(
            ASKING + "class A: pass\nLIST = []\ndef add(): LIST.append(A())\n"
            "ask([A, set], [LIST], ['attribute LIST'])\nbad = 0\n"
            "for n in range(20):\n    add()\n    pid = os.fork()\n"
            "    if pid == 0:\n        add()\n        os._exit(len(LIST) != n + 2)\n"
            "    bad += os.waitpid(pid, 0)[1] != 0\n"
            "answer()\nprint('bad', bad)\n"
        )
    )
    assert dict(said(ran))["bad"] == 0
    [seen] = answers(ran)
    assert len(seen.births) == 20


def test_a_container_that_dies_while_it_is_watched_dies(target: Target) -> None:
    """Of a dict nobody keeps a reference; a list goes at the next tick."""
    ran = fine(
        target.run(
            ASKING + "import weakref\nclass L(list): pass\nclass D(dict): pass\n"
            "PLACE, MAPPING = L(), D()\nalive = [weakref.ref(PLACE), weakref.ref(MAPPING)]\n"
            "def use(): return PLACE, MAPPING\n"
            "ask([], [PLACE, MAPPING], ['attribute PLACE'])\ndel PLACE, MAPPING\n"
            "sys.modules['_leakhunt_agent']._sampler._births._ticked -= 9\ntick()\ntick()\n"
            "print('alive', sum(ref() is not None for ref in alive))\nanswer()\n"
        )
    )
    assert dict(said(ran))["alive"] == 0


def test_subclasses_made_while_a_class_is_watched_make_objects_ever_after(target: Target) -> None:
    ran = fine(
        target.run(
            ASKING + "class A:\n    def __init__(self, n=0): self.n = n\n"
            "class B(A): pass\nask([A])\n"
            "class C(A): pass\nclass D(B, dict): pass\nD2 = type('D2', (A, Exception), {})\n"
            "made = [A(), B(), C(), D(), D2()]\nB.__bases__ = (A,)\nmade[0].__class__ = C\nanswer()\n"
            "for n in range(1000): made += [A(), B(), C(), D(), D2()]\n"
            "import copy, pickle\ncopy.copy(made[0]); pickle.loads(pickle.dumps(made[1:3]))\n"
            "del made\ngc.collect()\nprint('fine 1')\n"
        )
    )
    [seen] = answers(ran)
    assert len(seen.births) == 1


def test_a_class_that_goes_while_it_is_watched(target: Target) -> None:
    fine(
        target.run(
            ASKING
            + "def once(n):\n    class A: pass\n    ask([A])\n    kept = [A() for n in range(5)]\n    return kept\n"
            "for n in range(10):\n    once(n)\n    gc.collect()\nanswer()\ngc.collect()\n"
        )
    )


def test_deep_recursion_and_generators_under_every_line(target: Target) -> None:
    ran = fine(
        target.run(
            ASKING + "LIST = []\ndef deep(n):\n    LIST.append(n)\n    return deep(n - 1) if n else 0\n"
            "def lines(n):\n    for k in range(n):\n        LIST.append(k)\n        yield k\n"
            "async def awaits(n):\n    LIST.append(n)\n    return n\n"
            "ask([], [LIST], ['attribute LIST'])\n"
            "deep(400)\nsum(lines(300))\nassert [next(lines(3)) for n in range(50)]\n"
            "g = lines(9); next(g); g.close()\n"
            "try:\n    g = lines(9); next(g); g.throw(KeyError('x'))\nexcept KeyError: pass\n"
            "try:\n    awaits(3).send(None)\nexcept StopIteration: pass\n"
            "def over(): over()\n"
            "try:\n    over()\nexcept RecursionError: pass\n"
            "answer()\nprint('added', len(LIST))\n"
        )
    )
    assert dict(said(ran))["added"] == 401 + 300 + 50 + 1 + 1 + 1


def test_the_collector_sees_nothing_of_the_hooks(target: Target) -> None:
    """No more collections than without, and nothing new among what it lists."""
    ran = fine(
        target.run(
            ASKING + "class A:\n    __slots__ = ('n', '__weakref__')\n    def __init__(self): self.n = 1\n"
            "LIST = [None] * 64\ndef add():\n    LIST.append(A())\n"
            "ask([A], [LIST], ['attribute LIST'])\nfor n in range(30): add()\ngc.collect()\ntick()\ngc.collect()\n"
            "before = set(map(id, gc.get_objects()))\n"
            "for n in range(10): add()\n"
            "new = [o for o in gc.get_objects() if id(o) not in before and type(o) is not A and o is not before]\n"
            "print('new', len([o for o in new if type(o).__name__ in ('frame', 'list', 'tuple', 'dict', 'code')]) <= 1)\n"
            "answer()\n"
        )
    )
    assert ran.out.split() == ["new", "True"]


def test_sub_interpreters_go_on_beside_the_hooks(target: Target) -> None:
    ran = target.run(
        ASKING + "try:\n    import _interpreters as sub\nexcept ImportError:\n    import _xxsubinterpreters as sub\n"
        "class A: pass\nLIST = []\ndef add(): LIST.append(A())\n"
        "ask([A, set], [LIST], ['attribute LIST'])\n"
        "one = sub.create()\n"
        "run = getattr(sub, 'exec', None) or sub.run_string\n"
        "run(one, 'class A: pass\\nkept = [{n} for n in range(1000)]\\nmore = [A() for n in range(1000)]')\n"
        "for n in range(9): add()\nsub.destroy(one)\nanswer()\nprint('added', len(LIST))\n"
    )
    assert ran.status == 0, ran.err
    assert dict(said(ran))["added"] == 9


def test_coverage_in_the_same_process_counts_the_same_lines(target: Target) -> None:
    """settrace is built on sys.monitoring from 3.12 on."""
    program = (
        "LIST = []\nclass A: pass\ndef add(n):\n    LIST.append(A())\n    if n % 2:\n        return 1\n    return 2\n"
        "seen = []\n"
        "def trace(frame, event, argument):\n"
        "    if frame.f_code is add.__code__: seen.append((event, frame.f_lineno - add.__code__.co_firstlineno))\n"
        "    return trace\n"
    )
    work = "sys.settrace(trace)\nfor n in range(6): add(n)\nsys.settrace(None)\nprint('seen', hash(str(seen)) % 9973)\n"
    alone = target.run(ASKING + program + work, PYTHONHASHSEED="0")
    again = Target(target.version, target.python, target.engine, target.folder / "again")
    again.folder.mkdir()
    with_hooks = again.run(
        ASKING + program + "ask([A], [LIST], ['attribute LIST'])\n" + work + "answer()\n", PYTHONHASHSEED="0"
    )
    assert fine(with_hooks).out == fine(alone).out
