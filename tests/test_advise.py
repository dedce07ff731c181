"""`leakhunt advise`, and what a report says of a release that fixed a known leak."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from heap import Heap, run_folder

from leakhunt.analysis.growth.known import FIXED_IN, Fixed, fixed_in
from leakhunt.cli.app import invoke
from leakhunt.findings import Finding, Holder
from leakhunt.releases import bounds_hold, compared, known_fix, with_release

JAR = Finding(
    "python-leak", "http.cookies.SimpleCookie",
    holder=Holder("aiohttp.cookiejar.CookieJar._cookies", ("shop.client.SESSION._cookie_jar._cookies",)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("3.11.18", "Fixed in aiohttp 3.12.3, and this run has 3.11.18: pip install 'aiohttp>=3.12.3'."),
        ("3.12.2", "Fixed in aiohttp 3.12.3"),
        ("3.12.3", "which fixed it; this run has 3.12.3: it is another leak there"),
        ("3.14.0", "which fixed it; this run has 3.14.0"),
        ("", ""),
    ],
)
def test_whether_the_bounds_of_a_known_leak_hold(version: str, says: str) -> None:
    known = known_fix(JAR)
    assert known is not None and known.package == "aiohttp"
    said = bounds_hold(known, version)
    assert said.startswith(says) if not says.startswith("which") else says in said


def test_a_place_of_another_name_is_no_known_leak() -> None:
    assert fixed_in("shop.CookieJar._cookies_by_user") is None
    assert with_release(Finding("python-leak", "shop.Order", holder=Holder("shop.ORDERS")), []).advice == ""


def test_every_release_that_is_known_is_one_with_a_source() -> None:
    for fixed in FIXED_IN.values():
        assert fixed.source.startswith("https://") and compared(fixed.release, "0") == 1


def test_without_packaging_the_versions_are_said_and_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.version", None)
    assert compared("1", "2") is None
    assert "this run has 9.9" in bounds_hold(Fixed("aiohttp", "3.12.3", "https://example.org"), "9.9")


def leaking(tmp_path: Path) -> Path:
    # module aiohttp.cookiejar -> .JAR -> CookieJar -> ._cookies -> dict -> SimpleCookie …
    heap = Heap(pid=7)
    table = heap.dict()
    heap.module("aiohttp.cookiejar", JAR=heap.instance("aiohttp.cookiejar.CookieJar", _cookies=table))

    def serve(k: int) -> None:
        for _ in range(20):
            table.add(heap.instance("http.cookies.SimpleCookie"))

    run = run_folder(tmp_path / "run", heap.live(serve, 24))
    packages = tmp_path / "site-packages"
    (packages / "aiohttp-3.11.18.dist-info").mkdir(parents=True)
    (run / "pid-7.0" / "process").write_text(
        f"pid\t7\ncommand\tpython app.py\nexecutable\t{sys.executable}\npath\t{packages}\n"
    )
    return run


def test_the_report_and_advise_say_the_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = leaking(tmp_path)
    assert invoke(["report", str(run), "--format", "json"]) == 0
    advice = json.loads(capsys.readouterr().out)["findings"][0]["advice"]
    assert advice.endswith("Fixed in aiohttp 3.12.3, and this run has 3.11.18: pip install 'aiohttp>=3.12.3'.")


def test_advise_asks_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from packaging.version import Version

    monkeypatch.setattr("leakhunt.advice.releases", lambda name, own: [Version("3.11.18"), Version("3.12.3")])
    run = leaking(tmp_path)
    assert invoke(["advise", str(run), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["install"] == "pip install 'aiohttp>=3.12.3'"
    assert found["packages"] == [
        {"name": "aiohttp", "version": "3.11.18", "newest": "3.12.3", "newer": 1, "problem": ""}
    ]
    assert invoke(["advise", str(run)]) == 0
    assert "aiohttp 3.11.18: 1 newer release can be installed, the newest is 3.12.3" in capsys.readouterr().out


def test_a_missing_extra_is_a_sentence_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "packaging", None)
    assert invoke(["advise", str(leaking(tmp_path))]) == 3
    assert "pip install 'leakhunt[bisect]'" in capsys.readouterr().err
    assert invoke(["bisect", "--package", "aiohttp>3", "--", sys.executable]) == 3
    assert "pip install 'leakhunt[bisect]'" in capsys.readouterr().err
