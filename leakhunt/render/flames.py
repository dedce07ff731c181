"""A flame graph of stacks: the line at the bottom made something, or put it away, and who called it stands above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from leakhunt.findings import Caller, Origin
from leakhunt.render import words

_ROW, _DEPTH_MAX, _LEAST = 22, 12, 0.01


@dataclass(frozen=True)
class Flame:
    """A frame as drawn: its left edge and width as shares of the whole, and its row, 0 at the bottom."""

    left: float
    width: float
    row: int
    frame: Caller


def flames(tree: Sequence[Caller], of: int, left: float = 0.0, row: int = 0) -> Iterator[Flame]:
    """Every frame of a tree of `of` stacks that is wide enough to be seen."""
    for frame in tree:
        width = frame.count / of if of else 0.0
        if width >= _LEAST and row < _DEPTH_MAX:
            yield Flame(left, width, row, frame)
            yield from flames(frame.callers, of, left, row + 1)
        left += width


def svg(origin: Origin, what: str) -> Markup:
    """The picture; `what` is how it is read aloud. Each frame is a picture in the picture, which cuts off its text."""
    drawn = list(flames(origin.tree, origin.of))
    rows = 1 + max((flame.row for flame in drawn), default=0)
    told = escape(f"Flame graph: {what} {words.origin(origin)}; the list beside it says the same.")
    size = f'width="100%" height="{rows * _ROW}" role="img" aria-label="{told}"'
    boxes = "".join(_box(flame, rows, origin.of) for flame in drawn)
    return Markup(f'<svg xmlns="http://www.w3.org/2000/svg" class="flames" {size}>{boxes}</svg>')


def _box(flame: Flame, rows: int, of: int) -> str:
    frame = flame.frame
    spot = words.spot(frame.file, frame.line, frame.function)
    source = f"\n{words.name(frame.source)}" if frame.source else ""
    told = escape(f"{spot}: {frame.count} of {of}{source}")
    place = f'x="{flame.left:.2%}" width="{flame.width:.2%}" y="{(rows - 1 - flame.row) * _ROW}" height="{_ROW - 1}"'
    style = "base" if flame.row == 0 else f"row{flame.row % 2}"
    text = f'<text x="5" y="15">{escape(spot)}</text>'
    return f'<svg {place} class="{style}"><title>{told}</title><rect width="100%" height="100%"/>{text}</svg>'
