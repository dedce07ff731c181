"""The `.leak` file: one snapshot of one process, complete in itself.

This text is the format's documentation; the agent writes by it and `leakhunt.snapshot` reads by it.

A file is, little-endian throughout:

    MAGIC (8 bytes), version u32, reserved u32        padded to ALIGNMENT
    columns, each padded to ALIGNMENT                  plain arrays, in any order
    table of contents                                  UTF-8 lines "name<TAB>dtype<TAB>offset<TAB>count"
    offset of that table u64, its length u64, its crc32 u32, version u32, END_MAGIC (8 bytes)

The tail comes last, so a cut file is known by its missing END_MAGIC. A reader takes the columns it knows by
name and ignores the rest; dtypes are numpy's ("<u8", "<u4", "|u1"). Two columns are text:

    meta             |u1   UTF-8 lines "key<TAB>value" (see `lines`): the moment and the ledger
    strings.bytes    |u1   all strings, UTF-8, end to end
    strings.end      <u8   end of each string in strings.bytes; string 0 is empty and means "none"

Types, one row per class that occurs (T rows); `file`, `line` place its `__del__` where it has one:

    type.address     <u8   id() of the class
    type.name        <u4   string: module.qualname
    type.flags       <u4   TYPE_* bits; without TYPE_TOLD those from TYPE_ATOM on are not told
    type.file        <u4   string: file of the class's module
    type.del_file    <u4   string
    type.del_line    <u4

Census, one row per class the collector lists (C rows):

    census.type      <u4   row of type.*
    census.count     <u8   instances in all generations
    census.old       <u8   instances in generation 2
    census.bytes     <u8   shallow bytes, collector header included
    container.address, .type, .length   <u8 <u4 <u8   listed containers of CONTAINER_FLOOR items or more
    spectrum.count   <u8   TENTHS numbers for each row of census.*: how many of its instances stand in each tenth of the
                           collector's list, oldest first; absent where that list is not in order of birth. The Python
                           engine leaves tuples and frozensets out.

Graph, in deep snapshots only (N objects, E references):

    object.address   <u8   id()
    object.type      <u4   row of type.*
    object.size      <u8   shallow bytes; <u4 where all fit
    object.length    <u4   items of a container, bytes of a buffer; NO_LENGTH where it has none
    object.refcount  <u4   references, the walker's own taken off; SATURATED for immortal objects
    object.flags     |u1   OBJECT_* bits
    object.place     <u4   place in the collector's list, oldest first, NO_PLACE where it is not listed; absent where
                           the meta data has `generation_rows`, or nothing tells ages. With `generation_rows`, two
                           row numbers, the rows with OBJECT_TRACKED are in order of the list: generation 0, then
                           generation 1 from the first of these rows on, generation 2 from the second, each with the
                           oldest first.
    reference.count  <u4   references of each object, in the order of object.*
    reference.target <u8   address referred to, grouped by source; may name an address that is no row (gone meanwhile).
                           A mapping, namespaces too, lists its values (`length` of them), then its keys, then the rest.
    reference.index  <u4   instead of reference.target where the walker could tell: row of object.*, GONE for none
    label.position   <u8   index into reference.target (or .index), in no particular order
    label.name       <u4   string; its first character is the kind, see LABEL_*
    root.address     <u8   objects held by the interpreter itself
    root.kind        <u4   string: "module", "frame", "gc.garbage" or "interpreter"
    root.label       <u4   string: module name, function of the frame, …
    name.address     <u8   objects with a name: classes, functions, modules, coroutines, cells of closures
    name.text        <u4   string: module.qualname; "~variable" for a cell
    name.file, name.line   <u4   string, line: where it is defined
    bound.object, bound.value   <u4 <u8   containers with a limit of their own (maxsize, maxlen)
    weak.source, weak.target    <u4 <u8   weak references: row of object.*, address (0 when its referent is dead)
    value.address    <u8   with `--values` only: strings, bytes and numbers in containers
    value.text       <u4   string: its repr, cut

A graph of a heap of many objects may be a frontier graph; the meta data has `left_out` then, the number of listed
objects without a row. A line is drawn in the collector's list at an early look at the process. Rows are: what is
younger than the line; what is older and refers to something younger; of who refers to that, one step more at each
further graph; what is near the roots: all that can be reached from them without going through a large container that
is older than the line. What is older has OBJECT_OLD, and SATURATED for its refcount, for not all that refers to it
has a row. A large old container has references to those of its items only that have rows (the keys of a mapping
follow these values, fewer than `length` of each); `object.length` is its true length. References to what has no row
are GONE. The census has everything.

Without `--values` nothing of the program's data is stored: type names, attribute names, identifiers and sizes only.

The keys of `meta`; one whose value could not be had is absent. Names end in the unit; what the JSON report has of them
has the same name there.

    pid, sequence, python    of the process; number of the snapshot in it, from 1; version of the interpreter
    moment                   "interval", "exit" (the last one, at a normal end) or "pinned" (of the caller's process)
    kind                     "deep" (with the graph) or "census"
    time                     seconds since the epoch
    elapsed                  seconds since the agent was started
    interval, budget, pause_limit_seconds   the options that it runs with
    lost                     snapshots that could not be taken or written so far
    spent_seconds, waited_seconds   processor time that the agent took so far; time that it has waited for its budget
    agent_rss_anonymous_bytes, agent_malloc_…, agent_pymalloc_…
                             what the process grew by while snapshots were taken: the agent's growth, not the program's
    engine                   "c" or "python"; beside it, where another was wanted: engine_wanted, engine_refusal
    graph_refused            why there is no graph though it was due: "budget", "pause", "memory" or "sub-interpreters"
    fork_refused             why no copy of the process took it though that was asked for
    collected                objects that `gc.collect()` found, where it was asked for before the snapshot
    note                     a text that the caller gave
    pause_ms                 the longest that the program stood still for it (files of leakhunt 0.1: hold_ms)
    cost_ms                  from its begin to its end, by the clock
    walk_ms, walk_bytes      time and memory of the walk over the heap
    generation_rows          see object.place
    left_out                 listed objects without a row in a frontier graph, see there; absent in a whole one
    rss_bytes, rss_anonymous_bytes, swap_bytes, virtual_bytes, threads   by /proc/self/status
    mappings                 lines of /proc/self/maps
    process_seconds, process_cpu_seconds   since the process began: by the clock, and computed
    gc_enabled, gc_threshold, gc_count, gc_collections, gc_collected, gc_uncollectable, gc_garbage, gc_frozen
                             by the gc module; one number for each generation, the youngest first, spaces between
    malloc_in_use_bytes, malloc_free_bytes, malloc_top_bytes, malloc_mapped_bytes   by mallinfo2: given out; free; of
                             that at the top, where `malloc_trim` gives it back; given out in mappings of their own
    pymalloc_in_use_bytes, pymalloc_arena_bytes, pymalloc_blocks   by sys._debugmallocstats(): the last "size:blocks …"
    allocated_blocks         by sys.getallocatedblocks()
    atexit_callbacks         registered (3.8 to 3.13)
    interned_strings         in the interpreter's table (3.12+)

The `process` file in the folder of a process has the same lines about the process itself:

    pid, ppid, executable, python, engine   of the process, when it was first looked at
    command                  its arguments with spaces between, secrets masked unless --values was given
    started                  seconds since the epoch when the agent was started in it
    path, cwd                sys.path with "\x1f" between its entries; the current directory
    lived                    seconds, of a process that ended before its first snapshot
"""

