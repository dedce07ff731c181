"""Reference graphs as pictures, without the `dot` program: fold, lay out, draw."""

from __future__ import annotations

from collections.abc import Callable

from leakhunt.errors import UsageError
from leakhunt.findings import RefGraph
from leakhunt.render.collapse import fold
from leakhunt.render.dot import dot
from leakhunt.render.layout import lay_out
from leakhunt.render.svg import svg

__all__ = ["FORMATS", "draw", "fold"]


def draw(graph: RefGraph, format: str = "svg", limit: int = 60) -> bytes:
    """The graph, folded to `limit` boxes, as "svg", "png", "dot", "graphml" or "html"; text formats are UTF-8."""
    if format not in FORMATS:
        raise UsageError(f"A graph cannot be drawn as {format!r}.", f"Choose one of: {', '.join(FORMATS)}.")
    return FORMATS[format](fold(graph, limit))


def _svg(graph: RefGraph) -> bytes:
    return svg(lay_out(graph)).encode("utf-8")


def _png(graph: RefGraph) -> bytes:
    from leakhunt.render.raster import png  # matplotlib takes a second to load

    return png(lay_out(graph))


def _dot(graph: RefGraph) -> bytes:
    return dot(graph).encode("utf-8")


def _graphml(graph: RefGraph) -> bytes:
    from leakhunt.render.graphml import graphml

    return graphml(graph)


def _html(graph: RefGraph) -> bytes:
    from leakhunt.render.html_pages import graph_page

    return graph_page(graph).encode("utf-8")


FORMATS: dict[str, Callable[[RefGraph], bytes]] = {
    "svg": _svg, "png": _png, "dot": _dot, "graphml": _graphml, "html": _html,
}  # fmt: skip
