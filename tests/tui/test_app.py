"""The view under textual's pilot: keys do what the footer says, and what is on the screen is what the model says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from html import unescape
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from leakhunt.tui.app import LiveView
from leakhunt.tui.follow import WatchedRun

from .shop import HOLDER, ORDER, Shop, empty_run

WAIT_SECONDS = 20.0
Story = Callable[["Watcher"], Awaitable[None]]


class Watcher:
    """Somebody at the keys, and what they see."""

    def __init__(self, app: LiveView, pilot: Pilot[None]) -> None:
        self.app, self.pilot, self.press = app, pilot, pilot.press

    def screen(self) -> str:
        """All text on the screen, line by line."""
        rows: dict[str, str] = {}
        for line, text in re.findall(r"line-(\d+)\)\">([^<]*)</text>", self.app.export_screenshot()):
            rows[line] = rows.get(line, "") + unescape(text).replace("\xa0", " ")
        return "\n".join(rows.values())

    async def sees(self, *texts: str) -> None:
        """Wait until all of these stand on the screen."""
        for _ in range(int(WAIT_SECONDS / 0.05)):
            if all(text in self.screen() for text in texts):
                return
            await self.pilot.pause(0.05)
        raise AssertionError(f"not on the screen: {texts}\n{self.screen()}")

    def column(self, number: int, table: str = "classes") -> list[str]:
        found = self.app.query_one(f"#{table}", DataTable)
        return [found.get_row_at(row)[number].plain for row in range(found.row_count)]


def watch(run: Path, story: Story, fetch: Callable[[], bool] = lambda: False, width: int = 120) -> LiveView:
    """Open the view on a run, live through the story, and quit."""
    app = LiveView(WatchedRun(run), fetch)

    async def played() -> None:
        async with app.run_test(size=(width, 36)) as pilot:
            await story(Watcher(app, pilot))

    asyncio.run(played())
    return app


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return empty_run(tmp_path / "run")


def test_what_grows_is_shown_and_goes_on_growing(run: Path) -> None:
    shop = Shop(run)
    shop.serve(3, deep=True)

    async def story(watcher: Watcher) -> None:
        await watcher.sees("process 4711", "RSS 60 MB", "3 snapshots", "Classes that grow, in objects", ORDER, HOLDER)
        assert watcher.column(2) == ["70"]
        shop.serve(2)
        await watcher.sees("5 snapshots")
        assert (watcher.column(2), watcher.column(3), watcher.column(2, "holders")) == (["90"], ["+40"], ["90"])

    watch(run, story)


def test_a_run_that_has_not_begun_fills_when_it_does(run: Path) -> None:
    async def story(watcher: Watcher) -> None:
        await watcher.sees("Waiting for the first snapshot")
        Shop(run).serve(2)
        await watcher.sees(ORDER)

    watch(run, story)


def test_the_mark_is_what_later_growth_is_counted_from(run: Path) -> None:
    shop = Shop(run)
    shop.serve(3)

    async def story(watcher: Watcher) -> None:
        await watcher.sees(ORDER)
        assert watcher.column(4) == [""]
        await watcher.press("m")
        await watcher.sees("mark set at 15 s")
        assert watcher.column(4) == ["0"]
        shop.serve(1, batch=7)
        await watcher.sees("4 snapshots")
        assert watcher.column(4) == watcher.column(4, "holders") == ["+7"]

    watch(run, story)


def test_bytes_and_objects_take_turns(run: Path) -> None:
    Shop(run).serve(3, batch=1000)

    async def story(watcher: Watcher) -> None:
        await watcher.sees("Classes that grow, in objects", "+2,000")
        await watcher.press("b")
        await watcher.sees("Classes that grow, in bytes", "+128 kB")
        await watcher.press("b")
        await watcher.sees("Classes that grow, in objects")

    watch(run, story)


def test_enter_shows_what_keeps_a_class_alive_and_escape_goes_back(run: Path) -> None:
    Shop(run).serve(3, deep=True)

    async def story(watcher: Watcher) -> None:
        await watcher.sees(ORDER)
        await watcher.press("enter")
        await watcher.sees("What keeps shop.Order alive", "└── .STORE  shop.Store", "leakhunt backrefs")
        await watcher.press("escape")
        await watcher.sees("Classes that grow")
        await watcher.press("tab", "enter")
        await watcher.sees(f"What keeps {HOLDER} alive", "└── .orders  list")
        await watcher.press("q")
        await watcher.sees("Containers that grow")  # q on the page goes back, too

    watch(run, story)


def test_hasty_keys_open_one_page_and_close_it(run: Path) -> None:
    Shop(run).serve(3, deep=True)

    async def story(watcher: Watcher) -> None:
        await watcher.sees(ORDER)
        for _ in range(3):
            table = watcher.app.query_one("#classes", DataTable)
            table.action_select_cursor()
            await watcher.press("escape", "escape", "enter", "q", "b", "b")
        await watcher.sees("Classes that grow, in objects")
        assert len(watcher.app.screen_stack) == 1

    assert watch(run, story).problem is None


def test_without_a_graph_enter_says_so(run: Path) -> None:
    Shop(run).serve(3)

    async def story(watcher: Watcher) -> None:
        await watcher.sees(ORDER)
        await watcher.press("enter")
        await watcher.sees("No chain can be shown yet")

    watch(run, story)


def test_the_cursor_stays_with_what_it_is_on_when_ranks_change(run: Path) -> None:
    shop = Shop(run)
    shop.write()
    for number, name in enumerate(("shop.A", "shop.B", "shop.C")):
        shop.orders.extend(shop.heap.instance(name) for _ in range(30 - number))
    shop.write()

    async def story(watcher: Watcher) -> None:
        await watcher.sees("shop.C")
        await watcher.press("down")
        shop.orders.extend(shop.heap.instance("shop.C") for _ in range(50))
        shop.write()
        await watcher.sees("3 snapshots")
        assert watcher.column(0) == ["shop.C", "shop.A", "shop.B"]
        assert watcher.app.query_one("#classes", DataTable).cursor_row == 2

    watch(run, story)


def test_rows_go_when_nothing_grows_any_more(run: Path) -> None:
    shop = Shop(run)
    shop.serve(3)

    async def story(watcher: Watcher) -> None:
        await watcher.sees(ORDER)
        del shop.orders._content[:]
        shop.write()
        await watcher.sees("4 snapshots")
        assert watcher.column(0) == watcher.column(0, "holders") == []
        await watcher.press("enter")  # on nothing: nothing happens
        await watcher.sees("Classes that grow")

    watch(run, story)


def test_the_key_for_the_next_process_is_there_when_there_is_one(run: Path) -> None:
    Shop(run, 4711).serve(2)

    async def story(watcher: Watcher) -> None:
        await watcher.sees("process 4711")
        assert "next process" not in watcher.screen()
        Shop(run, 4712).serve(2)
        await watcher.sees("next process", "(1 of 2)")
        await watcher.press("p")
        await watcher.sees("process 4712 (2 of 2)")

    watch(run, story)


def test_when_the_program_ends_the_view_says_so_and_stays(run: Path) -> None:
    Shop(run).serve(3)
    over: list[bool] = []

    async def story(watcher: Watcher) -> None:
        await watcher.sees(ORDER)
        over.append(True)
        await watcher.sees("the program has ended", ORDER)

    assert watch(run, story, lambda: bool(over)).problem is None


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_a_key_quits(key: str, run: Path) -> None:
    async def story(watcher: Watcher) -> None:
        await watcher.press(key)
        await watcher.pilot.pause()
        assert not watcher.app.is_running

    app = watch(run, story)
    assert (app.problem, app.return_code) == (None, 0)


def test_a_signal_quits(run: Path) -> None:
    async def story(watcher: Watcher) -> None:
        watcher.app.leave()
        await watcher.pilot.pause(0.2)
        assert not watcher.app.is_running

    watch(run, story)


def test_a_signal_before_the_view_has_begun_quits_it_when_it_has(run: Path) -> None:
    app = LiveView(WatchedRun(run))
    app.leave()
    app.run(headless=True)
    assert (app.problem, app.return_code) == (None, 0)


def test_what_nobody_foresaw_ends_the_view_and_is_kept_for_who_started_it(run: Path) -> None:
    def broken() -> bool:
        raise ZeroDivisionError("nobody foresaw this")

    async def story(watcher: Watcher) -> None:
        for _ in range(100):
            await watcher.pilot.pause(0.05)
            if not watcher.app.is_running:
                return

    assert isinstance(watch(run, story, broken).problem, ZeroDivisionError)


def test_a_narrow_terminal_shows_the_beginning_of_each_line(run: Path) -> None:
    Shop(run).serve(3)

    async def story(watcher: Watcher) -> None:
        await watcher.sees("process 4711", ORDER, "since start")

    watch(run, story, width=60)
