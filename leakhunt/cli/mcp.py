"""`leakhunt mcp`: the runs of a folder for programs that speak the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.output import verbosity


@click.command(epilog="Example:  leakhunt mcp ~/leakhunt-runs")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("."))
@verbosity
def mcp(folder: Path, quiet: bool, verbose: bool) -> None:
    """Answer questions about the runs in FOLDER (default: here) over stdin and stdout, for an assistant or an editor.

    It reads run folders and snapshots below FOLDER and nothing else, writes nothing, and keeps each answer small. The
    tools are runs, findings, finding, chain, unit, classes, sql and graph (docs/mcp.md).
    """
    from leakhunt.config import known_places
    from leakhunt.mcp.server import server

    server(folder, known_places(Path.cwd())).run("stdio")