from . import __builtins__

MAGIC = b"LEAKHUNT"
END_MAGIC = b"TNUHKAEL"
VERSION = 1
ALIGNMENT = 64
TAIL_FORMAT = "<QQII8s"  # of struct: offset and length of the table of contents, its crc32, VERSION, END_MAGIC

TYPE_HAS_DEL = 1  # a Python-level __del__ somewhere in its MRO
TYPE_HEAP = 2  # made at run time: a Python class or a C heap type
TYPE_IS_CLASS = 4  # a metaclass: its instances are classes
TYPE_EXTENSION = 8  # made by an extension module, or derived from such a class: may have memory that only C knows of
TYPE_DEL_NAMES_ITSELF = 1 << 19  # its __del__ mentions the class, as one does that makes another instance
TYPE_GREENLET = 16  # derived from greenlet.greenlet: what is on its stack, nothing in the heap refers to
# What a class is, by its place in the MRO and by identity, never by its name. A class made by the program says
# something of itself whatever it derives from: TYPE_PLUMBING and TYPE_ATOM are of the interpreter's own and of the
# standard library's.
TYPE_ATOM = 1 << 5  # text, bytes, a number, a range, None: refers to nothing
TYPE_MAPPING = 1 << 6  # dict or derived: lists its values, then its keys
TYPE_SEQUENCE = 1 << 7  # list, deque or derived: keeps the order of its items
TYPE_WEAK = 1 << 8  # a weak reference: keeps nothing alive
TYPE_EXCEPTION = 1 << 9
TYPE_SUSPENDED = 1 << 10  # generator, coroutine, asynchronous generator: told by its code's name
TYPE_CONTEXT = 1 << 11  # contextvars.Context, or a node of the mapping inside of one
TYPE_PLUMBING = 1 << 12  # only carries others: containers, cells, methods, partials, iterators, locks
TYPE_BUFFER = 1 << 13  # its length is bytes
TYPE_DESCRIPTOR = 1 << 14  # how a class of C makes its methods and members known; a builtin function
TYPE_BARE = 1 << 15  # an object of attributes without a class of its own: SimpleNamespace, threading.local
TYPE_INTERPRETER = 1 << 16  # made in C by the interpreter or its standard library
TYPE_CONSTANT = 1 << 17  # a number, None, a function, a module: shared, or made once
TYPE_FIXED = 1 << 18  # an immutable builtin: neither its size nor its length ever changes
TYPE_TOLD = 1 << 31  # the agent was new enough to tell all of these

