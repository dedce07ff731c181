"""Pages that need nothing but a browser: templates, styles and scripts put into one file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from leakhunt.findings import RefGraph
from leakhunt.render import treemap, units, words
from leakhunt.render.layout import Drawing, lay_out
from leakhunt.render.svg import svg

_FOLDER = Path(__file__).parent / "templates"


def fill(template: str, **values: object) -> str:
    """The template with its values; every string is escaped unless it is `Markup`."""
    return environment().get_template(template).render(**values)


def inline_svg(drawing: Drawing, folded: str) -> Markup:
    """A picture to stand inside a page; `svg` escapes what came from the target, and says what `folded` is."""
    return Markup(svg(drawing, folded))


def graph_page(graph: RefGraph) -> str:
    """One graph that zooms, with its references as a table below."""
    drawing = lay_out(graph)
    names = {node.id: node for node in graph.nodes}
    picture = inline_svg(drawing, "folded-")
    return fill("graph.html.j2", title=drawing.title, picture=picture, edges=graph.edges, nodes=names)


@cache
def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "name": words.name,
        "sentence": words.sentence,
        "short_type": words.short_type,
        "count": units.count,
        "size": units.size,
        "plus": units.plus,
        "per_minute": units.per_minute,
        "size_per_minute": units.size_per_minute,
        "duration": units.duration,
    }
    made.globals |= {"file": _inlined}
    made.globals |= {f.__name__: f for f in (treemap.facts, treemap.told_of, treemap.rank_of, treemap.leads_to_finding)}
    return made


def _inlined(name: str) -> Markup:
    """A style sheet or script of ours, as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))
