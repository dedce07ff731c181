"""What counts as a hit where other tools run on LeakBench: any spelling of the truth, and nothing beside it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from against.scoring import canonical, holder_names, is_right_file, score_look  # type: ignore[import-not-found]

LEAK = {
    "kind": "leak",
    "culprit_classes": ["__main__.Page", "http.cookies.Morsel"],
    "holder": "web.cache.Cache.pages",
    "holder_aliases": ["Cache.pages (class attribute)", "gc.garbage"],
}


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("__main__.Page", "__main__.Page"),
        ("dict of __main__.Page", "__main__.Page"),
        ("builtins.list", "builtins.list"),
        ("list", "builtins.list"),
        ("<class '__main__.Page", "__main__.Page"),
        ("types.MethodType", "builtins.method"),
        ("types.FrameType", "builtins.frame"),
        ("function (store_info)", "builtins.function"),
        ("dict (no owner)", "builtins.dict"),
        ("weakref.ReferenceType", "builtins.weakref"),
    ],
)
def test_a_class_has_one_name_however_it_is_spelled(spelling, name):
    assert canonical(spelling) == name


def test_a_namesake_in_another_module_is_no_hit():
    assert canonical("other.Page") != canonical("__main__.Page")


@pytest.mark.parametrize(
    "line", ["app.py:3", "http/cookies.py:70", "web/cache.py:9", "web/__init__.py:1", "<frozen web>:7"]
)
def test_a_line_counts_in_the_file_of_whatever_the_truth_names(line):
    assert is_right_file(line, LEAK)


@pytest.mark.parametrize("line", ["cookies.py:70", "http/client.py:3", "other/app.py:3"])
def test_a_line_of_another_file_does_not_count(line):
    assert not is_right_file(line, LEAK)


def test_where_the_truth_gives_no_source_of_the_holder_the_programs_own_counts():
    assert is_right_file("app.py:1", {"culprit_classes": ["builtins.list"], "holder": "linecache.cache"})
    assert is_right_file("app.py:1", {"culprit_classes": ["builtins.list"], "holder_file": "core.so (src/core.rs)"})
    assert not is_right_file("app.py:1", {"culprit_classes": ["builtins.list"], "holder_file": "simpy/events.py"})


def test_a_holder_is_known_by_the_last_part_of_its_names():
    assert holder_names(LEAK) == {"pages", "garbage"}


def test_the_rank_is_that_of_the_first_right_name_in_the_best_table():
    parent = {"tables": [["dict"]], "holder": []}
    child = {"tables": [[], ["list", "dict of __main__.Page"]], "holder": ["pages"]}
    score = score_look(LEAK, {"looks": [parent, child]}, "guppy3")
    assert (score.rank, score.holder) == (2, True)


def test_a_tool_without_a_view_of_holders_neither_names_nor_misses_one():
    assert score_look(LEAK, {"looks": [{"tables": [["list"]], "holder": []}]}, "pympler").holder is None


def test_a_control_has_nothing_to_name():
    assert score_look({"kind": "control"}, {"looks": [{"tables": [["list"]], "holder": []}]}, "objgraph").rank is None
