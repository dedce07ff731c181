"""SQL over a run: DuckDB, on the tables of `leakhunt.export`."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leakhunt.analysis.growth.known import Known
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.export import columns, parquet
from leakhunt.export.tables import Tables

if TYPE_CHECKING:
    from pandas import DataFrame

DEAR = ("state", "retained_bytes", "dominator", "holder", "root", "name", "value")  # of objects: seconds for millions
ONLY_SCHEMA = re.compile(r"\s*(describe|desc|show)\b", re.IGNORECASE)


# For questions of somebody who may not reach more than these tables: no file, no network, no variable of this process,
# no other statement than one that reads, and neither all memory nor all day for it.
LOCKED = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "memory_limit": "1GB",
    "max_temp_directory_size": "0KB",
    "threads": "2",
    "lock_configuration": "true",
}
LOCKED_SECONDS = 30.0
READING = {"SELECT", "EXPLAIN"}  # of DuckDB's kinds of statements; DESCRIBE and SHOW are a SELECT to it


class Database:
    """The tables of a run folder, a snapshot or an exported folder, read when a question first names them.

    `is_locked`: questions reach nothing but these tables, and end after a while.
    """

    def __init__(self, path: str | Path, known: Known | None = None, is_locked: bool = False) -> None:
        self.path = Path(path)
        self._is_locked = is_locked
        self._duckdb: Any = columns.needed("duckdb", "query")
        columns.needed("pyarrow", "query")
        self._connection = self._connected()
        self._loaded: dict[str, frozenset[str]] = {}
        self._is_export = self.path.is_dir() and any(self.path.iterdir()) and parquet.is_export(self.path)
        self._tables = None if self._is_export else Tables(self.path, known=known)
        for table in columns.TABLES:
            self._connection.register(table, columns.schema(table).empty_table())

    def ask(self, sql: str) -> Answer:
        """The answer to one question.

        Raises:
            UsageError: DuckDB does not understand it; the sentence is DuckDB's.
            RunError: a table that it needs can't be made of this run.
        """
        if self._is_locked:
            self._check_reads(sql)
        for table in self._named(sql):
            self._load(table, _dear_columns(sql) if table == "objects" else frozenset())
        try:
            with self._in_time():
                return Answer(self._connection.execute(sql))
        except self._duckdb.Error as error:
            raise UsageError(f"DuckDB says: {_sentence(error)}", f"Tables: {', '.join(columns.TABLES)}.") from None

    def _connected(self) -> Any:
        return self._duckdb.connect(config=LOCKED if self._is_locked else {})

    def _check_reads(self, sql: str) -> None:
        """
        Raises:
            UsageError: it is not one statement that reads.
        """
        try:
            kinds = [statement.type.name for statement in self._connected().extract_statements(sql)]
        except self._duckdb.Error as error:
            raise UsageError(f"DuckDB says: {_sentence(error)}", f"Tables: {', '.join(columns.TABLES)}.") from None
        if len(kinds) != 1 or kinds[0] not in READING:
            raise UsageError("Only one question at a time is answered, and nothing is changed.", "Type one SELECT.")

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """Interrupt the question after a while, where it is somebody else's."""
        if not self._is_locked:
            yield
            return
        timer = threading.Timer(LOCKED_SECONDS, self._connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _named(self, sql: str) -> list[str]:
        """The tables that have to be filled for a question."""
        if ONLY_SCHEMA.match(sql):
            return []
        try:
            # Of a connection that has no tables: of a view it would say what is behind it.
            named = {name.lower() for name in self._connected().get_table_names(sql)}
        except self._duckdb.Error:
            named = {word.lower() for word in re.findall(r"\w+", sql)}  # not one SELECT
        return [table for table in columns.TABLES if table in named]

    def _load(self, table: str, dear: frozenset[str]) -> None:
        if table in self._loaded and dear <= self._loaded[table]:
            return
        if self._tables is None and self._is_locked:  # which may open no file
            found = columns.needed("pyarrow.parquet", "query").read_table(self.path / f"{table}.parquet")
            self._connection.register(table, found)
        elif self._tables is None:
            file = str(self.path / f"{table}.parquet").replace("'", "''")
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS SELECT * FROM read_parquet('{file}')")
        else:
            self._connection.register(table, self._tables.table(table, dear if table == "objects" else None))
        self._loaded[table] = dear if self._tables is not None else frozenset(DEAR)


class Answer:
    """Rows under columns."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self.columns = tuple(column[0] for column in result.description or ())

    def rows(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._result.fetchall()
        return found

    def some_rows(self, most: int) -> list[tuple[Any, ...]]:
        """The first rows only."""
        found: list[tuple[Any, ...]] = self._result.fetchmany(most)
        return found

    def to_pandas(self) -> DataFrame:
        """All rows as a data frame.

        Raises:
            LeakhuntError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise LeakhuntError("A data frame needs pandas, which is not installed.", "pip install pandas") from None
        found: DataFrame = self._result.df()
        return found


def _dear_columns(sql: str) -> frozenset[str]:
    """Those of the dear columns that a question may need: what it names, or all where it has a star."""
    without_counts = re.sub(r"count\s*\(\s*\*\s*\)", "", sql, flags=re.IGNORECASE)
    is_any = "*" in without_counts or not re.search(r"\bselect\b", sql, re.IGNORECASE)
    words = {word.lower() for word in re.findall(r"\w+", sql)}
    return frozenset(name for name in DEAR if is_any or name in words)


def _sentence(error: Exception) -> str:
    """What DuckDB says, without the picture of the line."""
    text = " ".join(line.strip() for line in str(error).split("\n\nLINE")[0].splitlines() if line.strip())
    text = text.partition(" Did you mean")[0]  # one of its own tables, as a rule
    return text if text.endswith((".", "!", "?")) else f"{text}."
