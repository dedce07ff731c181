"""A user's own known places, from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt.analysis.growth.known import BUILT_IN
from leakhunt.config import NAME, PROJECT, known_places
from leakhunt.errors import UsageError

GOOD = """
[[harmless]]
owner = "shop.prices.CACHE"
why = "one entry per article"

[[leak]]
owner = "Trail.entries"
advice = "Call Trail.flush()."
"""


def test_without_a_file_the_built_in_places_are_known(tmp_path: Path) -> None:
    assert known_places(tmp_path) is BUILT_IN


def test_the_projects_own_file_says_the_same_and_counts_in_all_of_its_folders(tmp_path: Path) -> None:
    tables = GOOD.replace("[[", "[[tool.leakhunt.")
    (tmp_path / PROJECT).write_text('[project]\nname = "shop"\n' + tables)
    (tmp_path / "tests" / "web").mkdir(parents=True)
    assert known_places(tmp_path / "tests" / "web").is_harmless("shop.prices.CACHE")


def test_a_project_ends_where_the_next_one_begins(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(GOOD)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / PROJECT).write_text("[project]\nname = 'inner'\n")
    assert known_places(tmp_path / "inner") is BUILT_IN


def test_both_files_count_and_leakhunts_own_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / PROJECT).write_text('[[tool.leakhunt.leak]]\nowner = "Trail.entries"\nadvice = "Old."\n')
    (tmp_path / NAME).write_text(GOOD)
    assert known_places(tmp_path).advice_for("shop.audit.Trail.entries") == "Call Trail.flush()."


@pytest.mark.parametrize("text", ["[tool", "[tool.other]\nleakhunt = 1", "\xff"])
def test_a_project_file_that_is_not_about_leakhunt_is_no_matter(tmp_path: Path, text: str) -> None:
    (tmp_path / PROJECT).write_bytes(text.encode("latin-1"))
    assert known_places(tmp_path) is BUILT_IN


def test_a_misspelt_table_of_the_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / PROJECT).write_text("[[tool.leakhunt.harmles]]\nowner = 'a.b'\n")
    with pytest.raises(UsageError, match="harmles"):
        known_places(tmp_path)


def test_a_file_adds_to_them(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(GOOD)
    known = known_places(tmp_path)
    assert known.is_harmless("shop.prices.CACHE") and known.bound_of("re._cache")
    assert known.advice_for("shop.audit.Trail.entries") == "Call Trail.flush()."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[harmless", "not TOML"),
        ("[[harmles]]\nowner = 'a.b'", "harmles"),
        ("[[harmless]]\nowner = 'a.b'", "why"),
        ("[[leak]]\nowner = 'a.b'\nadvice = 3", "advice"),
        ("harmless = 'a.b'", "harmless"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(UsageError, match=says):
        known_places(tmp_path)
