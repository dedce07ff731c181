"""The tables of a fleet: their columns and what each means. This text is the documentation.

They are not those of one run: a day of a process is some hundred rows here, whatever was recorded of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow


class Column(NamedTuple):
    """`kind` is a name of KINDS."""

    name: str
    kind: str
    means: str


KINDS = ("text", "int64", "float", "time")
PARTITIONS = ("service", "release", "host", "day")  # the folders around a file, in this order; `day` is of UTC

PROCESS = (
    Column("run", "text", "The run, by host, start and a hash of these and the command"),
    Column("process", "text", "The process's folder in the run, `pid-4711.0`: unlike a pid, used once in a run"),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "findings": (
        *PROCESS,
        Column("fingerprint", "text", "The same for the same leak in another process, run or release"),
        Column("kind", "text", "`python-leak`, `refcount-leak`, … as in the report"),
        Column("type", "text", "The class that tells most"),
        Column("holder", "text", "What holds it, by its name in the source; null where nothing in the heap does"),
        Column("file", "text", "Where the holder is defined"),
        Column("line", "int64", "Line of that file"),
        Column("confidence", "float", "0 to 1"),
        Column("objects_per_hour", "float", "Growth of the run divided by the processes that have it"),
        Column("bytes_per_hour", "float", "The same in bytes"),
        Column("lost_bytes", "int64", "What it took on this day: growth by the time that the process was watched"),
        Column("started", "time", "When the process was first seen"),
    ),
    "classes": (
        *PROCESS,
        Column("type", "text", "Class, by module.qualname"),
        Column("objects", "int64", "Instances at the end of the day"),
        Column("size_bytes", "int64", "Their shallow size"),
        Column("share", "float", "Of the size of all classes of the process, 0 to 1"),
        Column("bytes_per_hour", "float", "Slope over the day (Theil and Sen)"),
    ),
    "samples": (
        *PROCESS,
        Column("at", "time", "When"),
        Column("rss_bytes", "int64", "Resident memory"),
        Column("gc_objects", "int64", "Objects that the collector lists"),
    ),
    "series": (
        *PROCESS,
        Column("at", "time", "When"),
        Column("type", "text", "Class, by module.qualname"),
        Column("objects", "int64", "Instances that the collector lists"),
        Column("size_bytes", "int64", "Their shallow size"),
    ),
    # Last: a run whose row is here is there as a whole.
    "processes": (
        *PROCESS,
        Column("pid", "int64", "Its process id"),
        Column("command", "text", "The process's command line, secrets masked"),
        Column("python", "text", "Version of its interpreter"),
        Column("started", "time", "When the process was first seen"),
        Column("seconds", "float", "For how long it was watched on this day"),
        Column("looks", "int64", "Censuses on this day"),
        Column("rss_bytes", "int64", "Resident memory at the end of the day"),
        Column("rss_bytes_per_hour", "float", "Slope over the day without its warm-up (Theil and Sen)"),
        Column("objects_per_hour", "float", "The same of the objects that the collector lists"),
        Column("verdict", "text", "Of the whole run: `leak`, `healthy` or `inconclusive`"),
    ),
}  # fmt: skip


def schema(table: str, arrow: Any) -> pyarrow.Schema:
    """The Arrow schema of a table, what its columns mean as metadata."""
    types = {
        "text": arrow.string(), "int64": arrow.int64(), "float": arrow.float64(),
        "time": arrow.timestamp("us", tz="UTC"),
    }  # fmt: skip
    return arrow.schema([arrow.field(c.name, types[c.kind], metadata={"means": c.means}) for c in TABLES[table]])
