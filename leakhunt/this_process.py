"""The running interpreter: its real objects by objgraph, its heap by guppy3, one small vocabulary over both.

    from leakhunt import this_process
    this_process.growth()            # classes that have more instances than at the last call
    live.top()               # the heap by class
    live.chain(obj)          # what keeps it alive

Each result prints as text, displays as HTML in a notebook and turns into a data frame; `pin` keeps a snapshot of the
moment, to compare with later or from outside.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from leakhunt.display import Chains, Graph, Page, Table
from leakhunt.errors import UsageError
from leakhunt.findings import Chain, Edge, Link, Node, RefGraph
from leakhunt.recorder import SnapshotRecorder
from leakhunt.snapshot import Snapshot

Predicate = Callable[[Any], bool]

_peaks: dict[str, int] = {}


def growth(limit: int = 25) -> Table:
    """Classes of which more instances live than at any call before (by objgraph); the first call lists them all."""
    import objgraph

    gc.collect()
    rows = objgraph.growth(limit=limit, peak_stats=_peaks, shortnames=False)
    return Table("Growth since the last call", ("class", "instances", "change"), tuple(rows))


def top(limit: int = 25) -> Table:
    """The heap by class, by guppy3: with exact sizes of extension types, a class's dicts named apart from dict."""
    return _partition("The heap by class", _heap(), "byclodo", "class", limit)


def sizes(what: Any = None, limit: int = 25) -> Table:
    """How many objects there are of each size, by guppy3: of the heap, of a class, or of a list of objects."""
    chosen = _heap() if what is None else _set_of(what)
    return _partition(f"{_title(what)} by size of the single object", chosen, "bysize", "size in bytes", limit)


def by_referrers(what: Any, limit: int = 25) -> Table:
    """Instances of a class (or given objects) by the classes that refer to them, by guppy3."""
    return _partition(f"{_title(what)} by who refers to them", _set_of(what), "byrcs", "referrers", limit)


def size_of(*objects: Any) -> Table:
    """Exact bytes of each object, by guppy3, and of all that would go with it."""
    heap = _guppy()
    rows = []
    for item in objects:
        alone = heap.iso(item)
        rows.append((_class_name(type(item)), int(alone.size), int(alone.domisize)))
    return Table("Exact sizes", ("class", "bytes", "retained bytes"), tuple(rows))


def chain(item: Any, predicate: Predicate | None = None, depth: int = 20) -> Chains:
    """The shortest chain of references that keeps `item` alive, by objgraph.

    Args:
        predicate: tells where the chain begins; a module of the program by default.
        depth: longest chain that is looked for.
    """
    import objgraph

    gc.collect()
    asked = _shielded(predicate or objgraph.is_proper_module)
    found = objgraph.find_backref_chain(item, asked, max_depth=depth, extra_ignore=(id(sys._getframe()),))
    title = f"What keeps this {_class_name(type(item))} alive"
    if not asked(found[0]):
        return Chains(f"{title}: no chain of up to {depth} references begins where you asked", ())
    return Chains(title, (_chain_of(found),))


def backrefs(what: Any, depth: int = 4, width: int = 6) -> Graph:
    """Who refers to an object, to several, or to instances of a class, level by level; the first `width` of each."""
    targets = _objects(what)
    if not targets:
        raise UsageError(f"There is no live object of class {_title(what)}.")
    gc.collect()
    sketch = _Backrefs(targets, depth, width)
    more = f" (the first {width} of {len(targets):,})" if len(targets) > width else ""
    return Graph(RefGraph(f"Who refers to {_title(what)}{more}", *sketch.drawn()))


