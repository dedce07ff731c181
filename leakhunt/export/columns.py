"""The tables that a run is exported as: their columns, what each means, and how it is stored.

This text is the documentation: `docs/make_tables.py` prints it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from leakhunt.errors import LeakhuntError

if TYPE_CHECKING:
    import pyarrow


class Column(NamedTuple):
    """`kind` is a name of KINDS; "word" is text of which few different ones occur."""

    name: str
    kind: str
    means: str


KINDS = ("word", "text", "int32", "int64", "uint64", "float", "bool", "time", "pids")

RUN = Column("run", "word", "The run, by host, start and a hash of these and the command, not by its folder's name")
PROCESS = (
    RUN,
    Column("process", "word", "The process's folder in the run, `pid-4711.0`: unlike a pid, used once in a run"),
    Column("pid", "int32", "Its process id"),
)
SNAPSHOT = (*PROCESS, Column("snapshot", "int32", "Number of the snapshot in its process"))

TABLES: dict[str, tuple[Column, ...]] = {
    "processes": (
        *PROCESS,
        Column("host", "word", "Name of the machine"),
        Column("command", "text", "The process's command line"),
        Column("python", "word", "Version of its interpreter"),
        Column("engine", "word", "What walked its heap: `c` or `python`"),
        Column("started", "time", "When the process was first seen; null where that was lost"),
        Column("seconds", "float", "For how long it was watched"),
        Column("snapshots", "int32", "Snapshots that it left"),
    ),
    "snapshots": (
        *SNAPSHOT,
        Column("moment", "word", "Why it was taken: `interval`, `exit`, …"),
        Column("has_graph", "bool", "Whether it has the object graph, or counts of classes only"),
        Column("seconds", "float", "Since the process was first seen"),
        Column("rss_bytes", "int64", "Resident memory of the process"),
        Column("malloc_in_use_bytes", "int64", "What the C library has given out; null where it can't say"),
        Column("malloc_free_bytes", "int64", "What the C library keeps free; null where it can't say"),
        Column("allocated_blocks", "int64", "`sys.getallocatedblocks()`"),
        Column("gc_objects", "int64", "Objects that the collector lists"),
        Column("pause_ms", "float", "For how long the snapshot held the program"),
    ),
    "series": (
        *SNAPSHOT,
        Column("seconds", "float", "Since the process was first seen"),
        Column("type", "word", "Class, by module.qualname"),
        Column("objects", "int64", "Instances that the collector lists"),
        Column("size_bytes", "int64", "Their shallow size"),
    ),
    "places": (
        *PROCESS,
        Column("place", "word", "A place that grows, by its name in the source: `shop.Bus.listeners`"),
        Column("seconds", "float", "Since the process was first seen"),
        Column("items", "int64", "Items in it then"),
    ),
    "findings": (
        RUN,
        Column("rank", "int32", "1 is the one to begin with"),
        Column("fingerprint", "text", "The same for the same leak in another run"),
        Column("kind", "word", "`python-leak`, `refcount-leak`, … as in the report"),
        Column("type", "word", "The class that tells most"),
        Column("holder", "text", "What holds it, by its name in the source; null where nothing in the heap does"),
        Column("file", "text", "Where the holder is defined"),
        Column("line", "int32", "Line of that file"),
        Column("confidence", "float", "0 to 1"),
        Column("per_minute", "float", "Growth in objects"),
        Column("bytes_per_minute", "float", "Growth in bytes"),
        Column("retained_bytes", "int64", "What would be freed with it"),
        Column("pids", "pids", "The processes that have it"),
        Column("reason", "text", "Why it is called a leak"),
        Column("advice", "text", "What to do about it"),
    ),
    "types": (
        *SNAPSHOT,
        Column("type", "word", "Class, by module.qualname; two classes of one name have two rows"),
        Column("objects", "int64", "Instances in the graph, those that the collector does not list included"),
        Column("size_bytes", "int64", "Their shallow size"),
        Column("file", "text", "File of the class's module; null where it has none"),
        Column("is_extension", "bool", "Made by an extension module: may have memory that only C knows of"),
        Column("del_file", "text", "File of its `__del__`; null where it has none"),
        Column("del_line", "int32", "Line of its `__del__`"),
    ),
    "objects": (
        *SNAPSHOT,
        Column("object", "int32", "Number of the object in its snapshot"),
        Column("address", "uint64", "Its `id()`: the same object in another snapshot, while it lives"),
        Column("type", "word", "Class, by module.qualname"),
        Column("size_bytes", "int64", "Shallow size"),
        Column("length", "int64", "Items of a container, bytes of a buffer; null where it has none"),
        Column("refcount", "int64", "References to it; null for immortal objects"),
        Column("is_tracked", "bool", "Whether the collector lists it"),
        Column("state", "word", "`reached` from a root, `outside`: held by C code or a running stack, or `garbage`"),
        Column("retained_bytes", "int64", "What would be freed with it, itself included; null for garbage"),
        Column("dominator", "int32", "The object that keeps it alive alone; null where only the roots as a group do"),
        Column("holder", "word", "The place that holds it, as the source names it; of an item, that of its container"),
        Column("root", "word", "The GC root at which the shortest chain to it begins"),
        Column("name", "text", "What a class, function, module or coroutine is called"),
        Column("value", "text", "Its text, where the run stored some (`--values`)"),
    ),
    "references": (
        *SNAPSHOT,
        Column("source", "int32", "The object that refers"),
        Column("target", "int32", "The object referred to"),
        Column("kind", "word", "`attribute`, `item`, `key`, `local`, `closure`, `internal` or `weak`"),
        Column("name", "word", "Of an attribute, variable or slot; null for items and keys"),
        Column("position", "int32", "Its place among the references of its source, from 0; null for weak ones"),
    ),
}  # fmt: skip


def schema(table: str) -> pyarrow.Schema:
    """The Arrow schema of a table, what its columns mean as metadata.

    Raises:
        LeakhuntError: pyarrow is not installed.
    """
    arrow = needed("pyarrow", "export")
    types = {
        "word": arrow.dictionary(arrow.int32(), arrow.string()), "text": arrow.string(), "int32": arrow.int32(),
        "int64": arrow.int64(), "uint64": arrow.uint64(), "float": arrow.float64(), "bool": arrow.bool_(),
        "time": arrow.timestamp("us", tz="UTC"), "pids": arrow.list_(arrow.int32()),
    }  # fmt: skip
    fields = [arrow.field(c.name, types[c.kind], metadata={"means": c.means}) for c in TABLES[table]]
    return arrow.schema(fields)


def needed(module: str, extra: str) -> Any:
    """An optional package.

    Raises:
        LeakhuntError: it is not installed; the sentence says what to type.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise LeakhuntError(
            f"This needs {module}, which is not installed.", f"Type: pip install 'leakhunt[{extra}]'"
        ) from None
