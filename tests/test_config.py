"""A user's own known places, from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt.analysis.growth.known import BUILT_IN
from leakhunt.config import NAME, known_places
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


def test_a_file_adds_to_them(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(GOOD)
    known = known_places(tmp_path)
    assert known.is_harmless("shop.prices.CACHE") and known.bound_of("re._cache")
    assert known.advice_for("shop.audit.Trail.entries") == "Call Trail.flush()."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[harmless", "no TOML"),
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