OBJECT_TRACKED = 1  # the collector listed it
OBJECT_FINALIZED = 2  # its finalizer has run already (gc.is_finalized, 3.9+)
OBJECT_OLD = 4  # older than the line of a frontier graph

NO_LENGTH = 0xFFFFFFFF
NO_PLACE = 0xFFFFFFFF
GONE = 0xFFFFFFFF
SATURATED = 0xFFFFFFFF
CONTAINER_FLOOR = 32
TENTHS = 10

LABEL_ATTRIBUTE = "."  # an attribute, by name
LABEL_LOCAL = "@"  # a local variable of a frame
LABEL_CLOSURE = "~"  # a variable of a closure
LABEL_INTERNAL = "-"  # a slot of the interpreter's own: __dict__, __closure__, …
LABEL_DEFAULTS = "-defaults "  # of a function that has some it could change; names of the parameters follow

META_TEXT = "meta"
RENAMED = {"hold_ms": "pause_ms"}  # keys of earlier versions


def escape(text):
    """One line without tabs, for "key<TAB>value" text; `unescape` is its inverse."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def unescape(text):
    """Inverse of `escape`."""
    out, parts = [], iter(text)
    for character in parts:
        if character == "\\":
            character = {"t": "\t", "n": "\n", "r": "\r"}.get(next(parts, ""), "\\")
        out.append(character)
    return "".join(out)


def lines(values):
    """UTF-8 text "key<TAB>value" of a dict, as in `meta` and in the `process` file; `values_of` is its inverse."""
    text = "".join(["%s\t%s\n" % (key, escape(str(value))) for key, value in values.items()])
    return text.encode("utf-8", "backslashreplace")


def values_of(data):
    """Keys to texts, by their names of today; a last line that is cut is left out."""
    found = {}
    for line in data.decode("utf-8", "replace").split("\n")[:-1]:
        key, tab, value = line.partition("\t")
        if key and tab:
            found[RENAMED.get(key, key)] = unescape(value)
    return found


def padded(size):
    """`size` rounded up to ALIGNMENT."""
    return -(-size // ALIGNMENT) * ALIGNMENT
