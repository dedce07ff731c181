"""What the view is made of: a table of what grows that is updated in place, and a page of text over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.coordinate import Coordinate
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from .rows import SPARK_POINTS, Row
from .scene import NAME_MAX, Scene
from .why import Why

# Columns of figures and their widths; fixed, so that nothing jumps when a figure gets longer.
COLUMNS = {"growth": SPARK_POINTS, "now": 9, "since start": 11, "since mark": 10, "per min": 9}


class GrowthTable(DataTable[Text]):
    """Rows by rank. The cursor stays with what it is on, and at the top with whatever is there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "what keeps it alive"),
        Binding("tab", "app.focus_next", "other table"),
    ]

    def __init__(self, what: str, id: str) -> None:
        super().__init__(id=id, cursor_type="row")
        self._shown: list[Row] = []
        self.add_column(Text(what), key=what, width=NAME_MAX)
        for name, width in COLUMNS.items():
            self.add_column(Text(name, justify="left" if name == "growth" else "right"), key=name, width=width)

    @property
    def selected(self) -> Row | None:
        """What the cursor is on."""
        return self._shown[self.cursor_row] if 0 <= self.cursor_row < len(self._shown) else None

    def show(self, scene: Scene, rows: Sequence[Row]) -> None:
        """Put these rows in the place of those before; only cells that differ are drawn again."""
        before = self.selected
        self._fit(len(rows))
        for number, row in enumerate(rows):
            for column, cell in enumerate(scene.cells(row)):
                self._put(Coordinate(number, column), cell)
        self._shown = list(rows)
        places = [number for number, row in enumerate(rows) if before is not None and row.key == before.key]
        if places and self.cursor_row > 0:
            self.move_cursor(row=places[0], scroll=False)

    def _fit(self, length: int) -> None:
        """Have so many rows."""
        while self.row_count < length:
            self.add_row(*([Text()] * (1 + len(COLUMNS))), key=str(self.row_count))
        while self.row_count > length:
            self.remove_row(str(self.row_count - 1))

    def _put(self, place: Coordinate, cell: str) -> None:
        if self.get_cell_at(place).plain != cell:
            text = Text(cell, justify="right" if place.column > 1 else "left", no_wrap=True)
            self.update_cell_at(place, text)


class WhyPage(ModalScreen[None]):
    """What keeps something alive; says that it is being looked for until `show` is called."""

    CSS = """
    WhyPage { align: center middle; }
    #page { width: 96%; height: 90%; border: round $accent; background: $surface; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "back", "back", key_display="esc")]

    def __init__(self, what: str) -> None:
        super().__init__()
        self._looking = Static(Text(f"Looking for what keeps {what} alive …"))
        self._box = VerticalScroll(self._looking, id="page")

    def compose(self) -> ComposeResult:
        yield self._box
        yield Footer()

    def action_back(self) -> None:
        """Close the page, once: a second key may come before it is gone."""
        if self.is_current:
            self.dismiss()

    def show(self, found: Why) -> None:
        """The answer, in a widget of its own: one that is filled anew kept its size in older versions of textual."""
        text = Text(f"{found.title}\n\n", style="bold")
        text.append(found.text.rstrip("\n"), style="not bold")
        if found.hint:
            text.append(f"\n\n{found.hint}", style="dim not bold")
        if self._box.is_attached:
            self._looking.display = False
            self._box.mount(Static(text))
