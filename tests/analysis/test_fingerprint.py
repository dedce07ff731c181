"""Fingerprints: the same for one leak in any run on any interpreter, and another for another leak."""

from __future__ import annotations

import glob
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from leakhunt.analysis.report.fingerprint import RENAMED, fingerprint, plain_name

MODULES = {"shop", "shop.web", "shop.web.views", "asyncio.runners"}


def of(owner: str, type_name: str = "shop.Order", *aliases: str, kind: str = "python-leak") -> str:
    return fingerprint(kind, type_name, (owner, *aliases), MODULES)


SAME = {
    "an address in a name": (of("thread 139874210 of shop"), of("thread 139874999 of shop")),
    "an id in an identifier": (of("shop.model_140123456789.rows"), of("shop.model_140999999999.rows")),
    "a digest in an identifier": (of("shop.q_9f86d081884c7d65.rows"), of("shop.q_0a1b2c3d4e5f6a7b.rows")),
    "a thread's number": (of("frame shop.work (Thread-3)"), of("frame shop.work (Thread-12)")),
    "a method's variable on 3.8 and 3.11": (of("shop.web.serve.<seen>"), of("shop.web.Server.serve.<seen>")),
    "an inner function's on 3.8 and 3.11": (
        of("shop.web.inner.<seen>.rows"),
        of("shop.web.outer.<locals>.inner.<seen>.rows"),
    ),
    "a weak reference on 3.8 and 3.10": (
        of("shop.REFS", "builtins.weakref"),
        of("shop.REFS", "weakref.ReferenceType"),
    ),
    "a path on 3.12 and 3.13": (of("shop.PATHS", "pathlib.PosixPath"), of("shop.PATHS", "pathlib._local.PosixPath")),
    "a module's table that moved": (of("warnings.onceregistry"), of("_py_warnings.onceregistry")),
    "values in an instance and values in its dict": (
        of("shop.ROWS", "builtins.dict"),
        of("shop.ROWS", "builtins.list"),
    ),
    "the rule that found it": (of("shop.BIN", kind="resurrected"), of("shop.BIN", kind="python-leak")),
    "how the place is reached besides": (of("shop.Store.orders"), of("shop.Store.orders", "shop.Order", "shop.STORE")),
}
OTHER = {
    "another place": (of("shop.Store.orders"), of("shop.Store.carts")),
    "another class in it": (of("shop.Store.orders"), of("shop.Store.orders", "shop.Cart")),
    "a short number of the source": (of("shop.http1.STREAMS"), of("shop.http2.STREAMS")),
    "a module of a package": (of("shop.web.serve.<seen>"), of("shop.serve.<seen>")),
    "a function": (of("shop.web.serve.<seen>"), of("shop.web.start.<seen>")),
    "a method that is no variable": (of("shop.web.Server.load"), of("shop.web.Client.load")),
    "whose generic container it is": (
        of("weakref.WeakKeyDictionary.data", "weakref.ReferenceType", "shop.SEEN.data"),
        of("weakref.WeakKeyDictionary.data", "weakref.ReferenceType", "asyncio.runners.run.<main>", "shop.KEPT.data"),
    ),
    "a kind where nothing holds it": (
        fingerprint("refcount-leak", "shop.Order", ()),
        fingerprint("delayed-finalizer", "shop.Order", ()),
    ),
    "a class where nothing holds it": (
        fingerprint("refcount-leak", "shop.Order", ()),
        fingerprint("refcount-leak", "shop.Cart", ()),
    ),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_it_is_the_same_whatever_changes_in(one: str, other: str) -> None:
    assert one == other


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_it_is_another_for(one: str, other: str) -> None:
    assert one != other


def test_a_name_of_the_standard_library_s_own_is_renamed_once() -> None:
    assert not set(RENAMED.values()) & set(RENAMED)


def test_a_name_that_no_encoding_has_can_be_told_too() -> None:
    assert of("shop.\ud800") != of("shop.\ud801")


ASK = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
names = {}
for module in sys.argv[1].split():
    try:
        found = vars(importlib.import_module(module))
    except ImportError:
        continue
    for name, value in list(found.items()):
        if isinstance(value, type) and name.isidentifier():
            names["%s.%s" % (module, name)] = "%s.%s" % (value.__module__, value.__qualname__)
json.dump(names, sys.stdout)
"""
MODULES_ASKED = (
    "ast asyncio collections concurrent.futures contextvars ctypes datetime decimal enum fractions functools io "
    "itertools json logging mmap pathlib queue random re selectors socket sqlite3 ssl struct threading types uuid "
    "warnings weakref xml.etree.ElementTree zipfile zoneinfo"
)


def interpreters() -> list[str]:
    """Pythons from 3.8 on at hand, one of each version."""
    found = {}
    for minor in range(8, 17):
        named = [
            shutil.which(f"python3.{minor}"),
            *sorted(glob.glob(f"{Path.home()}/.pyenv/versions/3.{minor}.*/bin/python")),
        ]
        for path in filter(None, named):
            asked = subprocess.run(
                [path, "-c", "import sys; print(sys.version_info[1])"], check=False, capture_output=True, text=True
            )
            if asked.stdout.strip() == str(minor):
                found[minor] = path
    return list(found.values())


def test_a_class_of_the_standard_library_has_one_name_on_every_interpreter_at_hand() -> None:
    plain: dict[str, set[str]] = {}
    pythons = interpreters()
    for python in pythons:
        told = subprocess.run([python, "-c", ASK, MODULES_ASKED], check=True, capture_output=True, text=True).stdout
        for public, name in json.loads(told).items():
            plain.setdefault(public, set()).add(plain_name(name))
    assert len(plain) > 500
    if len(pythons) < 2:
        pytest.skip("one interpreter alone")
    # Where each version takes another class for it, it has several.
    other = {"asyncio.Timeout"}
    assert {public: names for public, names in plain.items() if len(names) > 1 and public not in other} == {}
