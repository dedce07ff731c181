"""Fingerprints: the same for one leak in any run on any interpreter, and another for another leak."""

from __future__ import annotations

import pytest

from leakhunt.analysis.fingerprint import RENAMED, fingerprint

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
