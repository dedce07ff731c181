"""What a notebook shows: tables, pictures and chains that print as text, display as HTML, and turn into data frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table as Grid
from rich.text import Text

from leakhunt.errors import LeakhuntError
from leakhunt.findings import Chain, RefGraph
from leakhunt.render import console as pages
from leakhunt.render import units, words
from leakhunt.render.trees import chain_trees

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


def _filled(template: str, **values: object) -> str:
    """A cell's HTML, from the same templates as the report's; they are loaded when a notebook asks for it."""
    from leakhunt.render.html_pages import fill

    return fill(template, **values)


@dataclass(frozen=True)
class Table:
    """Rows under columns. Numbers in a column whose name ends in "bytes" are sizes; a "change" keeps its sign."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    limit: int = 25

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        page = pages.Page(False, 100)
        page.print(Text(self.title, style="bold"))
        if self.rows:
            grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
            for number, name in enumerate(self.columns):
                grid.add_column(name, justify="right" if self._is_number(number) else "left", overflow="fold")
            for row in self.rows[: self.limit]:
                grid.add_row(*(Text(cell) for cell in self._words(row)))
            page.print(grid)
        for line in self._footer():
            page.print(Text(line))
        return page.text().rstrip("\n")

    def _repr_html_(self) -> str:
        return _filled(
            "cell_table.html.j2",
            title=self.title,
            columns=[(name, self._side(number)) for number, name in enumerate(self.columns)],
            rows=[self._words(row) for row in self.rows[: self.limit]],
            footer=self._footer(),
        )

    def to_pandas(self) -> DataFrame:
        """All rows as a data frame, numbers as numbers.

        Raises:
            LeakhuntError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise LeakhuntError("A data frame needs pandas, which is not installed.", "pip install pandas") from None
        return pandas.DataFrame(list(self.rows), columns=list(self.columns))

    def _footer(self) -> list[str]:
        hidden = len(self.rows) - self.limit
        lines = [f"+ {units.plural(hidden, 'more row')} (.to_pandas() has them all)"] if hidden > 0 else []
        return [*lines, self.note] if self.note else lines if self.rows else ["Nothing."]

    def _is_number(self, column: int) -> bool:
        return bool(self.rows) and all(isinstance(row[column], int | float) for row in self.rows)

    def _side(self, column: int) -> str:
        return "right" if self._is_number(column) else "left"

    def _words(self, row: Sequence[Any]) -> list[str]:
        return [self._cell(name, value) for name, value in zip(self.columns, row, strict=True)]

    def _cell(self, name: str, value: Any) -> str:
        if value is None:
            return "?"
        if not isinstance(value, int | float):
            return words.name(str(value))
        text = units.size(value) if name.endswith("bytes") else units.count(value)
        return units.plus(text) if name.startswith("change") else text


@dataclass(frozen=True)
class Chains:
    """Retaining chains, drawn as trees from the root down."""

    title: str
    chains: tuple[Chain, ...]

    def __len__(self) -> int:
        return len(self.chains)

    def __repr__(self) -> str:
        return f"{words.sentence(self.title)}\n{chain_trees(self.chains)}".rstrip("\n")

    def _repr_html_(self) -> str:
        return _filled("cell_chains.html.j2", title=self.title, trees=chain_trees(self.chains))

    def to_pandas(self) -> DataFrame:
        """One row for each step of each chain."""
        rows = tuple(
            (number, depth, link.kind, link.label, link.type, link.finalizer or "")
            for number, chain in enumerate(self.chains, 1)
            for depth, link in enumerate(chain.links)
        )
        return Table(self.title, ("chain", "depth", "kind", "label", "class", "__del__ at"), rows).to_pandas()


@dataclass(frozen=True)
class Page:
    """A page of its own inside the notebook: scripts and styles are in it and stay in it, and nothing is fetched."""

    html: str
    words: str
    height: int = 560

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        style = f"width:100%;height:{self.height}px;border:1px solid rgba(128,128,128,.35)"
        return f'<iframe title="leakhunt" srcdoc="{escape(self.html, quote=True)}" style="{style}"></iframe>'

    def save(self, path: str) -> None:
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(self.html)


@dataclass(frozen=True)
class Graph:
    """A reference graph, shown as a picture where that is possible; `save` writes .svg, .png, .dot or .html."""

    graph: RefGraph

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return f"<div style='overflow:auto'>{self.draw('svg').decode()}</div>"

    def explore(self) -> Page:
        """The graph to look around in: it zooms, and boxes that stand for several objects are told below."""
        return Page(self.draw("html").decode(), repr(self._table()))

    def draw(self, format: str = "svg") -> bytes:
        from leakhunt.render.graph import draw

        return draw(self.graph, format)

    def save(self, path: str) -> None:
        data = self.draw(path.rpartition(".")[2].lower())
        with open(path, "wb") as file:
            file.write(data)

    def to_pandas(self) -> DataFrame:
        """One row for each reference."""
        return self._table().to_pandas()

    def _table(self) -> Table:
        types = {node.id: node.type for node in self.graph.nodes}
        rows = tuple((types[e.source], e.label, types[e.target], e.count) for e in self.graph.edges)
        return Table(self.graph.title, ("holder", "by", "held", "references"), rows)


def bars(table: Table, name: str, length: str) -> Figure:
    """A figure of one number of a table's first rows, a bar for each."""
    from matplotlib.figure import Figure

    from leakhunt.render import palette

    rows = table.rows[:15][::-1]
    names = [words.short_type(str(row[table.columns.index(name)])) for row in rows]
    values = [float(row[table.columns.index(length)]) for row in rows]
    figure = Figure(figsize=(9, 0.6 + 0.3 * max(4, len(rows))), facecolor=palette.PAPER, layout="constrained")
    axes = figure.add_subplot()
    axes.barh(names, values, color=palette.LINES[0])
    axes.xaxis.set_major_formatter(
        lambda value, _: units.size(value) if length.endswith("bytes") else units.count(value)
    )
    axes.set_title(words.sentence(table.title), loc="left", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
