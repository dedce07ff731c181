"""A shop whose orders pile up, in a run folder that is written while it is watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heap import Heap, save

from leakhunt import runfolder
from leakhunt.agent import schema

ORDER = "shop.Order"
HOLDER = "shop.Store.orders"


def empty_run(path: Path, deep: str = "auto") -> Path:
    """A run that has begun, and in which no process reported in yet."""
    return runfolder.create(path, ["python", "shop.py"], {"interval": 5.0, "deep": deep})


class Shop:
    """One process of a run: module shop -> STORE -> Store .orders -> list -> Order."""

    def __init__(self, run: Path, pid: int = 4711, orders: int = 40) -> None:
        self.run, self.place = run, run / f"pid-{pid}.0"
        self.heap = Heap(pid=pid)
        self.orders = self.heap.list()
        self.heap.class_("shop.Store", "/app/shop.py", 3)
        self.heap.module("shop", "/app/shop.py", STORE=self.heap.instance("shop.Store", orders=self.orders))
        self.order(orders)
        self.place.mkdir()
        self._say(pid=pid, command=f"python shop.py {pid}", started=1.7e9 + pid, python="3.11.7")

    def _say(self, **told: Any) -> None:
        (self.place / "process").write_bytes(schema.lines(told))

    def order(self, number: int) -> None:
        self.orders.extend(self.heap.instance(ORDER) for _ in range(number))

    def write(self, deep: bool = False, **figures: Any) -> Path:
        """The next snapshot of the agent."""
        number = len(list(self.place.glob("*.leak"))) + 1
        return save(self.heap.snapshot(deep=deep, **figures), self.place / f"{number:06d}.leak")

    def serve(self, moments: int = 1, batch: int = 10, deep: bool = False) -> None:
        """As many snapshots, before each of which `batch` more orders came in."""
        for _ in range(moments):
            self.order(batch)
            self.write(deep)
