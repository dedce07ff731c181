"""A `.heapsnapshot` as the tests read it, and the JavaScript tools that read it too."""

from __future__ import annotations

import functools
import io
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.export import heapsnapshot

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Node:
    kind: str
    name: str
    id: int
    size: int
    edges: tuple[tuple[str, str | int, int], ...]  # (kind, name, number of the node it leads to)


def nodes_of(graph: HeapGraph) -> list[Node]:
    """The nodes that a reader of the file finds, every number of it consumed."""
    file = io.BytesIO()
    heapsnapshot.write(graph, file)
    found = json.loads(file.getvalue())
    meta, strings = found["snapshot"]["meta"], found["strings"]
    wide, edge_wide = len(meta["node_fields"]), len(meta["edge_fields"])
    nodes, edges = found["nodes"], found["edges"]
    assert len(nodes) == wide * found["snapshot"]["node_count"]
    assert len(edges) == edge_wide * found["snapshot"]["edge_count"]
    assert all(0 <= number < 1 << 32 for number in (*nodes, *edges))
    read, at = [], 0
    for begin in range(0, len(nodes), wide):
        kind, name, id_, size, count = nodes[begin : begin + 5]
        of_node = []
        for place in range(at, at + edge_wide * count, edge_wide):
            edge_kind, label, target = edges[place : place + edge_wide]
            edge_name = meta["edge_types"][0][edge_kind]
            assert target % wide == 0
            of_node.append((edge_name, label if edge_name == "element" else strings[label], target // wide))
        at += edge_wide * count
        read.append(Node(meta["node_types"][0][kind], strings[name], id_, size, tuple(of_node)))
    assert at == len(edges)
    return read


def retained(file: Path) -> dict[int, tuple[int, int, int]]:
    """(shallow size, retained size, id of the dominator) by id, as memlab finds them."""
    told = file.with_suffix(".sizes")
    javascript("memlab_sizes.js", file, told)
    rows: list[tuple[int, ...]] = [tuple(json.loads(line)) for line in told.read_text().splitlines()]
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def javascript(program: str, *arguments: object) -> str:
    """What a program of this folder prints; the test is skipped where Node or the package it requires is not there."""
    done = subprocess.run(
        ["node", HERE / program, *map(str, arguments)], capture_output=True, text=True, check=False, env=_environment()
    )
    if "Cannot find module" in done.stderr and done.returncode:
        pytest.skip(f"{program}: its npm package is not installed")
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def _environment() -> dict[str, Any]:
    """With npm's global packages to be found."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node is not installed")
    root = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=True).stdout.strip()
    paths = [path for path in (os.environ.get("NODE_PATH"), root) if path]
    return {**os.environ, "NODE_PATH": os.pathsep.join(paths)}