class Look:
    """One object, the instances of a class, or a list of objects, seen by objgraph, by guppy3 and by leakhunt.

    It keeps what it looks at alive, as any variable does.
    """

    def __init__(self, what: Any) -> None:
        self.what = what

    def chain(self, predicate: Predicate | None = None, depth: int = 20) -> Chains:
        """What keeps it alive, by objgraph: of several, the first."""
        return chain(self._objects()[0], predicate, depth)

    def backrefs(self, depth: int = 4, width: int = 6) -> Graph:
        """Who refers to it; `.explore()` of the graph is to look around in."""
        return backrefs(self._objects(), depth, width)

    def sizes(self, limit: int = 25) -> Table:
        """How many objects there are of each size, by guppy3."""
        return sizes(self._objects(), limit)

    def size_of(self) -> Table:
        """Exact bytes of each, and of all that would go with it, by guppy3."""
        return size_of(*self._objects())

    def by_referrers(self, limit: int = 25) -> Table:
        """By the classes that refer to them, by guppy3."""
        return by_referrers(self._objects(), limit)

    def guppy(self) -> Any:
        """guppy3's own set of the objects, with all its views: `.byrcs`, `.rp`, `.theone`, …"""
        return _set_of(self._objects())

    def objgraph(self, max_depth: int = 3, **options: Any) -> Any:
        """objgraph's own picture of who refers to them (`objgraph.show_backrefs`); needs the program dot."""
        import objgraph

        return objgraph.show_backrefs(self._objects(), max_depth=max_depth, **options)

    def __repr__(self) -> str:
        return f"<look at {_title(self.what)}: {len(self._objects()):,} objects>"

    def _objects(self) -> list[Any]:
        found = _objects(self.what)
        if not found:
            raise UsageError(f"There is no live object of class {_title(self.what)}.")
        return found


def look(what: Any) -> Look:
    """The views of objgraph, guppy3 and leakhunt on one object, on instances of a class, or on a list of objects."""
    return Look(what)


def treemap() -> Page:
    """What keeps the memory of this interpreter, to look around in."""
    from leakhunt.notebook import HeapView

    return HeapView(pin()).treemap()


def pin(result: object = None, collect: bool = True) -> Snapshot:
    """A snapshot of this interpreter at this moment; its file goes when the interpreter ends.

    Args:
        result: what was just looked at; the snapshot keeps it as text, in `meta["note"]`.
        collect: let the collector run before; without it, garbage that waits is in the snapshot.
    """
    return Snapshot.load(_pins().take(collect=collect, note="" if result is None else repr(result)))


@functools.cache
def _pins() -> SnapshotRecorder:
    return SnapshotRecorder()


# guppy3


def _guppy() -> Any:
    """A session of guppy3 for one look: it keeps the sets that it made, and with them the objects looked at."""
    from guppy import hpy

    return hpy()


def _heap() -> Any:
    gc.collect()
    return _guppy().heap()


def _partition(title: str, chosen: Any, by: str, name: str, limit: int) -> Table:
    """A partition of guppy3's as a table; its rows beyond `limit` are counted in the note."""
    stat = getattr(chosen, by).stat
    rows = tuple(
        (int(row.name) if by == "bysize" else row.name, int(row.count), int(row.size))
        for row in itertools.islice(stat.get_rows(), limit)
    )
    note = f"+ {stat.numrows - len(rows):,} more rows (limit= shows them)" if stat.numrows > len(rows) else ""
    return Table(f"{title}: {chosen.count:,} objects", (name, "objects", "bytes"), rows, note, limit)


def _set_of(what: Any) -> Any:
    objects = _objects(what)
    if not objects:
        raise UsageError(f"There is no live object of class {_title(what)}.")
    return _guppy().iso(*objects)


# objgraph and the collector


def _objects(what: Any) -> list[Any]:
    """Instances of a class or of a class's name, items of a list, or the object itself.

    Instances that the collector does not list are found where a listed container refers to them.
    """
    if isinstance(what, list):
        return what
    if isinstance(what, str):
        import objgraph

        return list(objgraph.by_type(what.removeprefix("builtins.")))
    if not isinstance(what, type):
        return [what]
    listed = gc.get_objects()
    found = [item for item in listed if type(item) is what]
    if not found and not what.__flags__ & 1 << 14:  # Py_TPFLAGS_HAVE_GC: else the collector lists none of them
        held = {id(item): item for item in gc.get_referents(*listed) if type(item) is what}
        found = list(held.values())
    return found


def _title(what: Any) -> str:
    if what is None:
        return "The heap"
    if isinstance(what, str):
        return what
    if isinstance(what, list):
        return f"{len(what):,} objects"
    return _class_name(what if isinstance(what, type) else type(what))


def _class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _shielded(predicate: Predicate) -> Predicate:
    """The predicate, saying no where it raises: it is asked about objects that nobody expected."""

    def asked(item: Any) -> bool:
        try:
            return bool(predicate(item))
        except Exception:
            return False

    return asked


def _chain_of(objects: Sequence[Any]) -> Chain:
    first = objects[0]
    name = f"module {first.__name__}" if inspect.ismodule(first) else _class_name(type(first))
    links = [Link("root", name, _class_name(type(first)))]
    for source, target in itertools.pairwise(objects):
        if not _is_namespace(source, target):
            label = _label(source, target)
            kind = "attribute" if label.startswith(".") else "item" if label.startswith("[") else "internal"
            links.append(Link(kind, label, _class_name(type(target)), _finalizer(type(target))))
    return Chain(tuple(links))


