"""A place for the runs of a fleet: any that fsspec knows. Credentials are found by the library's own rules.

    PLACE/processes/service=shop/release=1.4/host=web1/day=2026-11-21/web1-20261121T220000-e81f4b.parquet

A file is there as a whole or not at all: an object store shows an object when it is complete, and elsewhere the file is
written under another name first. Of the files of a run that of `processes` is written last, and only what it names
counts.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.export.columns import needed

from . import columns
from .tables import Origin, Tables

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2", "memory"}
if TYPE_CHECKING:
    import pyarrow

COMPRESSION = "zstd"


class Place:
    """A place by its URL, or a path of this machine.

    Raises:
        UsageError: fsspec does not know the protocol, or what it needs for it is not installed.
        LeakhuntError: fsspec is not installed.
    """

    def __init__(self, url: str) -> None:
        fsspec = needed("fsspec", "fleet")
        self.url = url if "://" in url else f"file://{Path(url).absolute()}"
        try:
            self.fs, self.root = fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as problem:
            words = str(problem).rstrip(".")
            raise UsageError(f"{url} can't be reached: {words}.", "Name s3://…, gs://…, file://… or a path.") from None
        self.protocol = self.url.partition("://")[0]

    @property
    def is_local(self) -> bool:
        return self.protocol in ("file", "local")

    def write(self, days: Mapping[str, Tables], origin: Origin) -> int:
        """Write a run, over one of the same name; returns the bytes written.

        Raises:
            LeakhuntError: the place refuses, in its own words, or pyarrow is not installed.
        """
        arrow = needed("pyarrow", "fleet")
        total = 0
        for table in columns.TABLES:  # `processes` is the last of them
            schema = columns.schema(table, arrow)
            for day, tables in days.items():
                total += self.write_table(table, arrow.Table.from_pylist(tables.get(table, []), schema), origin, day)
        return total

    def write_table(self, table: str, rows: pyarrow.Table, origin: Origin, day: str) -> int:
        """Write the rows of one table of a run and day; returns the bytes written."""
        parquet = needed("pyarrow.parquet", "fleet")
        written = io.BytesIO()
        parquet.write_table(rows, written, compression=COMPRESSION, compression_level=9)
        folder = "/".join(f"{name}={quote(value, safe='')}" for name, value in _parts(origin, day))
        data = written.getvalue()
        self._put(f"{self.root}/{table}/{folder}", f"{quote(origin.run, safe='')}.parquet", data)
        return len(data)

    def has_runs(self) -> bool:
        """Whether anything was written there; nothing is listed for it.

        Raises:
            LeakhuntError: the place refuses to say.
        """
        try:
            return bool(self.fs.exists(f"{self.root}/processes"))
        except Exception as problem:
            raise _refused(self.url, problem) from problem

    def _put(self, folder: str, name: str, data: bytes) -> None:
        path = f"{folder}/{name}"
        try:
            if self.protocol in OBJECT_STORES:
                self.fs.pipe_file(path, data)
                return
            self.fs.makedirs(folder, exist_ok=True)
            temporary = f"{folder}/.{name}.{os.getpid()}"
            try:
                self.fs.pipe_file(temporary, data)
                self.fs.mv(temporary, path)
            except BaseException:
                if self.fs.exists(temporary):
                    self.fs.rm(temporary)
                raise
        except Exception as problem:  # each library has its own
            raise _refused(self.url, problem) from problem


def _parts(origin: Origin, day: str) -> list[tuple[str, str]]:
    values = {"service": origin.service, "release": origin.release, "host": origin.host, "day": day}
    return [(name, values[name] or "unknown") for name in columns.PARTITIONS]


def _refused(url: str, problem: Exception) -> LeakhuntError:
    words = " ".join(str(problem).split()) or type(problem).__name__
    return LeakhuntError(f"{url} can't be used: {words[:300].rstrip('.')}.", "Check the address and the credentials.")
