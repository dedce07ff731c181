"""The engines that answer: DuckDB in this process, or Spark. Both stand behind the same Ibis tables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.export.columns import needed

from . import columns
from .place import Place

if TYPE_CHECKING:
    import ibis.expr.types as ir

LEVELS = "/*" * (len(columns.PARTITIONS) + 1)


Answer = tuple[list[str], list[tuple[Any, ...]]]
Ask = Callable[[str], Answer]


class Engine:
    """The tables of a place, by name, as Ibis sees them."""

    def __init__(self, connection: Any, tables: dict[str, ir.Table], ask: Ask) -> None:
        self.connection, self.tables, self._ask = connection, tables, ask

    def rows(self, expression: ir.Expr) -> list[dict[str, Any]]:
        """The rows of an expression, in its order.

        Raises:
            LeakhuntError: the engine can't answer, in its own words.
        """
        try:
            found: list[dict[str, Any]] = self.connection.to_pyarrow(expression).to_pylist()
        except Exception as problem:  # each engine has its own
            raise _says(problem) from problem
        return found

    def ask(self, sql: str) -> Answer:
        """(columns, rows) of a question in the engine's own SQL.

        Raises:
            UsageError: the engine does not understand it.
        """
        try:
            return self._ask(sql)
        except Exception as problem:
            raise UsageError(str(_says(problem)), f"Tables: {', '.join(columns.TABLES)}.") from None


@contextlib.contextmanager
def engine(place: Place, name: str = "duckdb") -> Iterator[Engine]:
    """An engine over a place: "duckdb", "spark" (as it is configured, else in this process) or "spark://HOST:PORT".

    Raises:
        UsageError: there is no such engine, or the place holds no runs.
        LeakhuntError: it is not installed, or does not start.
    """
    if name != "duckdb" and name != "spark" and not name.startswith(("spark://", "local[")):
        raise UsageError(f"There is no engine {name!r}.", "Choose duckdb, spark or spark://HOST:PORT.")
    ibis = needed("ibis", "fleet" if name == "duckdb" else "spark")
    if not place.has_runs():
        raise UsageError(f"{place.url} holds no runs.", "`leakhunt run --to PLACE` puts them there.")
    with _duckdb(ibis, place) if name == "duckdb" else _spark(ibis, place, name) as found:
        yield found


@contextlib.contextmanager
def _duckdb(ibis: Any, place: Place) -> Iterator[Engine]:
    needed("duckdb", "fleet")
    connection = ibis.duckdb.connect()
    try:
        if place.is_local:
            root = place.root
        else:
            connection.con.register_filesystem(place.fs)
            root = f"{place.protocol}://{place.root.lstrip('/')}"
        for table in columns.TABLES:
            pattern = f"{root}/{table}{LEVELS}.parquet".replace("'", "''")
            try:
                connection.con.execute(
                    f"CREATE TEMP VIEW {table} AS SELECT * FROM read_parquet('{pattern}', "
                    "hive_partitioning=true, hive_types_autocast=false)"
                )
            except Exception as problem:
                raise _says(problem) from problem

        def ask(sql: str) -> Answer:
            found = connection.con.execute(sql)
            return [column[0] for column in found.description or ()], found.fetchall()

        yield Engine(connection, {table: connection.table(table) for table in columns.TABLES}, ask)
    finally:
        connection.disconnect()


@contextlib.contextmanager
def _spark(ibis: Any, place: Place, name: str) -> Iterator[Engine]:
    sql = needed("pyspark.sql", "spark")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = sql.SparkSession.builder.appName("leakhunt fleet")
    if name != "spark":
        builder = builder.master(name)
    settings = {
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as problem:
        raise LeakhuntError(
            f"Spark does not start: {_says(problem).message}", "It needs Java: apt install default-jre-headless."
        ) from problem
    protocol = {"s3": "s3a", "gcs": "gs", "local": "file"}.get(place.protocol, place.protocol)
    root = f"{protocol}://{place.root}"
    try:
        connection = ibis.pyspark.connect(session)
        for table in columns.TABLES:
            session.read.parquet(f"{root}/{table}").createOrReplaceTempView(table)

        def ask(sql: str) -> Answer:
            found = session.sql(sql)
            return list(found.columns), [tuple(row) for row in found.collect()]

        yield Engine(connection, {table: connection.table(table) for table in columns.TABLES}, ask)
    except LeakhuntError:
        raise
    finally:
        session.stop()


def _says(problem: Exception) -> LeakhuntError:
    """What an engine says, without the picture of the line and the stack of another language."""
    text = str(problem).split("\n\nLINE")[0].split("JVM stacktrace")[0]
    words = " ".join(text.split())[:400].rstrip(".")
    return LeakhuntError(f"The engine says: {words or type(problem).__name__}.")
