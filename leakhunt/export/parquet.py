"""A run as Parquet: one folder with one file for each table, for DuckDB, pandas, Spark and whatever else reads it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from leakhunt.errors import UsageError

from . import columns
from .tables import Tables

COMPRESSION = "zstd"


def write(tables: Tables, folder: Path) -> None:
    """Write `folder/<table>.parquet` of every table; the folder is there as a whole or not at all.

    Raises:
        UsageError: something else is there already.
        LeakhuntError: pyarrow is not installed.
    """
    columns.needed("pyarrow", "export")
    if folder.exists() and not is_export(folder):
        raise UsageError(f"{folder} already exists and is not a leakhunt export.", "Choose another name for -o.")
    temporary = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}."))
    try:
        for table in columns.TABLES:
            _write(tables, table, temporary / f"{table}.parquet")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_export(folder: Path) -> bool:
    """Whether the folder holds the tables of a run, or nothing."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    return names in (set(), {f"{table}.parquet" for table in columns.TABLES})


def _write(tables: Tables, table: str, path: Path) -> None:
    parquet = columns.needed("pyarrow.parquet", "export")
    with parquet.ParquetWriter(path, columns.schema(table), compression=COMPRESSION) as writer:
        for batch in tables.batches(table):
            if batch.num_rows:
                writer.write_batch(batch, row_group_size=batch.num_rows)
