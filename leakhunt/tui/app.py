"""The view itself, in textual: two tables that refresh, and a page for what keeps something alive."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static

from leakhunt.render import words

from .follow import WatchedRun
from .rows import Row
from .scene import Choice, Scene, scene
from .why import Why, why
from .widgets import GrowthTable, WhyPage

LOOK_SECONDS = 0.5
PAGE_MARGIN = 12  # columns beside the text of the page of chains

# Brings what a measured process wrote into the run folder; whether the process has ended.
Fetch = Callable[[], bool]


class LiveView(App[None]):
    """Follows a run until its user quits; `problem` is what ended it instead, None otherwise."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #lines { height: auto; padding: 0 1; }
    GrowthTable { height: 1fr; border: round $primary; }
    GrowthTable:focus { border: round $accent; }
    #classes { height: 2fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "mark", "set mark"),
        Binding("b", "unit", "objects/bytes"),
        Binding("p", "process", "next process"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", priority=True, show=False),
    ]

    def __init__(self, run: WatchedRun, fetch: Fetch = lambda: False, pid: int = 0) -> None:
        """`pid` is the process to show first, where the run has it."""
        super().__init__()
        self.problem: Exception | None = None
        self._run, self._fetch = run, fetch
        self._choice, self._is_over = Choice(run.number_of(pid)), False
        self._reading = threading.Lock()  # the run is read, and graphs are made, in threads beside the view
        self._is_due = asyncio.Event()
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._is_left = False

    def compose(self) -> ComposeResult:
        self._lines = Static(id="lines")
        self._class_table = GrowthTable("class", id="classes")
        self._holder_table = GrowthTable("holder", id="holders")
        self._holder_table.border_title = "Containers that grow, in items"
        yield from (self._lines, self._class_table, self._holder_table, Footer())

    def on_mount(self) -> None:
        self._own_loop = asyncio.get_running_loop()
        if self._is_left:
            self.exit()
        self.run_worker(self._follow(), exit_on_error=False)

    def leave(self) -> None:
        """Quit, from a signal handler; a view that has not begun quits when it has."""
        self._is_left = True
        if self._own_loop is not None:
            self._own_loop.call_soon_threadsafe(self.exit)

    def action_mark(self) -> None:
        self._run.set_mark()
        self._is_due.set()

    def action_unit(self) -> None:
        self._choice = replace(self._choice, in_bytes=not self._choice.in_bytes)
        self._is_due.set()

    def action_process(self) -> None:
        self._choice = replace(self._choice, process=self._choice.process + 1)
        self._is_due.set()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The key for the next process is there where there is more than one."""
        return action != "process" or len(self._run.processes) > 1

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        table = event.data_table
        if isinstance(table, GrowthTable) and (row := table.selected) is not None:
            page = WhyPage(words.name(row.name or row.type))
            opened = self.push_screen(page)  # at once: the next key is the page's
            self.run_worker(self._explain(row, page, opened), exit_on_error=False)

    async def _follow(self) -> None:
        """Look at the run again and again; a key that changes what is shown wakes it."""
        with self._told_of():
            while True:
                self._is_due.clear()
                self._show(await asyncio.to_thread(self._look))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_due.wait(), LOOK_SECONDS)

    async def _explain(self, row: Row, page: WhyPage, opened: Awaitable[None]) -> None:
        """Fill the page when the answer is found, unless it was closed meanwhile."""
        with self._told_of():
            await opened
            found = await asyncio.to_thread(self._why, row)
            page.show(found)

    @contextlib.contextmanager
    def _told_of(self) -> Iterator[None]:
        """What nobody foresaw ends the view, and is told by who started it: no traceback over the screen."""
        try:
            yield
        except Exception as problem:
            self.problem = problem
            self.exit()

    def _look(self) -> Scene:
        with self._reading:
            self._is_over = self._is_over or self._fetch()
            self._run.refresh()
            return scene(self._run, self._choice, time.time(), self._is_over)

    def _why(self, row: Row) -> Why:
        with self._reading:
            process = self._run.process(self._choice.process)
            return why(self._run, process, row, self.size.width - PAGE_MARGIN)

    def _show(self, seen: Scene) -> None:
        self._lines.update(Text("\n".join(seen.lines)))
        self._class_table.border_title = f"Classes that grow, in {'bytes' if seen.in_bytes else 'objects'}"
        self._class_table.show(seen, seen.classes)
        self._holder_table.show(seen, seen.holders)
        self.refresh_bindings()
