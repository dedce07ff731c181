"""A layout of our own, for where WebAssembly does not run: layers by distance from the roots, straight arrows."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leakhunt.render.layout import Arrow, Box, Drawing, Point

_BETWEEN, _BELOW, _CHARACTER = 26.0, 58.0, 6.6


def place_in_layers(boxes: dict[int, Box], arrows: list[Arrow]) -> Drawing:
    """Boxes in rows, each row ordered by where its holders stand."""
    from leakhunt.render.layout import Drawing

    rows = _rows(boxes, arrows)
    width = max((_row_width(row, boxes) for row in rows), default=0.0)
    placed: dict[int, Box] = {}
    y = 0.0
    for row in rows:
        row.sort(
            key=lambda key: _mean([placed[a.edge.source].x for a in _into(key, arrows) if a.edge.source in placed])
        )
        x, high = (width - _row_width(row, boxes)) / 2, max(boxes[key].height for key in row)
        for key in row:
            box = boxes[key]
            placed[key] = replace(box, x=x + box.width / 2, y=y + high / 2)
            x += box.width + _BETWEEN
        y += high + _BELOW
    in_order = tuple(placed[key] for key in boxes)
    return Drawing("", width, max(0.0, y - _BELOW), in_order, tuple(_straight(a, placed) for a in arrows))


def _rows(boxes: dict[int, Box], arrows: list[Arrow]) -> list[list[int]]:
    """Keys by longest way from the boxes that nothing in the picture holds; arrows that close a cycle do not count."""
    order = _reached(boxes, arrows)
    depth = dict.fromkeys(order, 0)
    for at in order:
        for arrow in arrows:
            if arrow.edge.source == at and order[arrow.edge.target] > order[at]:
                depth[arrow.edge.target] = max(depth[arrow.edge.target], depth[at] + 1)
    rows: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for key, row in depth.items():
        rows[row].append(key)
    return rows


def _reached(boxes: dict[int, Box], arrows: list[Arrow]) -> dict[int, int]:
    """Key -> its place in a breadth-first walk from what nothing holds, then from what is left."""
    held = {arrow.edge.target for arrow in arrows}
    order: dict[int, int] = {}
    for start in [key for key in boxes if key not in held] + list(boxes):
        queue = deque([start] if start not in order else [])
        while queue:
            at = queue.popleft()
            if at not in order:
                order[at] = len(order)
                queue.extend(arrow.edge.target for arrow in arrows if arrow.edge.source == at)
    return order


def _into(key: int, arrows: list[Arrow]) -> list[Arrow]:
    return [arrow for arrow in arrows if arrow.edge.target == key]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _row_width(row: list[int], boxes: dict[int, Box]) -> float:
    return sum(boxes[key].width for key in row) + _BETWEEN * (len(row) - 1)


def _straight(arrow: Arrow, placed: dict[int, Box]) -> Arrow:
    """From the edge of one box to the edge of the other; a reference to itself is a loop on its right."""
    source, target = placed[arrow.edge.source], placed[arrow.edge.target]
    if source is target:
        right = source.x + source.width / 2
        bend = (right + 34, source.y - 14), (right + 34, source.y + 14)
        return replace(
            arrow, curve=((right, source.y - 6), *bend, (right + 9, source.y + 7)), tip=(right, source.y + 6)
        )
    down = 1 if target.y >= source.y else -1
    start: Point = (source.x, source.y + down * source.height / 2)
    tip: Point = (target.x, target.y - down * target.height / 2)
    long = math.dist(start, tip) or 1.0
    end = (tip[0] + (start[0] - tip[0]) * 9 / long, tip[1] + (start[1] - tip[1]) * 9 / long)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    aside = max((len(line) for line in arrow.lines), default=0) * _CHARACTER / 2 + 6
    return replace(arrow, curve=(start, middle, middle, end), tip=tip, label=(middle[0] + aside, middle[1]))
