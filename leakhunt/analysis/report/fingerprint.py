"""Which leak is it? A short text that is the same for the same leak in any run, and differs between different leaks.

A leak is a class piling up in a place: two findings are the same leak where both have the same name, whatever rule
found it. Without a place it is the kind and the class; without either (native growth) the kind alone. No address,
pid, file or line is part of it, and what CPython names otherwise from version to version is brought to one name here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence

from leakhunt.analysis.heap.facts import says_nothing

DIGITS = 12  # hexadecimal; among 10,000 leaks two have the same one with a probability of 2 in 10 million

# A class or module as older or newer versions of CPython name it -> as most do. Found by asking 3.8 to 3.15 for the
# names of 1,600 classes of the standard library. A name stands for all below it, too.
RENAMED = {
    "builtins.weakref": "weakref.ReferenceType",  # to 3.9, as the five below
    "builtins.weakproxy": "weakref.ProxyType",
    "builtins.weakcallableproxy": "weakref.CallableProxyType",
    "builtins.Context": "_contextvars.Context",
    "builtins.ContextVar": "_contextvars.ContextVar",
    "builtins.Token": "_contextvars.Token",
    "builtins.Struct": "_struct.Struct",  # to 3.8
    "_ast": "ast",  # to 3.8
    "_thread.ExceptHookArgs": "_thread._ExceptHookArgs",  # to 3.9
    "_ctypes.PyCFuncPtr": "_ctypes.CFuncPtr",  # to 3.9
    "_ssl.Session": "_ssl.SSLSession",  # to 3.9
    "_collections._tuplegetter": "collections._tuplegetter",  # to 3.11
    "enum.EnumMeta": "enum.EnumType",  # to 3.10
    "enum._EnumDict": "enum.EnumDict",  # to 3.12
    "re.error": "re.PatternError",  # to 3.12
    "asyncio.exceptions.TimeoutError": "builtins.TimeoutError",  # to 3.10, as the one below
    "concurrent.futures._base.TimeoutError": "builtins.TimeoutError",
    "socket.timeout": "builtins.TimeoutError",  # to 3.9
    "<unknown>.Purpose": "ssl.Purpose",  # to 3.10
    "zipfile._path": "zipfile",  # from 3.12
    "pathlib._local": "pathlib",  # 3.13 alone, as the one below
    "pathlib._abc": "pathlib",
    "types.UnionType": "typing.Union",  # to 3.13
    "signal.itimer_error": "signal.ItimerError",  # 3.10 to 3.13
    "_py_warnings": "warnings",  # from 3.14
    "_ctypes._pointer_type_cache": "_ctypes",  # the state of the C module refers to it, too, and may be nearer
}

# Modules whose classes are made to be parts of others: that a WeakKeyDictionary grows tells no leak from another, and
# whose it is does.
GENERIC = frozenset((
    "weakref", "_weakrefset", "collections", "queue", "_queue", "contextlib", "threading", "asyncio", "_asyncio",
    "concurrent", "functools", "types", "unittest", "multidict", "sortedcontainers", "cachetools",
))  # fmt: skip

_WORD = re.compile(r"[A-Za-z_]\w*|\d\w*")
_MADE = re.compile(r"\d{5,}|(?=[a-f]*\d)[0-9a-f]{12,}")  # in an identifier: an id, a pid or a time, a digest
_LOCAL = re.compile(r"\.(?=<)(?!<locals>|<lambda>|<listcomp>|<genexpr>|<dictcomp>|<setcomp>|<attribute>)")


def fingerprint(kind: str, type_name: str, owners: Sequence[str], modules: Collection[str] = ()) -> str:
    """The fingerprint of a finding.

    A class that says nothing of itself (a dict, a str) is no part of it where the place is known: which one of them is
    named hangs on the interpreter, which makes a dict for an instance or does not. The kind is none either then: what a
    finalizer brings back is found as `resurrected` or, by a shorter look, as what grows in the list that it goes to.

    Args:
        owners: names of the place, nearest first; none where nothing is known to hold the objects.
        modules: names of the program's modules, to tell a module from a class in a dotted name.
    """
    if not owners:
        return _digest(kind, plain_name(type_name))
    tells = not says_nothing(type_name)
    places = (plain_name(_without_classes(name, modules)) for name in _telling(owners))
    return _digest(plain_name(type_name) if tells else "", *places)


def _telling(owners: Sequence[str]) -> Sequence[str]:
    """The nearest name; of an attribute of a generic class, the nearest of somebody who uses it as well."""
    nearest = owners[0]
    if not _is_generic(nearest) or nearest.count(".") < 2:
        return [nearest]
    return [nearest, *[name for name in owners if not _is_generic(name)][:1]]


def _is_generic(name: str) -> bool:
    return name.partition(".")[0] in GENERIC


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:DIGITS]


def plain_name(name: str) -> str:
    """The name by which every version and every run calls it.

    An identifier is written in the source, and its numbers are too (`http2`, `s3`) unless they are long; a number that
    stands alone was made while the program ran (`Thread-7`, `0x7f3a…`).
    """
    return _WORD.sub(lambda word: _identifier(word[0]), _renamed(name))


def _identifier(word: str) -> str:
    return "#" if word[0].isdigit() else _MADE.sub("#", word)


def _renamed(name: str) -> str:
    words = name.split(".")
    for cut in range(len(words), 0, -1):
        known = RENAMED.get(".".join(words[:cut]))
        if known is not None:
            return ".".join([known, *words[cut:]])
    return name


def _without_classes(owner: str, modules: Collection[str]) -> str:
    """Of a variable of a function, `module.function.<variable>`: up to 3.10 a frame tells no more of its function.

    From 3.11 on it tells the classes and functions around, too: `module.Class.function`, `module.outer.<locals>.inner`.
    """
    scope, *variable = _LOCAL.split(owner, maxsplit=1)
    if not variable:
        return owner
    words = scope.split(".")
    module = next((".".join(words[:n]) for n in range(len(words) - 1, 0, -1) if ".".join(words[:n]) in modules), "")
    return f"{module or '.'.join(words[:-1])}.{words[-1]}.{variable[0]}"
