"""`leakhunt export`: a heap or a run in the formats of other tools."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import click

from leakhunt.cli.output import check_writable, emit, told, verbosity
from leakhunt.errors import UsageError


@click.command(epilog="Example:  leakhunt export run1 -o run1.heapsnapshot")
@click.argument("source", type=click.Path(path_type=Path), metavar="S")
@click.option(
    "-o", "--output", required=True, metavar="FILE",
    help="Write to FILE, whose suffix says the format: .heapsnapshot, .parquet (a folder), .pb.gz, .dot, .graphml.",
)  # fmt: skip
@click.option("--format", "format_", metavar="FORMAT", help="heapsnapshot, parquet, pprof, dot or graphml.")
@click.option("--type", "type_name", metavar="CLASS", help="For dot and graphml: the class, by module.qualname.")
@click.option("--every", is_flag=True, help="For parquet: all object graphs of each process, not only the newest.")
@verbosity
def export(
    source: Path,
    output: str,
    format_: str | None,
    type_name: str | None,
    every: bool,
    verbose: bool,
) -> None:
    """Write a heap or a run for other tools.

    .heapsnapshot opens in the Memory panel of Chrome's DevTools and in memlab; .pb.gz, retained bytes by path, in pprof
    and Speedscope. .parquet makes a folder with one file for each table that `leakhunt query` knows. .dot and .graphml
    are who refers to one class.

    S is a snapshot, or a run folder: then its newest snapshot with the whole graph, and for .parquet the whole run.
    """
    from leakhunt import export as formats

    name = formats.format_of(format_, output)
    if (name in formats.OF_A_CLASS) != (type_name is not None):
        wants = "wants a class" if type_name is None else "is of the whole heap"
        raise UsageError(f"The format {name} {wants}.", "--type CLASS is for dot and graphml, and only for them.")
    if every and name != "parquet":
        raise UsageError("--every is for parquet: the other formats take one snapshot.", "Name the snapshot instead.")
    with told(f"exported {source}", verbose):
        _FORMATS[name](source, output, type_name or "", every)


def _parquet(source: Path, output: str, type_name: str, every: bool) -> None:
    from leakhunt.export import parquet
    from leakhunt.export.tables import Tables

    if output == "-":
        raise UsageError("Parquet is a folder of files.", "Name it with -o.")
    if not Path(output).is_dir():
        check_writable(output.rstrip("/"), "-o")
    parquet.write(Tables(source, every), Path(output))


def _of_heap(module: str, source: Path, output: str, type_name: str, every: bool) -> None:
    import importlib

    from leakhunt.analysis.heap.graph import HeapGraph
    from leakhunt.export import written_whole
    from leakhunt.pipeline import newest_graph

    if output != "-":
        check_writable(output, "-o")
    graph = HeapGraph(newest_graph(source))
    write = functools.partial(importlib.import_module(f"leakhunt.export.{module}").write, graph)
    if output != "-":
        written_whole(write, Path(output))
    elif sys.stdout.isatty():
        raise UsageError("A heap is too large for a terminal.", "Name a file with -o, or pipe it somewhere.")
    else:
        write(sys.stdout.buffer)


def _of_class(format_: str, source: Path, output: str, type_name: str, every: bool) -> None:
    from leakhunt import pipeline
    from leakhunt.render.graph import draw

    if output != "-":
        check_writable(output, "-o")
    emit(draw(pipeline.backrefs(source, type_name), format_), output)


_FORMATS: dict[str, Callable[[Path, str, str, bool], None]] = {
    "parquet": _parquet,
    "heapsnapshot": functools.partial(_of_heap, "heapsnapshot"),
    "pprof": functools.partial(_of_heap, "pprof"),
    "dot": functools.partial(_of_class, "dot"),
    "graphml": functools.partial(_of_class, "graphml"),
}
