"""The pages of docs/ as a reader follows them: the commands to type, and the programs and runs that they are about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heap import Heap

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
QUESTIONS = re.findall(r"^```sh\n(.*?)```$", (DOCS / "queries.md").read_text(), re.MULTILINE | re.DOTALL)

SHOP = """
import sys, time

class Order: pass
class Cart: pass

ORDERS, CARTS = {}, {}
for round in range(40):
    for number in range(20):
        ORDERS[round, number] = Order()
        if "--new-cart" in sys.argv:
            CARTS[round, number] = Cart()
    time.sleep(0.1)
"""


def commands(page: str) -> Iterator[str]:
    """The lines that a reader types, in order."""
    text = (DOCS / page).read_text()
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        yield from re.findall(r"^\$ (.+)$", block, re.MULTILINE)


def quicker(command: str) -> str:
    """A command of docs/monitoring.md for a program of four seconds, and at a port that is free."""
    return command.replace("leakhunt run", "leakhunt run --interval 0.1").replace("--metrics 9101", "--metrics 0")


def worker(pid: int, gain: int) -> list[Any]:
    heap = Heap(pid=pid)
    orders, texts = heap.list(), [heap.string() for _ in range(30)]
    kind = heap.type("shop.Session", del_at="shop/session.py:7")
    dead = heap.instance(kind.name)
    dead.itself = dead
    heap.module(
        "shop", STORE=heap.instance("shop.Store", orders=orders), TEXTS=heap.list(texts), OPEN=heap.instance(kind.name)
    )
    heap.module("prices", TABLE=heap.list([heap.instance("numpy.ndarray", size=2_000_000)]))
    taken = []
    for _ in range(24):
        orders.extend(heap.instance("shop.Order") for _ in range(gain))
        taken.append(heap.snapshot())
    return taken
