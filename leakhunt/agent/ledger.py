"""Memory figures of the process: what the system, the two allocators and the collector each say."""

import gc
import os
import sys
import time

from . import __builtins__, plans

interned_size = getattr(sys, "getunicodeinternedsize", None)  # 3.12+
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TRIM_MAX_BYTES = 64 << 20
STATS_BYTES = 16384  # of text; CPython's is below 4000
MALLOC_KEYS = ("malloc_in_use_bytes", "malloc_free_bytes", "malloc_top_bytes", "malloc_mapped_bytes")
# The last of them is text: "size:blocks size:blocks …".
PYTHON_KEYS = ("pymalloc_in_use_bytes", "pymalloc_arena_bytes", "pymalloc_blocks")
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


class Allocators:
    """The accounts of two allocators: glibc's by `mallinfo2`, Python's own by what `sys._debugmallocstats()` prints.

    Asked through the C walker where it is loaded (`native`). Else `_ctypes` alone is loaded, not the `ctypes` package:
    it adds a few classes instead of a module tree. From 3.14 on it would load that tree itself, and is left alone.
    What can't be had is left out of the figures.
    """

    def __init__(self, native=None):
        self._native, self._malloc_figures, self._trim, self._python_memory = native, None, None, None
        if native is not None:
            self._malloc_figures, self._trim = native.malloc_figures, native.malloc_trim
            self._python_memory = native.python_memory
        elif sys.version_info < (3, 14):
            try:
                import _ctypes

                library = _ctypes.dlopen(None, 2)
            except Exception:  # no libffi, a static build
                return
            self._malloc_figures, self._trim = _or_nothing(_malloc_functions, library) or (None, None)
            if "t" not in getattr(sys, "abiflags", ""):
                self._python_memory = _or_nothing(_python_memory_function, library)

    def figures(self):
        """MALLOC_KEYS (free at its top: what `malloc_trim` and exit give back at once) and PYTHON_KEYS."""
        figures = self._malloc_figures and self._malloc_figures()
        found = {} if figures is None else dict(zip(MALLOC_KEYS, figures))
        found.update(python_figures((self._python_memory and self._python_memory()) or b""))
        return found

    def trim(self):
        """Give back what snapshots left free in malloc's heap, where little is free: else it takes its time."""
        if self._trim is not None and 0 < self.figures().get("malloc_free_bytes", 0) <= TRIM_MAX_BYTES:
            self._trim()


def _or_nothing(bind, library):
    try:
        return bind(library)
    except Exception:  # a C library without the function, or before glibc 2.33: the ledger goes without
        return None


def _malloc_functions(library):
    """(function that gives the values of MALLOC_KEYS, function that trims)."""
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

    mallinfo2, malloc_trim = Figures(_ctypes.dlsym(library, "mallinfo2")), Trim(_ctypes.dlsym(library, "malloc_trim"))

    def figures():
        info = mallinfo2()
        return info.uordblks + info.hblkhd, info.fordblks, info.keepcost, info.hblkhd

    return figures, lambda: malloc_trim(0)


def _python_memory_function(library):
    """A function that gives the text of `sys._debugmallocstats()`, written to memory instead of stderr."""
    import _ctypes

    class Size(_ctypes._SimpleCData):
        _type_ = "L"

    class Pointer(_ctypes._SimpleCData):
        _type_ = "P"

    class Character(_ctypes._SimpleCData):
        _type_ = "c"

    class Text(_ctypes.Array):
        _type_, _length_ = Character, STATS_BYTES

    class Mode(_ctypes.Array):
        _type_, _length_ = Character, 2

    class Open(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL
        _argtypes_, _restype_ = (Text, Size, Mode), Pointer

    class Tell(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI  # keeps the GIL
        _argtypes_, _restype_ = (Pointer,), None

    class Close(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL
        _argtypes_, _restype_ = (Pointer,), None

    fmemopen, fclose = Open(_ctypes.dlsym(library, "fmemopen")), Close(_ctypes.dlsym(library, "fclose"))
    tell, mode = Tell(_ctypes.dlsym(library, "_PyObject_DebugMallocStats")), Mode(b"w")

    def text():
        told = Text()
        stream = fmemopen(told, STATS_BYTES, mode)
        if not stream:
            return b""
        tell(stream)
        fclose(stream)
        return told.value

    return text


def python_figures(text):
    """The figures of Python's allocator from the text of `sys._debugmallocstats()`; {} where it is not in use.

    >>> python_figures(b"    1     32     2     5     1\\n6 arenas * 262144 bytes/arena = 1")
    {'pymalloc_in_use_bytes': 160, 'pymalloc_arena_bytes': 1572864, 'pymalloc_blocks': '32:5'}
    """
    blocks, arenas_bytes = [], 0
    for line in text.splitlines():
        words = line.split()
        if len(words) == 5 and words[0].isdigit() and words[3].isdigit():
            blocks.append((int(words[1]), int(words[3])))
        elif words[1:3] == [b"arenas", b"*"]:
            arenas_bytes = int(words[0]) * int(words[3])
    if not blocks:
        return {}
    in_use = sum([size * count for size, count in blocks])
    by_size = " ".join("%d:%d" % row for row in blocks if row[1])
    return dict(zip(PYTHON_KEYS, (in_use, arenas_bytes, by_size)))


def atexit_callbacks():
    """Number of registered exit callbacks: the table itself can't be read from 3.10 to 3.13."""
    count = plans.module_entry("atexit", "_ncallbacks")
    return {} if count is None else {"atexit_callbacks": count()}


def interned_strings():
    """Number of strings in the interpreter's table of them, which no object refers to; {} before 3.12."""
    return {} if interned_size is None else {"interned_strings": interned_size()}


def figures(allocators):
    """All of the ledger as one dict of plain values."""
    found = system_figures()
    found.update(process_times())
    found.update(collector_figures())
    found.update(allocators.figures())
    found.update(atexit_callbacks())
    found.update(interned_strings())
    mappings = mapping_count()
    if mappings is not None:
        found["mappings"] = mappings
    found["allocated_blocks"] = sys.getallocatedblocks()
    return found
