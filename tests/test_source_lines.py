"""Where a name stands in the source, found by reading."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from leakhunt.source_lines import line_of, short_path

SOURCE = textwrap.dedent(
    """
    import this_is_never_imported

    REGISTRY = {}
    PAIR, OTHER = [], []


    class Store:
        shared = []
        limit: int = 10

        def __init__(self):
            self.orders = []
            self._cache: dict = {}
            self.orders = list(self.orders)

        def add(self, order):
            self.late = order

        class Inner:
            def __init__(self):
                self.deep = 1


    def serve():
        history = []
        for request in history:
            seen = {}
        with open("x") as file:
            pass

        def handler():
            history.append(1)

        return handler


    async def consume():
        queue = []
    """
)


def line(text: str) -> int:
    return next(number for number, row in enumerate(SOURCE.splitlines(), 1) if text in row)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "shop.py"
    path.write_text(SOURCE)
    return str(path)


@pytest.mark.parametrize(
    ("scope", "attribute", "where"),
    [
        ("shop", "REGISTRY", "REGISTRY = {}"),
        ("shop", "OTHER", "PAIR, OTHER"),
        ("shop.Store", "orders", "self.orders = []"),
        ("shop.Store", "_cache", "self._cache: dict"),
        ("shop.Store", "shared", "shared = []"),
        ("shop.Store", "limit", "limit: int"),
        ("shop.Store", "late", "self.late = order"),
        ("shop.Store", "add", "def add"),
        ("shop.Store.Inner", "deep", "self.deep"),
        ("shop.serve", "<history>", "history = []"),
        ("shop.serve", "<request>", "for request"),
        ("shop.serve", "<file>", "as file"),
        ("shop.consume", "<queue>", "queue = []"),
    ],
)
def test_it_is_the_line_that_first_assigns_it(file: str, scope: str, attribute: str, where: str) -> None:
    assert line_of(file, scope, attribute) == line(where)


@pytest.mark.parametrize(("scope", "attribute"), [("shop.Store", "nothing"), ("shop", ""), ("shop.Nobody", "nothing")])
def test_what_nothing_assigns_has_no_line(file: str, scope: str, attribute: str) -> None:
    assert line_of(file, scope, attribute) is None


def test_a_name_of_another_class_is_not_taken_for_it(file: str) -> None:
    assert line_of(file, "shop.Store.Inner", "orders") is None


@pytest.mark.parametrize(
    "content", [b"def (", b"\0\0\0", b"\xff\xfe\xff", b"x = " + b"(" * 5000], ids=["syntax", "zeros", "bytes", "deep"]
)
def test_a_file_that_is_no_python_has_no_lines(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.py"
    path.write_bytes(content)
    assert line_of(str(path), "odd", "x") is None


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert line_of(str(tmp_path / "none.py"), "none", "x") is None
    assert line_of("<string>", "none", "x") is None


def test_a_path_is_shown_below_the_nearest_entry_of_the_search_path() -> None:
    search = ["", "/usr/lib/python3.11", "/usr/lib/python3.11/site-packages/", "/app"]
    assert short_path("/usr/lib/python3.11/site-packages/web/jar.py", search) == "web/jar.py"
    assert short_path("/usr/lib/python3.11/json/decoder.py", search) == "json/decoder.py"
    assert short_path("/app/shop.py", search) == "shop.py"
    assert short_path("/application/shop.py", search) == "/application/shop.py"
    assert short_path("/elsewhere/shop.py", []) == "/elsewhere/shop.py"
