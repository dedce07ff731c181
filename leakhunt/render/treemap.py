"""A treemap that stands inside a page: as wide as the page, its text as large as the page's, its colours the page's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

import squarify
from markupsafe import Markup

from leakhunt.findings import Finding, Retained
from leakhunt.render import units, words

_HEADER, _GAP, _CHARACTER, _LINE = 19.0, 3.0, 6.2, 15
_LEAST = 0.001  # of the box around it: less is no rectangle any more


@dataclass(frozen=True)
class Shape:
    """Of the whole picture: `width` is what the layout is made for (the page stretches it), `height` is kept."""

    style: str
    width: float
    height: float


WIDE, NARROW = Shape("wide", 1100, 440), Shape("narrow", 350, 620)


@dataclass(frozen=True)
class Tile:
    """A box at its place, `depth` levels inside the outermost; `inside` says whether boxes are drawn on it."""

    box: Retained
    depth: int
    x: float
    y: float
    width: float
    height: float
    inside: bool = False


def tiles(box: Retained, x: float, y: float, width: float, height: float, depth: int = 0) -> Iterator[Tile]:
    """The boxes in `box`, each before those on it; their areas are to each other as their sizes, but for headers."""
    parts = sorted(box.inside, key=lambda part: -part.size_bytes)
    own = box.size_bytes - sum(part.size_bytes for part in parts)
    shown = [part for part in parts if part.size_bytes > _LEAST * box.size_bytes]
    # What the object takes itself stays free, at the end.
    sizes = [part.size_bytes for part in shown] + [own] * (own > _LEAST * box.size_bytes)
    areas = squarify.normalize_sizes(sizes, width, height) if shown else []
    for part, at in zip(shown, squarify.squarify(areas, x, y, width, height), strict=False):
        left, top, wide, high = at["x"], at["y"], at["dx"] - _GAP, at["dy"] - _GAP
        room = wide - 2 * _GAP, high - _HEADER - _GAP
        has_room = bool(part.inside) and room[0] > 40 and room[1] > 14
        yield Tile(part, depth, left, top, max(wide, 1), max(high, 1), has_room)
        if has_room:
            yield from tiles(part, left + _GAP + 1, top + _HEADER, *room, depth + 1)


def svg(whole: Retained, shape: Shape, ranks: Mapping[str, int]) -> Markup:
    """The picture; `ranks` are the numbers of findings by the names that boxes of theirs have."""
    drawn = (_tile(tile, shape, whole, ranks) for tile in tiles(whole, 0, 0, shape.width, shape.height))
    told = f"Treemap of {units.size(whole.size_bytes)}; the list below says the same."
    size = f'width="100%" height="{shape.height:.0f}" role="img" aria-label="{told}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="treemap {shape.style}" {size}>'
    return Markup(f"{head}{''.join(drawn)}</svg>")


def _tile(tile: Tile, shape: Shape, whole: Retained, ranks: Mapping[str, int]) -> str:
    """A picture in the picture, for that cuts off what is too long; across in percent, down in pixels."""
    rank = rank_of(tile.box, ranks)
    style = f"depth{tile.depth % 2}" + (" accused" if rank else "")
    across = f'x="{tile.x / shape.width:.2%}" width="{tile.width / shape.width:.2%}"'
    place = f'{across} y="{tile.y:.1f}" height="{tile.height:.1f}"'
    text = "".join(
        f'<text x="5" y="{_LINE * number - 1}">{escape(line)}</text>'
        for number, line in enumerate(_lines(tile, rank), 1)
    )
    told = escape(f"{f'Finding {rank}: ' if rank else ''}{told_of(tile.box)}, {facts(tile.box, whole)}")
    return f'<svg {place} class="{style}"><title>{told}</title><rect width="100%" height="100%"/>{text}</svg>'


def _lines(tile: Tile, rank: int) -> list[str]:
    """What fits on a tile: its name, and its size below or, where boxes are drawn on it, behind."""
    box, room = tile.box, int((tile.width - 8) / _CHARACTER)
    if room < 4 or tile.height < _LINE:
        return []
    name = (f"{rank}▸ " if rank else "") + (_fitting(box.name or box.type, room) if box.type else told_of(box))
    many = f"×{units.count(box.count)} · " if box.count > 1 and box.type else ""
    rest = many + units.size(box.size_bytes)
    return [f"{name} · {rest}"] if tile.inside or tile.height < 2 * _LINE else [name, rest]


def _fitting(dotted: str, room: int) -> str:
    """As many of the last parts of a name as fit, at least one: the picture cuts off what is too long."""
    parts = words.name(dotted).removeprefix("builtins.").split(".")
    return next((name for n in range(len(parts)) if len(name := ".".join(parts[n:])) <= room), parts[-1])


def told_of(box: Retained) -> str:
    """
    >>> told_of(Retained("shop.CACHE", "builtins.dict", 9)), told_of(Retained("", "shop.Order", 9, 1200))
    ('shop.CACHE (dict)', 'shop.Order ×1,200')
    >>> told_of(Retained("", "", 9, 4212))
    '+ 4,212 more'
    """
    if not box.type:
        return f"+ {units.count(box.count)} more"
    kind = words.short_type(box.type, 80)
    named = f"{words.name(box.name)}{' and elsewhere' if box.shared else ''} ({kind})" if box.name else kind
    return f"{named} ×{units.count(box.count)}" if box.count > 1 else named


def facts(box: Retained, whole: Retained) -> str:
    """
    >>> facts(Retained("", "", 2_000), Retained("", "", 8_000))
    '2.0 kB, 25%'
    """
    share = box.size_bytes / whole.size_bytes if whole.size_bytes else 0.0
    return f"{units.size(box.size_bytes)}, {units.percent(share)}"


def rank_of(box: Retained, ranks: Mapping[str, int]) -> int:
    """The number of the finding that a box belongs to, 0 for none."""
    return ranks.get(box.name, 0) or (0 if box.name else ranks.get(box.type, 0))


def ranks_by_name(findings: tuple[Finding, ...], pid: int) -> dict[str, int]:
    """Number of the first finding of a process by the names that its boxes may have: class, holder and aliases."""
    found: dict[str, int] = {}
    for finding in findings:
        if finding.pids and pid not in finding.pids:
            continue
        names = (finding.holder.owner, *finding.holder.aliases) if finding.holder else ()
        is_common = finding.type.startswith("builtins.")  # all strings of a program are not the leak
        for name in (*names, *(() if is_common else (finding.type,))):
            found.setdefault(name, finding.rank)
    return found


def leads_to_finding(box: Retained, ranks: Mapping[str, int]) -> bool:
    """Whether a box inside, however deep, belongs to a finding."""
    return any(rank_of(inner, ranks) or leads_to_finding(inner, ranks) for inner in box.inside)
