"""Where every box and arrow of a reference graph goes; SVG and PNG draw the same `Drawing`.

Graphviz (as WebAssembly, no `dot` program) places the boxes, by sizes alone: names from the target never reach
it, so none can break its syntax. Units are points, y grows downward.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field, replace

from leakhunt.findings import Edge, Node, RefGraph
from leakhunt.render import graphviz, palette, units, words
from leakhunt.render.collapse import OTHERS

Point = tuple[float, float]

FONT_SIZE, LINE_HEIGHT = 11.0, 14.0
CHARACTER = 0.602 * FONT_SIZE
"""Width of every character: the fonts are monospaced, so that no font file is needed to measure."""
MARGIN = 16.0
_NAME, _DETAIL = 34, 40


@dataclass(frozen=True)
class Box:
    """A node at its place: (x, y) is the middle; `lines` are ready to print, the first in bold."""

    node: Node
    lines: tuple[str, ...]
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    def outline(self) -> list[Point]:
        """The polygon that its role has; shape repeats what colour says."""
        w, h = self.width / 2, self.height / 2
        cut = min(9.0, h if self.node.role == "root" else h * 0.55)
        corners = {
            "root": [(-w + cut, -h), (w - cut, -h), (w, 0), (w - cut, h), (-w + cut, h), (-w, 0)],
            "leaked": [
                *[(-w + cut, -h), (w - cut, -h), (w, -h + cut), (w, h - cut)],
                *[(w - cut, h), (-w + cut, h), (-w, h - cut), (-w, -h + cut)],
            ],
            "finalizer": [(-w, -h), (w - cut, -h), (w, -h + cut), (w, h), (-w, h)],
        }
        shape = corners.get(self.node.role, [(-w, -h), (w, -h), (w, h), (-w, h)])
        return [(self.x + x, self.y + y) for x, y in shape]


@dataclass(frozen=True)
class Arrow:
    """An edge at its place: `curve` is a cubic Bezier spline (1 + 3n points), `tip` where the head ends."""

    edge: Edge
    lines: tuple[str, ...]
    curve: tuple[Point, ...] = ()
    tip: Point = (0.0, 0.0)
    label: Point = (0.0, 0.0)

    def head(self) -> list[Point]:
        """The triangle from the end of the curve to the tip."""
        (x, y), (tip_x, tip_y) = self.curve[-1], self.tip
        dx, dy = (tip_x - x) * 0.42, (tip_y - y) * 0.42
        return [self.tip, (x - dy, y + dx), (x + dy, y - dx)]


@dataclass(frozen=True)
class Drawing:
    """All places; `notes` are lines of text below the legend."""

    title: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    legend: tuple[Box, ...] = ()
    notes: tuple[str, ...] = field(default=())


def lay_out(graph: RefGraph) -> Drawing:
    """Places for a graph that is already folded."""
    boxes = {node.id: _sized(node) for node in graph.nodes}
    arrows = [Arrow(edge, edge_lines(edge)) for edge in graph.edges if {edge.source, edge.target} <= boxes.keys()]
    drawing, note = _placed(boxes, arrows)
    return _with_frame(replace(drawing, title=words.name(graph.title, 90)), note)


def text_width(text: str) -> float:
    """Points that one line takes; East Asian wide characters take two places."""
    return CHARACTER * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def node_lines(node: Node) -> tuple[str, ...]:
    """What a box says: its role, type, detail, and how many and how much."""
    role = palette.role(node.role).word
    alike = "" if node.type.endswith(OTHERS) else " like it"
    more = f"+ {units.count(node.count - 1)} more{alike}" if node.count > 1 else ""
    facts = ", ".join(filter(None, (more, units.size(node.size_bytes) if node.size_bytes else "")))
    lines = words.short_type(node.type, _NAME), role and f"({role})", words.name(node.detail, _DETAIL), facts
    return tuple(line for line in lines if line)


def edge_lines(edge: Edge) -> tuple[str, ...]:
    label = words.name(edge.label, _NAME)
    if edge.count > 1:
        label = f"{label} ×{units.count(edge.count)}".strip()
    return tuple(line for line in (label, "cut here" if edge.faulty else "") if line)


def _sized(node: Node) -> Box:
    lines = node_lines(node)
    width = max((text_width(line) for line in lines), default=0.0) + 26
    return Box(node, lines, width=width, height=LINE_HEIGHT * len(lines) + 14)


def _placed(boxes: dict[int, Box], arrows: list[Arrow]) -> tuple[Drawing, str]:
    """By Graphviz where it runs here, else by our own simple layers, with the reason."""
    try:
        answer = graphviz.run(_sizes_as_dot(boxes, arrows), "json0")
        return _read_places(json.loads(answer), boxes, arrows), ""
    # ImportError, a trap in the WebAssembly, an answer that is no JSON: a plain picture beats none.
    except Exception as error:
        from leakhunt.render.layers import place_in_layers

        return place_in_layers(boxes, arrows), f"Simple layout, for Graphviz did not run: {words.name(str(error), 80)}"


def _sizes_as_dot(boxes: dict[int, Box], arrows: list[Arrow]) -> str:
    order = {key: place for place, key in enumerate(boxes)}
    lines = ['digraph { nodesep=0.35 ranksep=0.45 node [shape=box fixedsize=true label=""] edge [fontname=Courier]']
    lines += [f"n{order[k]} [width={b.width / 72:.4f} height={b.height / 72:.4f}]" for k, b in boxes.items()]
    for number, arrow in enumerate(arrows):
        wide = max((len(line) for line in arrow.lines), default=0) + 1
        label = "\\n".join(["x" * wide] * len(arrow.lines))
        weight = "weight=8 penwidth=3" if arrow.edge.faulty else ""
        ends = f"n{order[arrow.edge.source]} -> n{order[arrow.edge.target]}"
        lines.append(f'{ends} [id="{number}" fontsize={FONT_SIZE} label="{label}" {weight}]')
    return "\n".join([*lines, "}"])


def _read_places(answer: dict[str, object], boxes: dict[int, Box], arrows: list[Arrow]) -> Drawing:
    _, _, width, height = map(float, str(answer["bb"]).split(","))

    def point(text: str) -> Point:
        x, y = text.split(",")
        return float(x), height - float(y)

    objects: list[dict[str, str]] = answer.get("objects", [])  # type: ignore[assignment]
    edges: list[dict[str, str]] = answer.get("edges", [])  # type: ignore[assignment]
    placed = [
        replace(box, x=point(at["pos"])[0], y=point(at["pos"])[1])
        for box, at in zip(boxes.values(), sorted(objects, key=lambda o: int(o["name"][1:])), strict=True)
    ]
    drawn = []
    for arrow, at in zip(arrows, sorted(edges, key=lambda e: int(e["id"])), strict=True):
        tip, *curve = at["pos"].removeprefix("e,").split()
        label = point(at["lp"]) if "lp" in at else (0.0, 0.0)
        drawn.append(replace(arrow, curve=tuple(map(point, curve)), tip=point(tip), label=label))
    return Drawing("", width, height, tuple(placed), tuple(drawn))


def _with_frame(drawing: Drawing, note: str) -> Drawing:
    """Room for the title above and the legend below, everything moved to its final place."""
    used = {box.node.role for box in drawing.boxes}
    legend, y = [], MARGIN + 2 * LINE_HEIGHT + drawing.height + 28
    for name, role in palette.ROLES.items():
        if name and name in used:
            legend.append(Box(Node(-1, "", role=name), (f"{role.word}: {role.means}",), MARGIN + 12, y, 24, 13))
            y += LINE_HEIGHT + 5
    cut = any(arrow.edge.faulty for arrow in drawing.arrows)
    notes = tuple(filter(None, ("Thick arrow: the reference to cut." if cut else "", note)))
    lines = [*(2 * CHARACTER * 3 + 12 + text_width(box.lines[0]) for box in legend), *map(text_width, notes)]
    width = max([drawing.width, text_width(drawing.title) * 1.25, *lines]) + 2 * MARGIN
    moved = _moved(drawing, (width - drawing.width) / 2, MARGIN + 2 * LINE_HEIGHT)
    return replace(moved, width=width, height=y + 6 + LINE_HEIGHT * len(notes), legend=tuple(legend), notes=notes)


def _moved(drawing: Drawing, dx: float, dy: float) -> Drawing:
    def to(point: Point) -> Point:
        return point[0] + dx, point[1] + dy

    boxes = tuple(replace(box, x=box.x + dx, y=box.y + dy) for box in drawing.boxes)
    arrows = tuple(replace(a, curve=tuple(map(to, a.curve)), tip=to(a.tip), label=to(a.label)) for a in drawing.arrows)
    return replace(drawing, boxes=boxes, arrows=arrows)
