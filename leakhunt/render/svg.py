"""A `Drawing` as SVG: its own styles for light, dark and paper, its own words for a screen reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from leakhunt.render import palette, words
from leakhunt.render.layout import FONT_SIZE, LINE_HEIGHT, MARGIN, Arrow, Box, Drawing, Point

_FONT = "'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace"


def svg(drawing: Drawing, folded: str = "") -> str:
    """A standalone document that may also stand inside a page: its classes all begin with `lh-`.

    Args:
        folded: what the ids begin with, in that page, of the lists of what is folded into boxes; each box links to its
            own then.
    """
    size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    box = f'viewBox="0 0 {drawing.width:.1f} {drawing.height:.1f}"'
    label = escape(drawing.title, quote=True)
    role = "group" if folded else "img"  # what has links in it is no image
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="{role}" aria-label="{label}" class="lh-graph">',
        f"<title>{label}</title>",
        f"<desc>{escape(in_words(drawing))}</desc>",
        f"<style>{_style()}</style>",
        '<rect class="lh-paper" width="100%" height="100%"/>',
        _text((MARGIN, MARGIN + 10), (drawing.title,), "lh-title"),
        *map(_arrow, drawing.arrows),
        *(_box(box, folded) for box in drawing.boxes),
        *map(_arrow_label, drawing.arrows),
        *_legend(drawing),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def in_words(drawing: Drawing) -> str:
    """Every reference as a sentence, for who cannot see the picture."""
    names = {box.node.id: words.short_type(box.node.type, 60) for box in drawing.boxes}
    return " ".join(
        f"{names[a.edge.source]} holds {names[a.edge.target]}"
        f"{' by ' + words.name(a.edge.label, 60) if a.edge.label else ''}"
        f"{' (cut this reference)' if a.edge.faulty else ''}."
        for a in drawing.arrows
    )


def _style() -> str:
    light = _theme(palette.INK, palette.PAPER, palette.QUIET, palette.FAULT)
    dark = _theme(palette.DARK_INK, palette.DARK_PAPER, palette.DARK_QUIET, palette.DARK_FAULT)
    light += "".join(f".lh-{name or 'plain'}{{fill:{role.fill}}}" for name, role in palette.ROLES.items())
    dark += "".join(f".lh-{name or 'plain'}{{fill:{role.dark_fill}}}" for name, role in palette.ROLES.items())
    fixed = (
        f".lh-graph text{{font:{FONT_SIZE:.0f}px {_FONT};white-space:pre}}"
        ".lh-graph .lh-title{font-weight:bold;font-size:13px}.lh-name:first-of-type,.lh-graph .lh-cut{font-weight:bold}"
        ".lh-line{fill:none;stroke-width:1.2}.lh-line.lh-faulty{stroke-width:4}.lh-graph polygon{stroke-width:1.2}"
        ".lh-graph .lh-holder{stroke-width:3}"
        ".lh-graph a text:last-child{text-decoration:underline}.lh-graph a:focus-visible polygon{stroke-width:4}"
        ".lh-halo{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}"
    )
    return f"{fixed}{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _theme(ink: str, paper: str, quiet: str, fault: str) -> str:
    return (
        f".lh-graph{{background:{paper}}}.lh-paper{{fill:{paper}}}.lh-graph text{{fill:{ink}}}"
        f".lh-graph polygon{{stroke:{ink}}}.lh-line{{stroke:{quiet}}}.lh-graph .lh-tip{{fill:{quiet};stroke:{quiet}}}"
        f".lh-line.lh-faulty{{stroke:{fault}}}.lh-graph .lh-tip.lh-faulty{{fill:{fault};stroke:{fault}}}"
        f".lh-graph .lh-cut{{fill:{fault}}}.lh-graph .lh-halo{{stroke:{paper}}}"
    )


def _numbers(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(at: Point, lines: tuple[str, ...], style: str, anchor: str = "start") -> str:
    """Lines one under the other; `at` is the baseline of the first."""
    spans = (
        f'<text x="{at[0]:.1f}" y="{at[1] + number * LINE_HEIGHT:.1f}" text-anchor="{anchor}" '
        f'class="{style}{" lh-cut" if line == "cut here" else ""}">'
        f'<tspan direction="ltr" unicode-bidi="embed">{escape(line)}</tspan></text>'
        for number, line in enumerate(lines)
    )
    return "".join(spans)


def _box(box: Box, folded: str = "") -> str:
    style = f"lh-{box.node.role if box.node.role in palette.ROLES and box.node.role else 'plain'}"
    behind = [(x + 4, y + 4) for x, y in box.outline()]
    stack = f'<polygon class="{style}" points="{_numbers(behind)}"/>' if box.node.count > 1 else ""
    shape = f'<polygon class="{style}" points="{_numbers(box.outline())}"/>'
    first = box.y - (len(box.lines) - 1) * LINE_HEIGHT / 2 + FONT_SIZE * 0.35
    told = escape(" ".join(filter(None, (words.name(box.node.type, 400), words.name(box.node.detail, 400)))))
    drawn = f"<g><title>{told}</title>{stack}{shape}{_text((box.x, first), box.lines, 'lh-name', 'middle')}</g>"
    return f'<a href="#{folded}{box.node.id}">{drawn}</a>' if folded and box.node.inside else drawn


def _arrow(arrow: Arrow) -> str:
    start, *rest = arrow.curve
    style = " lh-faulty" if arrow.edge.faulty else ""
    path = f"M{_numbers([start])}C{_numbers(rest)}"
    head = f'<polygon class="lh-tip{style}" points="{_numbers(arrow.head())}"/>'
    return f'<path class="lh-line{style}" d="{path}"/>{head}'


def _arrow_label(arrow: Arrow) -> str:
    x, y = arrow.label
    return _text((x, y - (len(arrow.lines) - 1) * LINE_HEIGHT / 2 + FONT_SIZE * 0.35), arrow.lines, "lh-halo", "middle")


def _legend(drawing: Drawing) -> Iterator[str]:
    for box in drawing.legend:
        yield f'<polygon class="lh-{box.node.role}" points="{_numbers(box.outline())}"/>'
        yield _text((box.x + 20, box.y + FONT_SIZE * 0.35), box.lines, "lh-key")
    yield _text((MARGIN, drawing.height - MARGIN - (len(drawing.notes) - 1) * LINE_HEIGHT), drawing.notes, "lh-key")
