"""A reference graph in Graphviz' own language, for who wants to draw it otherwise."""

from __future__ import annotations

from leakhunt.findings import Edge, Node, RefGraph
from leakhunt.render import palette, words
from leakhunt.render.layout import edge_lines, node_lines

_SHAPES = {"root": "hexagon", "holder": "box", "leaked": "octagon", "finalizer": "note"}


def dot(graph: RefGraph) -> str:
    """Complete and plain; every name is quoted, and no backslash of a name acts as an escape."""
    lines = [
        f"digraph {quoted(words.name(graph.title))} {{",
        f"  label={quoted(words.name(graph.title))}; labelloc=t;",
        '  node [fontname="monospace", fontsize=11, style=filled];',
        '  edge [fontname="monospace", fontsize=11];',
        *map(_node, graph.nodes),
        *map(_edge, graph.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def quoted(*lines: str) -> str:
    r"""One string of DOT; its lines are centred.

    >>> print(quoted('a "b"', r'c\N'))
    "a \"b\"\nc\\N"
    """
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _node(node: Node) -> str:
    shape = _SHAPES.get(node.role, "box")
    fill = palette.role(node.role).fill
    doubled = ", peripheries=2" if node.role == "holder" or node.count > 1 else ""
    return f'  n{node.id} [label={quoted(*node_lines(node))}, shape={shape}, fillcolor="{fill}"{doubled}];'


def _edge(edge: Edge) -> str:
    look = f', penwidth=4, color="{palette.FAULT}", fontcolor="{palette.FAULT}"' if edge.faulty else ""
    return f"  n{edge.source} -> n{edge.target} [label={quoted(*edge_lines(edge))}{look}];"
