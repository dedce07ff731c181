"""Holders that grow for a while and are known to stop, and known leaks with their mend: data, each with its source.

Both are keyed by the owner's name as a finding gives it, or by its end at a dot: "re._cache" is the place of that name
in any package. A user's own come from a file (`leakhunt.knownfile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Owner -> why it is no leak, and where that is written.
HARMLESS = {
    "re._cache": "bounded by re._MAXCACHE (CPython Lib/re)",
    "re._cache2": "bounded by re._MAXCACHE2 (CPython Lib/re)",
    "sre_compile._cache": "bounded (CPython Lib/re)",
    "_strptime._regex_cache": "bounded by _CACHE_MAX_SIZE (CPython Lib/_strptime.py)",
    "struct._cache": "bounded (CPython Modules/_struct.c)",
    "fnmatch._compile_pattern": "lru_cache with maxsize (CPython Lib/fnmatch.py)",
    "urllib.parse._parse_cache": "bounded (CPython Lib/urllib/parse.py)",
    "sys.path_importer_cache": "one entry per directory searched (CPython importlib)",
    "encodings._cache": "one entry per codec (CPython Lib/encodings)",
    "copyreg.dispatch_table": "one entry per class (CPython Lib/copyreg.py)",
    "Engine._compiled_cache": "pruned beyond query_cache_size (docs.sqlalchemy.org, SQL compilation caching)",
    "sqlite3.Connection.<attribute>": "weak references to cursors, the dead cleared out after 200 (CPython _sqlite)",
    "Mapper._compiled_cache": "pruned at its capacity (github.com/sqlalchemy/sqlalchemy/issues/4560)",
}

# Owner -> what to do, and where the leak is told of.
MENDS = {
    "linecache.cache": "Take out with the code what was put in for it (weakref.finalize), or linecache.checkcache(); "
    "see https://github.com/sympy/sympy/pull/27223.",
    "__warningregistry__": "A warning whose text differs each time is kept each time (CPython Lib/warnings.py): "
    "keep its text the same, or log what differs.",
    "warnings.onceregistry": "A warning whose text differs each time is kept each time (CPython Lib/warnings.py): "
    "keep its text the same, or log what differs.",
    "threading._active": "These threads never end: stop them (a sentinel in their queue, an Event) and join them.",
    "at-fork callback table": "os.register_at_fork can't be undone: register one function, that works on a WeakSet.",
    "_pylab_helpers.Gcf.figs": "pyplot keeps a figure until plt.close(fig); or use matplotlib.figure.Figure directly.",
    "_exit_callbacks": "This ExitStack lives as long as the process: use one per request, or close it.",
    "CookieJar._cookies": "From aiohttp 3.10.0 on, asking for a path left an empty cookie: update aiohttp; "
    "see https://github.com/aio-libs/aiohttp/issues/11052.",
    "_instrumented_fastapi_apps": "Instrumented apps were kept for good: update opentelemetry-instrumentation-fastapi; "
    "see https://github.com/open-telemetry/opentelemetry-python-contrib/pull/3688.",
    "marshmallow.class_registry._registry": "Make schema classes once, or with `class Meta: register = False`; "
    "see https://github.com/marshmallow-code/marshmallow/pull/1079.",
    "logging.Manager.loggerDict": "A logger is never freed: use one per module, and a LoggerAdapter or filter for what "
    "differs by request; see https://github.com/vertica/vertica-python/issues/476.",
    "EndpointProvider.resolve_endpoint": "Reuse botocore sessions and clients, or update botocore; "
    "see https://github.com/boto/boto3/issues/3614.",
}


@dataclass(frozen=True)
class Known:
    """Known places, by owner: why each `harmless` one is, and what to do about each of the others."""

    harmless: Mapping[str, str]
    mends: Mapping[str, str]

    def is_harmless(self, owner: str) -> bool:
        """Whether growth of this place is known to end by itself."""
        return bool(self.harmless_why(owner))

    def harmless_why(self, owner: str) -> str:
        """Why growth of this place ends by itself, '' where that is not known."""
        return next((why for name, why in self.harmless.items() if is_named(owner, name)), "")

    def advice_for(self, owner: str) -> str:
        """The known mend for a place, '' when there is none."""
        return next((text for name, text in self.mends.items() if is_named(owner, name)), "")

    def with_more(self, other: Known) -> Known:
        """Both; where they speak of the same place, the other has the word."""
        kept = {name: text for name, text in self.mends.items() if name not in other.mends}
        return Known({**self.harmless, **other.harmless}, {**other.mends, **kept})


def is_named(owner: str, name: str) -> bool:
    """Whether a known name is the owner's, or its end.

    >>> is_named("web.Mapper._compiled_cache", "Mapper._compiled_cache"), is_named("my_re._cache", "re._cache")
    (True, False)
    """
    return owner == name or owner.endswith("." + name)


BUILT_IN = Known(HARMLESS, MENDS)
