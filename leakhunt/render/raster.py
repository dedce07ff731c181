"""A `Drawing` as PNG, drawn by matplotlib from the same places as the SVG."""

from __future__ import annotations

import io
import warnings
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Polygon
from matplotlib.path import Path

from leakhunt.render import palette
from leakhunt.render.layout import FONT_SIZE, LINE_HEIGHT, MARGIN, Arrow, Box, Drawing

_LONGEST_SIDE = 12_000
"""Pixels; above it the picture is drawn with fewer dots per inch rather than refused."""


def png(drawing: Drawing) -> bytes:
    """On white paper, two pixels to the point."""
    figure = Figure(figsize=(drawing.width / 72, drawing.height / 72), facecolor=palette.PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    _write(axes, (MARGIN, MARGIN + 5), drawing.title, weight="bold", size=13, ha="left")
    for arrow in drawing.arrows:
        _draw_arrow(axes, arrow)
    for box in (*drawing.boxes, *drawing.legend):
        _draw_box(axes, box, is_key=box in drawing.legend)
    for arrow in drawing.arrows:
        _draw_label(axes, arrow)
    for number, note in enumerate(reversed(drawing.notes)):
        _write(axes, (MARGIN, drawing.height - MARGIN - number * LINE_HEIGHT - 4), note, ha="left")
    return _written(figure, min(144.0, _LONGEST_SIDE * 72 / max(drawing.width, drawing.height)))


def _written(figure: Figure, dpi: float) -> bytes:
    target = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; a warning would help nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(target, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return target.getvalue()


def _write(axes: Any, at: tuple[float, float], text: str, **style: Any) -> None:
    style = {"size": FONT_SIZE, "ha": "center", "color": palette.INK, **style}
    axes.text(*at, text, va="center", family="DejaVu Sans Mono", parse_math=False, **style)


def _draw_box(axes: Any, box: Box, is_key: bool = False) -> None:
    fill = palette.role(box.node.role).fill
    thick = 3.0 if box.node.role == "holder" else 1.2
    if box.node.count > 1:
        behind = [(x + 4, y + 4) for x, y in box.outline()]
        axes.add_patch(Polygon(behind, facecolor=fill, edgecolor=palette.INK, linewidth=thick))
    axes.add_patch(Polygon(box.outline(), facecolor=fill, edgecolor=palette.INK, linewidth=thick))
    if is_key:
        _write(axes, (box.x + 20, box.y), box.lines[0], ha="left")
        return
    first = box.y - (len(box.lines) - 1) * LINE_HEIGHT / 2
    for number, line in enumerate(box.lines):
        _write(axes, (box.x, first + number * LINE_HEIGHT), line, weight="normal" if number else "bold")


def _draw_arrow(axes: Any, arrow: Arrow) -> None:
    color = palette.FAULT if arrow.edge.faulty else palette.QUIET
    path = Path(arrow.curve, [Path.MOVETO] + [Path.CURVE4] * (len(arrow.curve) - 1))
    axes.add_patch(PathPatch(path, fill=False, edgecolor=color, linewidth=4 if arrow.edge.faulty else 1.2))
    axes.add_patch(Polygon(arrow.head(), facecolor=color, edgecolor=color))


def _draw_label(axes: Any, arrow: Arrow) -> None:
    x, y = arrow.label
    first = y - (len(arrow.lines) - 1) * LINE_HEIGHT / 2
    for number, line in enumerate(arrow.lines):
        cut = {"color": palette.FAULT, "weight": "bold"} if line == "cut here" else {}
        _write(axes, (x, first + number * LINE_HEIGHT), line, **cut)
