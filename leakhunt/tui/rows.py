"""The rows that the view shows: what grows most, since the start and since the mark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .history import Bools, Containers, Floats, History, Ints, Moment

SPARK_POINTS = 16
ROWS_MAX = 50
CONTAINERS_MAX = 300  # the most grown; each has to be looked up in a graph for its name

# What a container is called in source, from its address and class; "" as long as no graph tells.
OwnerOf = Callable[[int, str], str]


@dataclass(frozen=True)
class Row:
    """Something that grows: a class, in objects or bytes, or a holder, in items.

    `since_mark` is None without a mark; `series` is for a spark line. A holder's `name` is "" as long as no graph tells
    it; `type` and `address` are those of its largest container. A class has the address 0.
    """

    name: str
    type: str
    now: int
    since_start: int
    since_mark: int | None
    series: tuple[int, ...]
    address: int = 0

    @property
    def key(self) -> str:
        """The same for the same thing at the next look."""
        return self.name or f"{self.type} {self.address:x}"

    @property
    def rank(self) -> tuple[int, int]:
        """Larger for what grows more: since the mark where there is one, and before it."""
        return self.since_mark or 0, self.since_start


def growing_classes(history: History, in_bytes: bool = False, limit: int = ROWS_MAX) -> list[Row]:
    """The classes that grew most, by number of objects or by shallow bytes; none that did not grow."""
    if not history.moments:
        return []

    def of(moment: Moment) -> Ints:
        values = moment.sizes if in_bytes else moment.counts
        return np.pad(values, (0, len(history.classes) - len(values)))

    now, start = of(history.last), of(history.first)
    marked = of(history.mark) if history.mark is not None else now
    numbers = _most_grown(now - marked, now - start, limit, history.is_builtin)
    curves = np.array([of(moment)[numbers] for moment in history.spread(SPARK_POINTS)])
    return [
        Row(
            name=history.classes[number],
            type=history.classes[number],
            now=int(now[number]),
            since_start=int(now[number] - start[number]),
            since_mark=int(now[number] - marked[number]) if history.mark is not None else None,
            series=tuple(curves[:, place].tolist()),
        )
        for place, number in enumerate(numbers.tolist())
    ]


def _most_grown(since_mark: Ints, since_start: Ints, limit: int, less_telling: Bools | None = None) -> Ints:
    """Positions of what grew since either, the most grown since the mark first and then since the start."""
    grown = np.flatnonzero((since_mark > 0) | (since_start > 0))
    ties = np.zeros(len(grown)) if less_telling is None else less_telling[grown]
    order = np.lexsort((ties, -since_start[grown], -since_mark[grown]))
    return grown[order[:limit]]


def growing_holders(history: History, owner_of: OwnerOf, limit: int = ROWS_MAX) -> list[Row]:
    """The holders whose containers grew most; containers of one name are one holder.

    Containers of fewer than 32 items are in no census, so a holder of very many small ones is not seen here.
    """
    if not history.moments:
        return []
    groups: dict[str | int, list[Row]] = defaultdict(list)
    for row in _growing_containers(history):
        groups[owner_of(row.address, row.type) or row.address].append(row)
    rows = [_together(owner if isinstance(owner, str) else "", rows) for owner, rows in groups.items()]
    return sorted(rows, key=lambda row: row.rank, reverse=True)[:limit]


def _growing_containers(history: History) -> Iterator[Row]:
    now, begun = history.last.containers, history.beginnings
    since_start = since_mark = now.lengths - begun.lengths
    if history.mark is not None:
        since_mark = now.lengths - _lengths_at(history.mark, now, begun.since, begun.lengths)
    numbers = _most_grown(since_mark, since_start, CONTAINERS_MAX)
    picked, since, nothing = now.pick(numbers), begun.since[numbers], np.zeros_like(numbers)
    curves = np.array([_lengths_at(moment, picked, since, nothing) for moment in history.spread(SPARK_POINTS)])
    for place, number in enumerate(numbers.tolist()):
        yield Row(
            name="",
            type=history.classes[picked.kinds[place]],
            now=int(picked.lengths[place]),
            since_start=int(since_start[number]),
            since_mark=int(since_mark[number]) if history.mark is not None else None,
            series=tuple(curves[:, place].tolist()),
            address=int(picked.addresses[place]),
        )


def _lengths_at(moment: Moment, containers: Containers, since: Floats, otherwise: Ints) -> Ints:
    """Items that each of `containers` had at a moment, `otherwise` where it was not there yet."""
    then = moment.containers
    rows = then.find(containers)
    there = (rows >= 0) & (since <= moment.seconds)
    lengths = otherwise.copy()
    lengths[there] = then.lengths[rows[there]]
    return lengths


def _together(name: str, rows: list[Row]) -> Row:
    """One holder of several containers, added up."""
    largest = max(rows, key=lambda row: row.now)
    marked = [row.since_mark for row in rows if row.since_mark is not None]
    return Row(
        name=name,
        type=largest.type,
        now=sum(row.now for row in rows),
        since_start=sum(row.since_start for row in rows),
        since_mark=sum(marked) if marked else None,
        series=tuple(map(sum, zip(*(row.series for row in rows), strict=True))),
        address=largest.address,
    )
