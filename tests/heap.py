"""Heaps for tests, built by hand: `Heap` gives snapshots of objects that never lived.

    heap = Heap()
    orders = heap.list()
    shop = heap.module("shop", STORE=heap.instance("shop.Store", orders=orders))
    before = heap.snapshot()
    orders.append(heap.instance("shop.Order"))
    after = heap.snapshot()

Attributes of instances, modules, classes and frames are set and deleted as in Python; `list`, `dict`, `deque` and the
like take items. An object lives while another one, a root or C code (`hold_by_c`) refers to it: it is gone at the first
snapshot after that, and a cycle stays until `heap.collect()`. `save` makes a `.leak` file of a
snapshot by the agent's own writer, `run_folder` a run of many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import heap_rows
from heap_rows import run_folder, save

from leakhunt.snapshot import Snapshot

__all__ = ["Heap", "Thing", "run_folder", "save"]

FIRST_ADDRESS = 0x7F00_0000_0000
SIZES = {"builtins.list": 56, "builtins.dict": 64, "builtins.str": 60, "builtins.bytes": 100, "builtins.type": 1000}
SIZE, ITEM_SIZE = 48, 8
UNTRACKED = frozenset(f"builtins.{name}" for name in ("str", "bytes", "bytearray", "int", "float", "NoneType"))
MADE_IN_C = ("builtins.", "collections.", "functools.", "weakref.", "_contextvars.", "itertools.")


@dataclass(eq=False)
class Type:
    """A row of the type table; `del_at` is "file:line" of its `__del__`."""

    name: str
    del_at: str = ""
    file: str = ""
    is_class: bool = False
    flags: int = 0
    address: int = 0

    @property
    def is_heap(self) -> bool:
        return not self.name.startswith(MADE_IN_C)


class Thing:
    """An object of the heap: its attributes are the program's but those in OWN, which the tests' machinery keeps."""

    OWN = frozenset((
        "_heap", "_kind", "_size", "_address", "_attributes", "_others", "_held_by_c", "_finalized", "_bound", "_name",
        "_namespace", "_weak", "_tracked", "_content", "_table", "_calls", "_link_type",
    ))  # fmt: skip
    _label = "."

    def __init__(self, heap: Heap, kind: Type, size: int | None = None) -> None:
        self._heap, self._kind, self._size = heap, kind, SIZES.get(kind.name, SIZE) if size is None else size
        self._address, self._held_by_c, self._finalized = 0, 0, False
        self._tracked = kind.name not in UNTRACKED
        self._attributes: dict[str, Thing] = {}
        self._others: list[tuple[Thing, str]] = []  # referents with a label of their own
        self._namespace: Thing | None = None  # a separate __dict__
        self._weak: Thing | None = None
        self._bound: int | None = None
        self._name: tuple[str, str, int] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.OWN:
            self.__dict__[name] = value
        else:
            self._attributes[name] = self._heap.thing(value)

    def __getattr__(self, name: str) -> Thing:
        try:
            return self.__dict__["_attributes"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __delattr__(self, name: str) -> None:
        del self._attributes[name]

    def _length(self) -> int | None:
        return None

    def _items(self) -> Iterable[Thing]:
        return ()

    def _references(self) -> Iterator[tuple[Thing, str]]:
        """(referent, label) in the order in which the walker meets them."""
        for item in self._items():
            yield item, ""
        for item, label in self._others:
            yield item, label
        if self._namespace is None:
            for name, value in self._attributes.items():
                yield value, self._label + name
        else:
            yield self._namespace, "-__dict__"

    def _bytes(self) -> int:
        return int(self._size + ITEM_SIZE * (self._length() or 0))


class Frame(Thing):
    """A running function: its attributes are its locals."""

    _label = "@"


class Namespace(Thing):
    """The `__dict__` of a module, class or instance, whose attributes it lists by name."""

    def _length(self) -> int:
        return len(self._attributes)


class Sequence(Thing):
    """A list, tuple, set or deque; what passes `maxlen` falls out at the other end."""

    def __init__(self, heap: Heap, kind: Type, items: Iterable[Any] = (), maxlen: int | None = None) -> None:
        super().__init__(heap, kind)
        self._content: list[Thing] = []
        self._bound = maxlen
        self.extend(items)

    def append(self, item: Any) -> None:
        self._content.append(self._heap.thing(item))
        if self._bound is not None and len(self._content) > self._bound:
            del self._content[0]

    add = append

    def extend(self, items: Iterable[Any]) -> None:
        for item in items:
            self.append(item)

    def pop(self, index: int = -1) -> Thing:
        return self._content.pop(index)

    def pop_oldest(self) -> None:
        del self._content[0]

    def sort(self, key: Callable[[Thing], Any]) -> None:
        self._content.sort(key=key)

    def clear(self) -> None:
        self._content.clear()

    def __len__(self) -> int:
        return len(self._content)

    def __getitem__(self, index: int) -> Thing:
        return self._content[index]

    def _length(self) -> int:
        return len(self._content)

    def _items(self) -> Iterable[Thing]:
        return self._content


class Mapping_(Thing):
    """A dict. Keys are objects of the heap, or plain values, for which it makes one string each."""

    def __init__(self, heap: Heap, kind: Type) -> None:
        super().__init__(heap, kind)
        self._content: dict[Any, tuple[Thing, Thing]] = {}

    def __setitem__(self, key: Any, value: Any) -> None:
        found = self._content.get(key)
        of_key = found[0] if found else key if isinstance(key, Thing) else self._heap.string()
        self._content[key] = of_key, self._heap.thing(value)

    def __getitem__(self, key: Any) -> Thing:
        return self._content[key][1]

    def __delitem__(self, key: Any) -> None:
        del self._content[key]

    def __len__(self) -> int:
        return len(self._content)

    def add(self, value: Any) -> None:
        """`value` under a key that was never used before."""
        self[self._heap.string()] = value

    def pop_oldest(self) -> None:
        del self._content[next(iter(self._content))]

    def clear(self) -> None:
        self._content.clear()

    def _length(self) -> int:
        return len(self._content)

    def _items(self) -> Iterable[Thing]:
        yield from (value for _, value in self._content.values())
        yield from (key for key, _ in self._content.values())


class Buffer(Thing):
    """A bytearray; `grow` makes it longer where it is."""

    def grow(self, size: int) -> None:
        self._size += size

    def _length(self) -> int:
        return self._size

    def _bytes(self) -> int:
        return self._size


class LruCache(Thing):
    """What `functools.lru_cache` makes: with a bound it refers to key, result and link type of each entry (3.10+),
    and to a dict from keys to links, which the collector does not list; without one to a dict from keys to results."""

    def __init__(self, heap: Heap, kind: Type, maxsize: int | None) -> None:
        super().__init__(heap, kind)
        self._bound, self._table = maxsize, heap.dict()
        self._link_type = heap.instance("builtins.type")
        self._others = [(self._table, ""), (self._link_type, "")]
        self._calls: dict[Any, tuple[Thing, Thing, Thing]] = {}

    def call(self, arguments: Any, result: Any) -> None:
        """A call with `arguments`: one object is the key itself, several are wrapped in a tuple."""
        key = arguments if isinstance(arguments, Thing) else self._heap.tuple(arguments)
        link = self._heap.instance("functools._lru_list_elem")
        link._tracked = False
        self._table[key] = result if self._bound is None else link
        if self._bound is not None:
            self._calls[key] = key, self._heap.thing(result), self._link_type
            if len(self._calls) > self._bound:
                del self._calls[next(iter(self._calls))]
                self._table.pop_oldest()

    def _items(self) -> Iterable[Thing]:
        return [thing for call in self._calls.values() for thing in call]


class Heap:
    """A program's heap over time. With `reuse`, a freed address is the next one given to an object of its size."""

    def __init__(self, reuse: bool = False, **meta: Any) -> None:
        self._types: list[Type] = []
        self._type_by_name: dict[str, Type] = {}
        self._things: list[Thing] = []
        self._roots: list[tuple[Thing, str, str]] = []
        self._free: dict[int, list[int]] = {}
        self._next, self._reuse = FIRST_ADDRESS, reuse
        self._sequence, self._elapsed = 0, 0.0
        self.meta: dict[str, Any] = {"pid": 4711, "python": "3.11.7", "interval": 5.0, **meta}
        self.modules = self.root(self.dict(), "interpreter", "sys.modules")
        self.garbage = self.root(self.list(), "gc.garbage", "gc.garbage")

    # Making objects

    def type(self, name: str, del_at: str = "", file: str = "", is_class: bool = False, flags: int = 0) -> Type:
        """The type of that name, with what is said of it the first time that something is. `flags`: TYPE_* bits."""
        kind = self._type_by_name.get(name)
        if kind is None:
            kind = Type(name, is_class=is_class or name == "builtins.type", address=self._new_address(0))
            self._type_by_name[name] = kind
            self._types.append(kind)
        kind.del_at, kind.file = del_at or kind.del_at, file or kind.file
        kind.flags |= flags
        return kind

    def redefine(self, name: str) -> Type:
        """The class of that name is made anew: another class, and what is made from now on is of it."""
        del self._type_by_name[name]
        return self.type(name)

    def instance(self, kind: str, *, size: int | None = None, separate_dict: bool = False, **attributes: Any) -> Thing:
        """An object with attributes; inline as from 3.11 on, or in a `__dict__` that is an object of its own."""
        made = self._made(Thing(self, self.type(kind), size))
        if separate_dict:
            made._namespace = self._namespace()
            made._attributes = made._namespace._attributes
        for name, value in attributes.items():
            setattr(made, name, value)
        return made

    def thread_local(self, kind: str = "_thread._local", **attributes: Any) -> Thing:
        """What `threading.local` makes, with the attributes that one thread gave it."""
        made, by_thread, of_thread = self.instance(kind), self._namespace(), self._namespace()
        made._others = [(by_thread, "-__dict__")]
        by_thread._others = [(of_thread, "-__dict__")]
        for name, value in attributes.items():
            setattr(of_thread, name, value)
        return made

    def thing(self, value: Any) -> Thing:
        """`value` as an object of the heap: plain values become one of their class."""
        if isinstance(value, Thing):
            return value
        return self.instance(f"builtins.{type(value).__name__}", size=getattr(value, "__sizeof__", lambda: SIZE)())

    def string(self, size: int = 60) -> Thing:
        return self.instance("builtins.str", size=size)

    def bytes(self, size: int) -> Thing:
        return self.instance("builtins.bytes", size=size)

    def list(self, items: Iterable[Any] = (), kind: str = "builtins.list") -> Sequence:
        return self._made(Sequence(self, self.type(kind), items))

    def tuple(self, items: Iterable[Any] = ()) -> Sequence:
        return self.list(items, "builtins.tuple")

    def deque(self, maxlen: int | None = None) -> Sequence:
        return self._made(Sequence(self, self.type("collections.deque"), maxlen=maxlen))

    def dict(self, items: Mapping[Any, Any] | None = None, kind: str = "builtins.dict") -> Mapping_:
        made = self._made(Mapping_(self, self.type(kind)))
        for key, value in (items or {}).items():
            made[key] = value
        return made

    def lru_cache(self, maxsize: int | None) -> LruCache:
        return self._made(LruCache(self, self.type("functools._lru_cache_wrapper"), maxsize))

    def bytearray(self, size: int) -> Buffer:
        return self._made(Buffer(self, self.type("builtins.bytearray"), size))

    def weakref(self, referent: Thing) -> Thing:
        made = self.instance("weakref.ReferenceType")
        made._weak = referent
        return made

    def class_(self, name: str, file: str = "", line: int = 0, **attributes: Any) -> Thing:
        """A class object with its namespace; instances of that name refer to it from now on."""
        made = self.instance("builtins.type", separate_dict=True, **attributes)
        made._name = (name, file, line)
        self.type(name, file=file).address = made._address
        return made

    def function(
        self,
        name: str,
        file: str = "",
        line: int = 0,
        closure: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Thing:
        made = self.instance("builtins.function")
        made._name = (name, file, line)
        cells = []
        for variable, content in (closure or {}).items():
            cell = self.instance("builtins.cell")
            cell._name = ("~" + variable, "", 0)
            cell._others = [(self.thing(content), "")]
            cells.append(cell)
        if cells:
            made._others.append((self.tuple(cells), ""))
        if defaults:
            made._others.append((self.tuple(defaults.values()), "-defaults " + ",".join(defaults)))
        return made

    def coroutine(self, name: str, file: str = "", line: int = 0, **local_variables: Any) -> Thing:
        """A suspended coroutine: the walker finds its locals in it, without their names."""
        made = self.instance("builtins.coroutine")
        made._name = (name, file, line)
        made._others = [(self.thing(value), "") for value in local_variables.values()]
        return made

    # Roots and what C code does

    def root(self, thing: Any, kind: str, label: str) -> Any:
        self._roots.append((thing, kind, label))
        return thing

    def module(self, name: str, file: str = "", **attributes: Any) -> Thing:
        made = self.instance("builtins.module", separate_dict=True, **attributes)
        made._name = (name, file, 0)
        self.modules[name] = made
        return self.root(made, "module", name)

    def frame(self, function: str, thread: str = "MainThread", /, **local_variables: Any) -> Thing:
        made = self._made(Frame(self, self.type("builtins.frame")))
        for name, value in local_variables.items():
            setattr(made, name, value)
        return self.root(made, "frame", f"{function} ({thread})")

    def leave(self, frame: Thing) -> None:
        """The function returns."""
        self._roots = [root for root in self._roots if root[0] is not frame]

    def refer(self, thing: Thing, *others: Thing) -> None:
        """`thing` refers to `others`, and to nothing else without a name."""
        thing._others = [(other, "") for other in others]

    def hold_by_c(self, thing: Thing, count: int = 1) -> Thing:
        """C code takes references to `thing`; a negative count gives them back."""
        thing._held_by_c += count
        return thing

    def finalize(self, thing: Thing) -> Thing:
        """The finalizer of `thing` has run."""
        thing._finalized = True
        return thing

    def bound(self, thing: Thing, limit: int) -> Thing:
        """`thing` declares that it takes at most `limit` items."""
        thing._bound = limit
        return thing

    # Time

    def collect(self) -> None:
        """The collector runs: cycles that no root and no C code holds are gone."""
        pending = [root for root, _, _ in self._roots] + [thing for thing in self._things if thing._held_by_c > 0]
        kept: set[Thing] = set()
        while pending:
            thing = pending.pop()
            if thing not in kept:
                kept.add(thing)
                pending.extend(referent for referent, _ in thing._references())
        self._drop(kept)

    def sweep(self) -> dict[Thing, int]:
        """What nothing refers to is gone; gives the number of references to everything else."""
        counts = {thing: thing._held_by_c for thing in self._things}
        for root, kind, _ in self._roots:
            counts[root] += kind != "module"
        for thing in self._things:
            for referent, _ in thing._references():
                counts[referent] += 1
        dead = [thing for thing, count in counts.items() if not count]
        for thing in dead:
            for referent, _ in thing._references():
                counts[referent] -= 1
                if not counts[referent]:
                    dead.append(referent)
        self._drop(counts.keys() - set(dead))
        return {thing: counts[thing] for thing in self._things}

    def snapshot(
        self, elapsed: float | None = None, deep: bool = True, indexed: bool = False, **figures: Any
    ) -> Snapshot:
        """The heap at this moment; an interval after the last one where `elapsed` does not say otherwise.

        Args:
            indexed: write `reference.index`, as the C walker does, rather than addresses.
            figures: of the ledger, or anything else that stands in `meta`.
        """
        counts = self.sweep()
        self._sequence += 1
        self._elapsed = self._elapsed + float(self.meta["interval"]) if elapsed is None else elapsed
        moment = {"sequence": self._sequence, "elapsed": self._elapsed, "time": 1.7e9 + self._elapsed}
        meta = {**moment, **self.meta, **figures}
        return heap_rows.snapshot(meta, self._types, counts, self._roots, deep, indexed)

    def live(
        self,
        step: Callable[[int], Mapping[str, Any] | None],
        moments: int = 12,
        deep: Callable[[int], bool] | None = None,
    ) -> list[Snapshot]:
        """A snapshot after each of `moments` calls of `step`, an interval apart.

        `step(k)` does what the program does meanwhile and may give figures of the ledger; all snapshots are deep unless
        `deep(k)` says otherwise.
        """
        found = []
        for k in range(moments):
            figures = step(k) or {}
            found.append(self.snapshot(deep=deep is None or deep(k), **figures))
        return found

    def _made(self, thing: Any) -> Any:
        thing._address = self._new_address(thing._size)
        self._things.append(thing)
        return thing

    def _namespace(self) -> Thing:
        return self._made(Namespace(self, self.type("builtins.dict")))

    def _new_address(self, size: int) -> int:
        if self._reuse and self._free.get(size):
            return self._free[size].pop()
        self._next += 64
        return self._next

    def _drop(self, kept: Any) -> None:
        for thing in self._things:
            if thing not in kept:
                self._free.setdefault(thing._size, []).append(thing._address)
        self._things = [thing for thing in self._things if thing in kept]
