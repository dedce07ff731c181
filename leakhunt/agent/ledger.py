"""Memory figures of the process: what the system, the two allocators and the collector each say."""

import gc
import os
import sys
import time

from . import __builtins__, plans

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TRIM_MAX_BYTES = 64 << 20
MALLOC_KEYS = ("malloc_in_use_bytes", "malloc_free_bytes", "malloc_top_bytes", "malloc_mapped_bytes")
STATUS_KEYS = {
    b"VmRSS:": "rss_bytes", b"RssAnon:": "rss_anonymous_bytes", b"VmSwap:": "swap_bytes",
    b"VmSize:": "virtual_bytes", b"Threads:": "threads",
}  # fmt: skip


def read_file(path, limit=1 << 16):
    """Up to `limit` bytes of a file; b"" when it can't be read. The descriptor is closed at once."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, limit)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def system_figures():
    """RSS and relatives from /proc/self/status, in bytes; empty where there is no /proc."""
    found = {}
    for line in read_file("/proc/self/status").splitlines():
        key, _, rest = line.partition(b"\t")
        name = STATUS_KEYS.get(key)
        if name:
            words = rest.split()
            found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return found


def process_times():
    """How long the process has lived, and how long it has computed, in seconds; empty where the system does not say."""
    _, _, rest = read_file("/proc/self/stat").rpartition(b") ")
    fields = rest.split()
    try:
        started, used = int(fields[19]), int(fields[11]) + int(fields[12])
        lived = time.clock_gettime(time.CLOCK_BOOTTIME) - started / TICKS_PER_SECOND
    except (AttributeError, IndexError, ValueError, OSError):
        return {}
    return {"process_seconds": round(max(lived, 0.0), 2), "process_cpu_seconds": used / TICKS_PER_SECOND}


def mapping_count(limit=1 << 20):
    """Number of memory mappings, or None when there are more than fit in `limit` bytes of text."""
    text = read_file("/proc/self/maps", limit)
    return text.count(b"\n") if 0 < len(text) < limit else None


def collector_figures():
    """What the collector says of itself; nothing is collected."""
    stats = gc.get_stats()
    return {
        "gc_enabled": int(gc.isenabled()),
        "gc_threshold": " ".join(map(str, gc.get_threshold())),
        "gc_count": " ".join(map(str, gc.get_count())),
        "gc_collections": " ".join(str(generation.get("collections", 0)) for generation in stats),
        "gc_collected": sum(generation.get("collected", 0) for generation in stats),
        "gc_uncollectable": sum(generation.get("uncollectable", 0) for generation in stats),
        "gc_garbage": len(gc.garbage),
        "gc_frozen": gc.get_freeze_count(),
    }


class Malloc:
    """glibc's own account of its heap, by `mallinfo2`; `figures()` is empty where that can't be had.

    Asked through the C walker where it is loaded (`native`). Else `_ctypes` alone is loaded, not the `ctypes` package:
    it adds 5 classes instead of a module tree. From 3.14 on it would load that tree itself, and is left alone.
    """

    def __init__(self, native=None):
        self._call, self._trim, self._native = None, None, native
        try:
            if native is None and sys.version_info < (3, 14):
                self._call, self._trim = self._bind()
        except Exception:  # no libffi, no glibc 2.33, a static build: the ledger goes without
            pass

    @staticmethod
    def _bind():
        import _ctypes

        class Size(_ctypes._SimpleCData):
            _type_ = "L"

        names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"

        class Mallinfo(_ctypes.Structure):
            _fields_ = [(name, Size) for name in names.split()]

        class Figures(_ctypes.CFuncPtr):
            _flags_ = _ctypes.FUNCFLAG_CDECL
            _restype_ = Mallinfo

        class Trim(_ctypes.CFuncPtr):
            _flags_ = _ctypes.FUNCFLAG_CDECL
            _argtypes_ = (Size,)
            _restype_ = None

        library = _ctypes.dlopen(None, 2)
        return Figures(_ctypes.dlsym(library, "mallinfo2")), Trim(_ctypes.dlsym(library, "malloc_trim"))

    def figures(self):
        """Bytes in use, free inside the heap, and free at its top (which `malloc_trim` and exit give back at once)."""
        figures = None
        if self._native is not None:
            figures = self._native.malloc_figures()
        elif self._call is not None:
            info = self._call()
            figures = info.uordblks + info.hblkhd, info.fordblks, info.keepcost, info.hblkhd
        return {} if figures is None else dict(zip(MALLOC_KEYS, figures))

    def trim(self):
        """Give back what snapshots left free in malloc's heap, where little is free: else it takes its time."""
        if not 0 < self.figures().get("malloc_free_bytes", 0) <= TRIM_MAX_BYTES:
            return
        if self._native is not None:
            self._native.malloc_trim()
        elif self._trim is not None:
            self._trim(0)


def atexit_callbacks():
    """Number of registered exit callbacks: the table itself can't be read from 3.10 to 3.13."""
    count = plans.module_entry("atexit", "_ncallbacks")
    return {} if count is None else {"atexit_callbacks": count()}


def figures(malloc):
    """All of the ledger as one dict of plain values."""
    found = system_figures()
    found.update(process_times())
    found.update(collector_figures())
    found.update(malloc.figures())
    found.update(atexit_callbacks())
    mappings = mapping_count()
    if mappings is not None:
        found["mappings"] = mappings
    found["allocated_blocks"] = sys.getallocatedblocks()
    return found
