"""Holders that grow for a while and are known to stop, and known leaks with their mend: data, each with its source."""

from __future__ import annotations

# Owner -> why it is no leak. Matched on the end of the owner's name.
HARMLESS = {
    "re._cache": "bounded by re._MAXCACHE (CPython Lib/re)",
    "re._cache2": "bounded by re._MAXCACHE2 (CPython Lib/re)",
    "sre_compile._cache": "bounded (CPython Lib/re)",
    "_strptime._regex_cache": "bounded by _CACHE_MAX_SIZE (CPython Lib/_strptime.py)",
    "struct._cache": "bounded (CPython Modules/_struct.c)",
    "fnmatch._compile_pattern": "lru_cache with maxsize (CPython Lib/fnmatch.py)",
    "urllib.parse._parse_cache": "bounded (CPython Lib/urllib/parse.py)",
    "sys.path_importer_cache": "one entry per directory searched (CPython importlib)",
    "warnings.onceregistry": "one entry per distinct warning (CPython Lib/warnings.py)",
    "__warningregistry__": "one entry per distinct warning and line (CPython Lib/warnings.py)",
    "encodings._cache": "one entry per codec (CPython Lib/encodings)",
    "copyreg.dispatch_table": "one entry per class (CPython Lib/copyreg.py)",
}

# Owner -> what to do. Matched on the end of the owner's name.
MENDS = {
    "linecache.cache": "Call linecache.checkcache(), or don't register generated source under ever new names.",
    "threading._active": "These threads never end: stop them (a sentinel in their queue, an Event) and join them.",
    "_pylab_helpers.Gcf.figs": "pyplot keeps a figure until plt.close(fig); or use matplotlib.figure.Figure directly.",
    "_exit_callbacks": "This ExitStack lives as long as the process: use one per request, or close it.",
}


def is_harmless(owner: str) -> bool:
    """Whether growth of this place is known to end by itself."""
    return any(owner == name or owner.endswith("." + name) for name in HARMLESS)


def advice_for(owner: str) -> str:
    """The known mend for a place, '' when there is none."""
    return next((text for name, text in MENDS.items() if owner == name or owner.endswith("." + name)), "")
