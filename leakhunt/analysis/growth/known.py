"""Bounds of places that do not declare them, and known leaks with their fix: data, each with its source.

None of it decides a verdict: a bound counts while it is kept to, and a fix is told with a finding. Only what a user
says is harmless is taken on trust.

Both are keyed by the owner's name as a finding gives it, or by its end at a dot: "re._cache" is the place of that name
in any package. A user's own come from a file (`leakhunt.config`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Bound(NamedTuple):
    """Items at which a place is pruned, which no attribute of it says, and where that is written."""

    limit: int
    source: str


# Owner -> bound. Whether it is kept to is measured: a place that has passed it is judged as any other.
BOUNDS = {
    "re._cache": Bound(512, "re._MAXCACHE (CPython Lib/re)"),
    "re._cache2": Bound(256, "re._MAXCACHE2 (CPython Lib/re)"),
    "_strptime._regex_cache": Bound(6, "_CACHE_MAX_SIZE (CPython Lib/_strptime.py)"),
    "struct._cache": Bound(100, "MAXCACHE (CPython Modules/_struct.c)"),
    "urllib.parse._parse_cache": Bound(20, "MAX_CACHE_SIZE (CPython Lib/urllib/parse.py, up to 3.10)"),
    "encodings._cache": Bound(500, "an entry for each codec and alias (CPython Lib/encodings)"),
    "Engine._compiled_cache": Bound(750, "one and a half times query_cache_size (docs.sqlalchemy.org)"),
    "Mapper._compiled_cache": Bound(
        150, "one and a half times its size (github.com/sqlalchemy/sqlalchemy/issues/4560)"
    ),
    "sqlite3.Connection.<attribute>": Bound(
        400, "weak references to cursors, the dead cleared out at every 200 (_sqlite)"
    ),
}

# Owner -> what to do, and where the leak is told of.
FIXES = {
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


class Fixed(NamedTuple):
    """A place leaked in a package from release `since` on ("": not known) and does not from `release` on."""

    package: str
    release: str
    source: str
    since: str = ""


# Owner -> release that fixed it; each was found by its changelog or source, and most by `leakhunt bisect` as well.
FIXED_IN = {
    "CookieJar._cookies": Fixed("aiohttp", "3.12.3", "https://github.com/aio-libs/aiohttp/issues/11052", "3.10.0"),
    "_build_middlewares": Fixed("aiohttp", "3.10.11", "https://github.com/aio-libs/aiohttp/releases", "3.10.6"),
    "anyio.lowlevel._run_vars": Fixed("anyio", "4.15.0", "https://github.com/agronholm/anyio/issues/1203"),
    "Local._context_refs": Fixed("asgiref", "3.2.8", "https://github.com/django/asgiref/issues/158"),
    "AsyncMachine.async_tasks": Fixed("transitions", "0.8.4", "https://github.com/pytransitions/transitions/issues/475"),
    "scope.global_event_processors": Fixed("sentry-sdk", "2.61.0", "https://github.com/getsentry/sentry-python/pull/6271"),
    "_instrumented_fastapi_apps": Fixed(
        "opentelemetry-instrumentation-fastapi", "0.58b0",
        "https://github.com/open-telemetry/opentelemetry-python-contrib/pull/3688",
    ),
    "CeleryInstrumentor.task_id_to_start_time": Fixed(
        "opentelemetry-instrumentation-celery", "0.63b0",
        "https://github.com/open-telemetry/opentelemetry-python-contrib/issues/3458",
    ),
}  # fmt: skip


def fixed_in(owner: str) -> Fixed | None:
    """The release of a package in which the leak of a place was fixed, None where none is known."""
    return next((fixed for name, fixed in FIXED_IN.items() if is_named(owner, name)), None)


@dataclass(frozen=True)
class Known:
    """Known places, by owner: why each `harmless` one is, what to do about others, and where some are pruned."""

    harmless: Mapping[str, str]
    fixes: Mapping[str, str]
    bounds: Mapping[str, Bound] = field(default_factory=dict)

    def is_harmless(self, owner: str) -> bool:
        """Whether growth of this place is known to end by itself."""
        return bool(self.harmless_why(owner))

    def harmless_why(self, owner: str) -> str:
        """Why growth of this place ends by itself, '' where that is not known."""
        return next((why for name, why in self.harmless.items() if is_named(owner, name)), "")

    def bound_of(self, owner: str) -> Bound | None:
        """Where a place is pruned that does not say so itself, None where that is not known."""
        return next((bound for name, bound in self.bounds.items() if is_named(owner, name)), None)

    def advice_for(self, owner: str) -> str:
        """The known fix for a place, '' when there is none."""
        return next((text for name, text in self.fixes.items() if is_named(owner, name)), "")

    def with_more(self, other: Known) -> Known:
        """Both; where they speak of the same place, the other has the word."""
        kept = {name: text for name, text in self.fixes.items() if name not in other.fixes}
        return Known({**self.harmless, **other.harmless}, {**other.fixes, **kept}, {**self.bounds, **other.bounds})


def is_named(owner: str, name: str) -> bool:
    """Whether a known name is the owner's, or its end.

    >>> is_named("web.Mapper._compiled_cache", "Mapper._compiled_cache"), is_named("my_re._cache", "re._cache")
    (True, False)
    """
    return owner == name or owner.endswith("." + name)


BUILT_IN = Known({}, FIXES, BOUNDS)
