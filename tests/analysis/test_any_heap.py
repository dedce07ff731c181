"""Whatever a program does with its heap, the analysis comes to an end and says something that can be shown."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest
from heap import Heap, Thing

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.heap.chains import chains
from leakhunt.analysis.report import to_findings
from leakhunt.analysis.report.diff import diff
from leakhunt.analysis.rules.detectors import judge

KINDS = ("builtins.object", "shop.Order", "shop.Line", "builtins.method", "_contextvars.Context", "shop.Closing")


class Life:
    """A program that does things at random, and more of them as it goes on."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.heap = Heap(reuse=self.dice.random() < 0.5)
        self.heap.type("shop.Closing", del_at="shop.py:1")
        self.modules = [self.heap.module(f"shop{n}") for n in range(3)]
        self.held: list[Thing] = list(self.modules)
        self.made = 0

    def step(self, k: int) -> dict[str, object]:
        if self.dice.random() < 0.2:
            self.heap.collect()
        living = self.heap.sweep()
        self.held = [thing for thing in self.held if thing in living][-200:] + self.modules
        for _ in range(self.dice.randrange(60)):
            self.dice.choice(self.DOINGS)(self)
        resident = 10**7 + self.made * self.dice.randrange(10**5)
        return {"gc_enabled": self.dice.randrange(2), "rss_anonymous_bytes": resident}

    def new(self) -> Thing:
        dice, heap = self.dice, self.heap
        self.made += 1
        made = dice.choice([
            lambda: heap.instance(dice.choice(KINDS), separate_dict=dice.random() < 0.3),
            heap.list, heap.dict, heap.deque, heap.string, heap.tuple,
            lambda: heap.lru_cache(dice.choice([None, 5])),
            lambda: heap.bytearray(dice.randrange(1000)),
            lambda: heap.weakref(dice.choice(self.held)),
            lambda: heap.class_(f"shop.Made{self.made}"),
            lambda: heap.function("shop.f", closure={"x": dice.choice(self.held)}),
            lambda: heap.coroutine("shop.c", x=dice.choice(self.held)),
        ])()  # fmt: skip
        self.held.append(made)
        return made

    def hang(self) -> None:
        self.put(self.dice.choice(self.held), self.new())

    def tie(self) -> None:
        self.put(self.dice.choice(self.held), self.dice.choice(self.held))

    def put(self, owner: Thing, item: Thing) -> None:
        if hasattr(type(owner), "add"):
            owner.add(item)
        elif hasattr(type(owner), "call"):
            owner.call([item], item)
        elif item is not owner._namespace:
            setattr(owner, f"a{self.dice.randrange(5)}", item)

    def clear(self) -> None:
        owner = self.dice.choice(self.held)
        if hasattr(type(owner), "clear"):
            owner.clear()

    def take_by_c(self) -> None:
        self.heap.hold_by_c(self.new())

    def enter(self) -> None:
        self.heap.frame("shop.run", x=self.dice.choice(self.held))

    def leave(self) -> None:
        frames = [thing for thing, kind, _ in self.heap._roots if kind == "frame"]
        if frames:
            self.heap.leave(self.dice.choice(frames))

    def throw_away(self) -> None:
        self.heap.garbage.append(self.new())

    DOINGS = (hang, hang, hang, hang, tie, tie, clear, take_by_c, enter, leave, throw_away)


@pytest.mark.parametrize("seed", range(8))
def test_any_life_can_be_judged_and_told(seed: int) -> None:
    life = Life(seed)
    snapshots = life.heap.live(life.step, moments=9, deep=lambda k: life.dice.random() < 0.8)
    evidence = Evidence(snapshots)
    for verdict in judge(evidence):
        finding = to_findings.finding(evidence, verdict, 1)
        assert 0.0 <= finding.confidence <= 1.0
        assert finding.reason
        assert json.dumps(dataclasses.asdict(finding))
    deep = [snapshot for snapshot in snapshots if snapshot.is_deep]
    for name in {name for name in deep[-1].type_names if deep[-1].census.get(name, (0, 0))[0]}:
        assert chains(evidence.graph, name, 2)
    assert diff([snapshots[0], snapshots[-1]]).rows