def _is_namespace(source: Any, target: Any) -> bool:
    """Whether `target` is the `__dict__` or the closure of `source`: the step after it has the name."""
    if type(target) is tuple:
        return inspect.isfunction(source) and source.__closure__ is target
    return type(target) is dict and getattr(source, "__dict__", None) is target


def _label(source: Any, target: Any) -> str:
    """How `source` refers to `target`, as it reads in source; "" where that can't be told."""
    if isinstance(source, dict):
        is_namespace = "__builtins__" in source or any(_is_namespace(s, source) for s in gc.get_referrers(source))
        for key, value in list(source.items()):
            if value is target:
                return f".{key}" if is_namespace and isinstance(key, str) else f"[{_short(key)}]"
        return "[key]" if any(key is target for key in list(source)) else ""
    if isinstance(source, list | tuple):
        return next((f"[{number}]" for number, value in enumerate(source) if value is target), "")
    if inspect.isframe(source):
        return next((f"<local {name}>" for name, value in source.f_locals.items() if value is target), "")
    if inspect.isfunction(source) and source.__closure__:
        pairs = zip(source.__code__.co_freevars, source.__closure__, strict=False)
        return next((f"<variable {name}>" for name, cell in pairs if cell is target), "")
    return next((f".{name}" for name, value in _attributes(source) if value is target), "")


def _attributes(item: Any) -> Iterator[tuple[str, Any]]:
    """An object's own attributes, in its `__dict__` and in slots; no code of the object's runs."""
    with contextlib.suppress(AttributeError, TypeError):
        yield from list(object.__getattribute__(item, "__dict__").items())
    for kind in type(item).__mro__:
        for name, slot in vars(kind).items():
            if inspect.ismemberdescriptor(slot):
                try:
                    yield name, slot.__get__(item)
                except AttributeError:
                    continue


def _finalizer(kind: type) -> str | None:
    function = inspect.getattr_static(kind, "__del__", None)
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else None


def _short(key: Any) -> str:
    if isinstance(key, str | bytes | int | float | bool | None):
        text = repr(key)
        return text if len(text) <= 24 else f"{text[:20]}…"
    return _class_name(type(key))


class _Backrefs:
    """A graph of referrers, breadth first. What this module makes on the way is not in it."""

    def __init__(self, targets: Sequence[Any], depth: int, width: int) -> None:
        self._nodes: dict[int, Node] = {}
        self._edges: dict[tuple[int, int], Edge] = {}
        layer = list(targets[:width])
        self._own = {id(self), id(self._nodes), id(self._edges), id(self.__dict__), id(targets), id(layer)}
        for item in layer:
            self._box(item, "leaked")
        for _ in range(depth):
            self._own.add(id(layer))
            layer = self._level(layer, width)

    def drawn(self) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
        return tuple(self._nodes.values()), tuple(self._edges.values())

    def _level(self, layer: list[Any], width: int) -> list[Any]:
        following: list[Any] = []
        self._own.update((id(following), id(sys._getframe()), id(sys._getframe(1)), id(sys._getframe(2))))
        for item in layer:
            if inspect.ismodule(item):
                continue
            referrers = gc.get_referrers(item)
            self._own.add(id(referrers))
            chosen = [r for r in referrers if id(r) not in self._own and not _is_own_frame(r)]
            self._own.add(id(chosen))
            for referrer in chosen[:width]:
                if id(referrer) not in self._nodes:
                    following.append(referrer)
                self._link(referrer, item)
        return following

    def _box(self, item: Any, role: str = "") -> int:
        if id(item) not in self._nodes:
            detail = item.__name__ if inspect.ismodule(item) else ""
            role = role or ("root" if detail else "finalizer" if _finalizer(type(item)) else "")
            node = Node(len(self._nodes), _class_name(type(item)), 1, sys.getsizeof(item, 0), role, detail)
            self._nodes[id(item)] = node
        return self._nodes[id(item)].id

    def _link(self, source: Any, target: Any) -> None:
        label = "" if _is_namespace(source, target) else _label(source, target)
        edge = Edge(self._box(source), self._box(target), label)
        self._edges[edge.source, edge.target] = edge


def _is_own_frame(item: Any) -> bool:
    return inspect.isframe(item) and item.f_globals.get("__name__") == __name__
