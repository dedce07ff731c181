"""The pytest plugin: what grows on every round fails the test, and everything else is as it would be without."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SHOP = """
import collections, functools, logging

class Session:
    def __init__(self): self.basket = []

class Registry:
    def __init__(self): self.sessions = {}
    def login(self): self.sessions[len(self.sessions)] = Session()

REGISTRY = Registry()
RECENT = collections.deque(maxlen=4)
EVERYONE = []

@functools.lru_cache(maxsize=None)
def price(article): return object()

class Few:
    "A bounded cache that says nowhere how much it takes."
    def __init__(self): self.kept = {}
    def put(self, key, value):
        self.kept[key] = value
        if len(self.kept) > 40: del self.kept[next(iter(self.kept))]

FEW = Few()
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Runs pytest in a process of its own on `body`, which may import `shop`."""
    pytester.makepyfile(shop=SHOP)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\n")

    def run(body: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile("import asyncio, logging, pytest, shop\n" + body)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


# What leaks


def test_a_registry_that_grows_by_one_on_every_round_fails_with_the_report_s_sentence(run) -> None:
    result = run("@pytest.mark.leakhunt\ndef test_login(): shop.REGISTRY.login()\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "leakhunt: shop.Session held by shop.Registry.sessions: 5 more items in 5 rounds, none ever taken out, *",
            "  held by  shop.Registry.sessions  shop.py:7",
            "  path     module shop > .REGISTRY > *",
            "  fix      *",
        ]
    )


def test_a_holder_that_the_project_calls_harmless_fails_no_test(run, pytester: pytest.Pytester) -> None:
    harmless = '[[tool.leakhunt.harmless]]\nowner = "Registry.sessions"\nwhy = "one for each user"\n'
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\n" + harmless)
    run("@pytest.mark.leakhunt\ndef test_login(): shop.REGISTRY.login()\n").assert_outcomes(passed=1)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\n" + harmless.replace("harmless", "harmles"))
    result = run("@pytest.mark.leakhunt\ndef test_login(): shop.REGISTRY.login()\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*harmles*"])


def test_the_option_hunts_tests_without_a_mark(run) -> None:
    body = "def test_login(): shop.REGISTRY.login()\ndef test_sum(): assert 1 + 1 == 2\n"
    run(body).assert_outcomes(passed=2)
    run(body, "--leakhunt").assert_outcomes(failed=1, passed=1)


def test_a_leak_through_a_session_fixture_is_seen_from_a_later_test_of_several(run) -> None:
    result = run(
        "@pytest.fixture(scope='session')\ndef registry(): return shop.Registry()\n"
        "def test_innocent(registry): pass\n"
        "@pytest.mark.parametrize('times', [0, 1, 2])\n"
        "def test_login(registry, times):\n    for _ in range(times): registry.login()\n",
        "--leakhunt",
        "-v",
    )
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*test_login[[]0] PASSED*", "*test_login[[]1] FAILED*", "*test_login[[]2] FAILED*"])


def test_a_session_fixture_that_is_itself_the_holder_is_called_by_its_name(run) -> None:
    result = run(
        "@pytest.fixture(scope='session')\ndef inbox(): return []\n"
        "@pytest.mark.leakhunt\ndef test_mail(inbox): inbox.append(shop.Session())\n"
    )
    result.assert_outcomes(failed=1)
    assert "shop.Session held by fixture inbox" in result.stdout.str()


def test_a_coroutine_runs_without_any_plugin_and_its_forgotten_tasks_are_seen(run) -> None:
    result = run(
        "@pytest.mark.leakhunt\nasync def test_login():\n"
        "    await asyncio.sleep(0)\n    shop.EVERYONE.append(shop.Session())\n"
        "@pytest.mark.leakhunt\nasync def test_quiet(): await asyncio.sleep(0)\n",
        "-p",
        "no:asyncio",
        "-p",
        "no:anyio",
    )
    result.assert_outcomes(failed=1, passed=1)
    assert "shop.Session held by shop.EVERYONE" in result.stdout.str()


def test_pytest_asyncio_runs_the_rounds_in_the_loop_of_the_test_s_fixtures(run) -> None:
    result = run(
        "import pytest_asyncio\n"
        "@pytest_asyncio.fixture\nasync def loop_of_fixture(): return asyncio.get_running_loop()\n"
        "@pytest.mark.asyncio\n@pytest.mark.leakhunt\n"
        "async def test_login(loop_of_fixture):\n"
        "    assert asyncio.get_running_loop() is loop_of_fixture\n    shop.REGISTRY.login()\n"
        "@pytest.mark.asyncio\n@pytest.mark.leakhunt\nasync def test_quiet(loop_of_fixture): await asyncio.sleep(0)\n"
    )
    result.assert_outcomes(failed=1, passed=1)
    assert "shop.Session held by shop.Registry.sessions" in result.stdout.str()


def test_the_workers_of_xdist_hunt_too(run) -> None:
    body = "def test_login(): shop.REGISTRY.login()\ndef test_sum(): pass\n"
    run(body, "--leakhunt", "-n", "2").assert_outcomes(failed=1, passed=1)


# What does not


HEALTHY = {
    "nothing": "pass",
    "garbage in cycles": "a = shop.Session(); a.basket.append(a)",
    "one object in total": "shop.EVERYONE or shop.EVERYONE.append(shop.Session())",
    "a bounded deque": "shop.RECENT.append(shop.Session())",
    "a bounded cache that does not say so": "shop.FEW.put(object(), shop.Session())",
    "an unbounded cache asked for the same": "shop.price('bread'), shop.price('jam')",
    "what it takes out again": "shop.EVERYONE.append(1); shop.EVERYONE.pop()",
    "log records, which pytest keeps": "logging.getLogger('shop').warning('late')",
}


def test_healthy_bodies_pass_in_silence(run) -> None:
    tests = "".join(f"def test_{number}():\n    {body}\n" for number, body in enumerate(HEALTHY.values()))
    result = run(tests, "--leakhunt")
    result.assert_outcomes(passed=len(HEALTHY))
    told = [line for line in result.outlines if "leakhunt" in line and not line.startswith(("plugins:", "rootdir:"))]
    assert told == [f"leakhunt: {len(HEALTHY)} tests measured"]


def test_what_pytest_s_own_fixtures_keep_is_not_the_test_s(run) -> None:
    result = run(
        "from unittest import mock\n"
        "def test_patch(monkeypatch, tmp_path, caplog, capsys):\n"
        "    monkeypatch.setattr(shop, 'REGISTRY', object())\n"
        "    logging.getLogger('a').warning('b')\n    print(tmp_path)\n"
        "@pytest.fixture\ndef clock(): return mock.Mock()\n"
        "def test_mock(clock): clock.now(1)\n",
        "--leakhunt",
    )
    result.assert_outcomes(passed=2)


def test_what_hangs_on_a_fixture_of_this_test_alone_counts_when_the_test_is_marked(run) -> None:
    fixture = "@pytest.fixture\ndef registry(): return shop.Registry()\n"
    body = "def test_login(registry): registry.login()\n"
    run(fixture + body, "--leakhunt").assert_outcomes(passed=1)
    run(fixture + "@pytest.mark.leakhunt\n" + body).assert_outcomes(failed=1)


def test_the_tolerance_is_what_each_round_may_leave(run) -> None:
    body = "@pytest.mark.leakhunt(tolerance={})\ndef test_two():\n    shop.REGISTRY.login(); shop.REGISTRY.login()\n"
    run(body.format(2)).assert_outcomes(passed=1)
    run(body.format(1)).assert_outcomes(failed=1)


# How often, and what goes wrong


def test_a_healthy_body_runs_as_often_as_asked_and_no_more(run) -> None:
    body = "COUNT = [0]\n@pytest.mark.leakhunt(rounds={}, warmup=1)\ndef test_it(): COUNT[0] += 1\n"
    run(body.format(4) + "def test_count(): assert COUNT[0] == 5\n").assert_outcomes(passed=2)
    run(body.format(0) + "def test_count(): assert COUNT[0] == 1\n", "--leakhunt-rounds=7").assert_outcomes(passed=2)


def test_a_body_that_passes_only_once_says_in_which_round_it_failed(run) -> None:
    result = run("SEEN = []\n@pytest.mark.leakhunt\ndef test_once():\n    assert not SEEN\n    SEEN.append(1)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert not*", "*leakhunt: this was round 2 of the same test body*"])


def test_a_skip_and_an_ordinary_failure_are_what_they_were(run) -> None:
    result = run("def test_skip(): pytest.skip('not now')\ndef test_fail(): assert 0, 'plain'\n", "--leakhunt")
    result.assert_outcomes(skipped=1, failed=1)
    assert "round" not in result.stdout.str()


@pytest.mark.parametrize("arguments", ["rounds=2", "turns=9", "5", "tolerance=-1", "rounds='many'"])
def test_a_mark_that_makes_no_sense_is_refused_in_words(run, arguments: str) -> None:
    result = run(f"@pytest.mark.leakhunt({arguments})\ndef test_it(): pass\n")
    assert "leakhunt needs 3 rounds" in result.stdout.str() or "leakhunt takes rounds=" in result.stdout.str()


# unittest


CASE = "import unittest\nclass TestIt(unittest.TestCase):\n"


def test_methods_of_unittest_are_looped_in_fresh_cases(run) -> None:
    result = run(
        CASE + "    def setUp(self): self.own = []\n"
        "    def test_login(self): shop.REGISTRY.login()\n"
        "    def test_own(self): self.own.append(1); assert self.own == [1]\n"
        "    def tearDown(self): self.own.clear()\n",
        "--leakhunt",
    )
    result.assert_outcomes(failed=1, passed=1)
    assert "shop.Session held by shop.Registry.sessions" in result.stdout.str()
    assert "leakhunt: 2 tests measured" in result.stdout.str()


def test_coroutine_methods_of_unittest_are_looped_too(run) -> None:
    result = run(
        "import unittest\nclass TestIt(unittest.IsolatedAsyncioTestCase):\n"
        "    @pytest.mark.leakhunt\n    async def test_login(self):\n"
        "        await asyncio.sleep(0)\n        shop.REGISTRY.login()\n"
        "    @pytest.mark.leakhunt\n    async def test_quiet(self): await asyncio.sleep(0)\n"
    )
    result.assert_outcomes(failed=1, passed=1)


def test_unittest_s_skips_and_failures_are_what_they_were(run) -> None:
    body = CASE + (
        "    @unittest.skip('later')\n    def test_skip(self): pass\n"
        "    def test_fail(self): self.fail('plain')\n"
        "    @unittest.expectedFailure\n    def test_known(self): self.fail('known')\n"
    )
    result = run(body, "--leakhunt")
    result.assert_outcomes(skipped=1, failed=1, xfailed=1)
    assert "round" not in result.stdout.str()


def test_a_method_that_passes_only_once_says_in_which_round_it_failed(run) -> None:
    body = "    SEEN = []\n    def test_once(self):\n        assert not self.SEEN\n        self.SEEN.append(1)\n"
    result = run(CASE + body, "--leakhunt")
    result.assert_outcomes(failed=1)
    assert "leakhunt: this was round 2 of the same test body" in result.stdout.str()


# What it costs


def test_a_test_that_would_take_too_long_runs_once_and_is_counted_at_the_end(run) -> None:
    body = (
        "import time\nCOUNT = [0]\ndef test_slow():\n    COUNT[0] += 1\n    time.sleep(0.3)\n"
        "def test_count(): assert COUNT[0] == 1\n"
    )
    result = run(body, "--leakhunt", "--leakhunt-time=0.6")
    result.assert_outcomes(passed=2)
    assert "leakhunt: 1 test measured, 1 not: 1 too slow for --leakhunt-time" in result.stdout.str()
    assert "too slow" not in run(body.replace("== 1", "== 7"), "--leakhunt", "--leakhunt-time=0").stdout.str()


def test_a_body_that_leaves_nothing_behind_is_cleared_without_a_snapshot(run) -> None:
    spy = (
        "from leakhunt import recorder\nTAKEN = []\n"
        "take = recorder.SnapshotRecorder.take\n"
        "recorder.SnapshotRecorder.take = lambda *a, **k: (TAKEN.append(1), take(*a, **k))[1]\n"
    )
    bodies = "".join(f"def test_{n}(): x = [{n}]; x.append(x); assert sum(range({n})) >= 0\n" for n in range(8))
    run(spy + bodies + "def test_z(): assert not TAKEN\n", "--leakhunt").assert_outcomes(passed=9)


@pytest.mark.parametrize(
    "body", ["shop.EVERYONE.append(None)", "shop.RECENT.extend([None] * 9); shop.EVERYONE.append(shop)"]
)
def test_a_leak_of_what_was_there_before_makes_no_block_and_is_seen(run, body: str) -> None:
    run(f"@pytest.mark.leakhunt\ndef test_it(): {body}\n").assert_outcomes(failed=1)


def test_the_workers_of_xdist_count_what_they_measured(run) -> None:
    result = run("def test_a(): pass\ndef test_b(): pass\n", "--leakhunt", "-n", "2")
    assert "leakhunt: 2 tests measured" in result.stdout.str()
