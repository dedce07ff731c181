"""What a deep snapshot says of a program, against what the program knows of itself."""

from __future__ import annotations

import textwrap

import pytest

from leakhunt.agent import schema

from .target import PRELUDE, Heap, Target, said

DEL_LINE = PRELUDE.count("\n") + 3


def heap_of(target: Target, source: str) -> tuple[Heap, dict[str, int]]:
    """The snapshot that the program took of itself, and the numbers that it printed by name."""
    ran = target.run(textwrap.dedent(source) + "\nsys.stdout.flush()\nos._exit(0)\n")
    assert ran.processes[0].problems == ""
    return ran.heaps[0], dict(said(ran))


def test_the_engine_asked_for_is_the_one_that_ran(target: Target) -> None:
    heap, _ = heap_of(target, "take()")
    assert heap.meta["engine"] == target.engine


def test_a_row_tells_type_size_length_and_references(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class Order:
            pass
        item, twice = bytearray(300), ["x"]
        order = Order()
        order.lines = lines = [item, twice, twice]
        for name in ("order", "lines", "item", "twice"):
            print(name, id(globals()[name]))
            print(name + ".size", sys.getsizeof(globals()[name]))
        print("refcount", sys.getrefcount(twice) - 1)
        take()
        """,
    )
    assert heap.type_of(seen["order"]) == "__main__.Order"
    assert heap.type_of(seen["lines"]) == "builtins.list"
    assert sorted(t for _, t in heap.references(seen["lines"])) == sorted([seen["item"], *[seen["twice"]] * 2])
    assert heap.has_path(seen["order"], seen["item"])
    row = heap.row_by_address[seen["lines"]]
    assert heap.rows["length"][row] == 3
    assert heap.rows["length"][heap.row_by_address[seen["item"]]] == 300
    assert heap.rows["flags"][row] & schema.OBJECT_TRACKED
    for name in ("order", "lines", "item", "twice"):
        assert heap.rows["size"][heap.row_by_address[seen[name]]] == seen[name + ".size"], name
    assert heap.rows["refcount"][heap.row_by_address[seen["twice"]]] == seen["refcount"]


def test_a_mapping_lists_its_values_then_its_keys_then_the_rest(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class Table(dict):
            pass
        table, value, key, note = Table(), ["value"], ("key",), ["note"]
        table[key], table["text"], table.note = value, value, note
        for name in ("table", "value", "key", "note"):
            print(name, id(globals()[name]))
        take()
        """,
    )
    targets = [t for _, t in heap.references(seen["table"])]
    assert heap.rows["length"][heap.row_by_address[seen["table"]]] == 2
    assert targets[:2] == [seen["value"]] * 2
    assert targets[2] == seen["key"]
    assert heap.type_of(targets[3]) == "builtins.str"
    assert heap.has_path(seen["table"], seen["note"])


def test_what_the_collector_does_not_list_is_seen_by_reference(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class Box:
            pass
        box = Box()
        box.content = content = {"key of atoms": "value of " + "atoms" * len(sys.argv)}
        text, pair = content["key of atoms"], tuple([1.5, "atoms" * 3])
        inner = b"inside" * len(sys.argv)
        nested = [{"a": {"b": inner}}]
        gc.collect()
        for name in ("box", "content", "text", "pair", "inner", "nested"):
            print(name, id(globals()[name]))
        take()
        """,
    )
    for name in ("content", "text", "pair", "inner"):
        assert seen[name] in heap.row_by_address, name
    assert heap.has_path(seen["box"], seen["text"])
    assert heap.has_path(seen["nested"], seen["inner"])


def test_what_is_frozen_is_reached_from_the_roots(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class Registry:
            def __init__(self):
                self.entries = []
        registry = Registry()
        gc.collect()
        gc.freeze()
        for n in range(10):
            registry.entries.append([n])
        print("registry", id(registry))
        print("entries", id(registry.entries))
        print("entry", id(registry.entries[5]))
        take()
        """,
    )
    assert int(heap.meta["gc_frozen"]) > 0
    assert heap.type_of(seen["registry"]) == "__main__.Registry"
    assert heap.has_path(seen["registry"], seen["entry"])
    assert "__main__.Registry" in heap.name_by_address.values()


def test_attributes_are_named(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class Plain:
            def __init__(self):
                self.jar, self._cache = ["jar"], {"cache": []}
        class Slots:
            __slots__ = ("one", "two")
            def __init__(self):
                self.one, self.two = ["one"], ["two"]
        plain, slots, shared = Plain(), Slots(), ["shared"]
        print("plain", id(plain)); print("jar", id(plain.jar)); print("cache", id(plain._cache))
        print("slots", id(slots)); print("two", id(slots.two))
        print("globals", id(globals())); print("shared", id(shared))
        take()
        """,
    )

    def attributes(address: int) -> dict[str, int]:
        """Of an instance, and of its `__dict__` where it has one of its own."""
        found = heap.labelled(address)
        return {**found, **(heap.labelled(found["-__dict__"]) if "-__dict__" in found else {})}

    assert attributes(seen["plain"])[".jar"] == seen["jar"]
    assert attributes(seen["plain"])["._cache"] == seen["cache"]
    assert heap.labelled(seen["slots"])[".two"] == seen["two"]
    assert heap.labelled(seen["globals"])[".shared"] == seen["shared"]


def test_keys_of_the_programs_own_dicts_are_not_stored(target: Target) -> None:
    heap, _ = heap_of(target, 'users = {"secret-key": ["x"], "other": {"deep-secret": [1]}}\ntake()')
    assert not [text for text in heap.snapshot.strings if "secret" in text]


def test_no_dict_is_made_for_an_instance(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class Point:
            def __init__(self, n):
                self.x, self.y = [n], [n]
        points = [Point(n) for n in range(500)]
        def dicts():
            return sum(type(o) is dict for p in points for o in gc.get_referents(p))
        take()
        print("before", dicts())
        take()
        take()
        print("after", dicts())
        """,
    )
    assert seen["before"] == seen["after"] == (500 if target.version in ("3.8", "3.9", "3.10") else 0)
    assert len(heap.of_type("__main__.Point")) == 500


LIARS = """
calls = []
class Meta(type):
    def __eq__(cls, other): calls.append("meta eq"); raise RuntimeError
    def __hash__(cls): calls.append("meta hash"); raise RuntimeError
    def __instancecheck__(cls, other): calls.append("instancecheck"); raise RuntimeError
    def __subclasscheck__(cls, other): calls.append("subclasscheck"); raise RuntimeError
    def __getattribute__(cls, name): calls.append("meta getattribute " + name); raise RuntimeError
    @property
    def __sizeof__(cls): calls.append("meta sizeof"); raise RuntimeError
class Descriptor:
    def __get__(self, instance, owner): calls.append("get"); raise RuntimeError
    def __set__(self, instance, value): raise RuntimeError
def lying(base):
    class Liar(base, metaclass=Meta):
        cached = Descriptor()
        @property
        def __class__(self): calls.append("class"); raise RuntimeError
        @property
        def plain(self): calls.append("property"); raise RuntimeError
        def __repr__(self): calls.append("repr"); raise RuntimeError
        def __len__(self): calls.append("len"); raise RuntimeError
        def __eq__(self, other): calls.append("eq"); raise RuntimeError
        def __hash__(self): calls.append("hash"); raise RuntimeError
        def __getattr__(self, name): calls.append("getattr"); raise RuntimeError
        def __getattribute__(self, name): calls.append("getattribute " + name); raise RuntimeError
        def __sizeof__(self): calls.append("sizeof"); raise RuntimeError
        def __iter__(self): calls.append("iter"); raise RuntimeError
        def __getitem__(self, key): calls.append("getitem"); raise RuntimeError
        def __bool__(self): calls.append("bool"); raise RuntimeError
        def __buffer__(self, flags): calls.append("buffer"); raise RuntimeError
        def __index__(self): calls.append("index"); raise RuntimeError
        def items(self): calls.append("items"); raise RuntimeError
        def values(self): calls.append("values"); raise RuntimeError
        def keys(self): calls.append("keys"); raise RuntimeError
        def encode(self): calls.append("encode"); raise RuntimeError
        def uses(self): return self.plain, self.cached, self.other, self.maxsize
    return Liar
import collections, array, weakref, types, functools
bases = (object, dict, list, tuple, set, frozenset, str, bytes, bytearray, int, collections.deque, collections.OrderedDict,
         array.array, weakref.ref, types.ModuleType, collections.defaultdict, Exception)
makers = {array.array: ("i",), weakref.ref: (lying,), types.ModuleType: ("m",)}
kept = [base.__new__(lying(base), *makers.get(base, ())) for base in bases]
for one in kept:
    if type.__dict__["__mro__"].__get__(type(one))[1] is types.ModuleType:
        types.ModuleType.__init__(one, "m")
count = len(kept)
"""


def test_nothing_of_a_lying_object_is_run(target: Target) -> None:
    source = (
        LIARS
        + "del calls[:]\ntake()\ntake(False)\nfor call in sorted(set(calls)): print(call, 1)\nprint('kept', count)\n"
    )
    heap, seen = heap_of(target, source)
    assert seen.pop("kept") == len(heap.of_type("__main__.lying.<locals>.Liar"))
    assert not seen


def test_the_tables_of_fork_hooks_are_roots(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class Pool:
            def renew(self):
                pass
        pool = Pool()
        os.register_at_fork(after_in_child=pool.renew)
        print("pool", id(pool))
        take()
        """,
    )
    strings = heap.snapshot.strings
    labels = [strings[label] for label in heap.snapshot.column("root.label")]
    tables = [a for a, name in zip(heap._column("root.address"), labels, strict=True) if name.startswith("at-fork")]
    assert len(tables) == 3
    assert sum(heap.has_path(table, seen["pool"]) for table in tables) == 1


def test_locals_of_running_frames_are_named_in_every_thread(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        import _thread
        ready, go = _thread.allocate_lock(), _thread.allocate_lock()
        ready.acquire(); go.acquire()
        def worker():
            backlog = [["pending"]]
            print("backlog", id(backlog))
            ready.release()
            go.acquire()
        def outer():
            session = {"in": ["outer"]}
            print("session", id(session))
            def inner():
                parts = ["inner", session]
                print("parts", id(parts))
                sys.stdout.flush()
                take()
            inner()
        _thread.start_new_thread(worker, ())
        ready.acquire()
        outer()
        """,
    )
    frames = {label: target for a in heap.of_type("builtins.frame") for label, target in heap.references(a) if label}
    assert frames["@backlog"] == seen["backlog"]
    assert frames["@parts"] == seen["parts"]
    assert heap.type_of(frames["@session"]) in ("builtins.dict", "builtins.cell")
    assert not [label for label in frames if label in ("@columns", "@listed", "@yield_gil")], "the agent's own frames"
    snapshot = heap.snapshot
    of = {snapshot.strings[label].split(" (")[0]: snapshot.strings[label] for label in snapshot.column("root.label")}
    assert next(label for name, label in of.items() if name.endswith("inner")).endswith("(MainThread)")
    assert "(thread " in next(label for name, label in of.items() if name.endswith("worker"))


def test_attributes_of_a_thread_local_are_named_and_none_are_made_for_the_agent(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        import _thread
        class Context(_thread._local):
            pass
        ready, go = _thread.allocate_lock(), _thread.allocate_lock()
        ready.acquire(); go.acquire()
        context = Context()
        context.mine = []
        def worker():
            context.theirs = []
            print("theirs", id(context.theirs))
            ready.release()
            go.acquire()
        _thread.start_new_thread(worker, ())
        ready.acquire()
        print("context", id(context))
        print("mine", id(context.mine))
        sys.stdout.flush()
        take()
        """,
    )
    (table,) = [target for label, target in heap.references(seen["context"]) if label == "-__dict__"]
    threads = [target for label, target in heap.references(table) if label == "-__dict__"]
    assert len(threads) == 2
    assert sorted(found for thread in threads for found in heap.references(thread) if found[0]) == [
        (".mine", seen["mine"]),
        (".theirs", seen["theirs"]),
    ]


def test_locals_are_not_kept_alive(any_engine: Target) -> None:
    ran = any_engine.run(
        """
        import weakref
        class Big: pass
        def work():
            big = Big()
            ref = weakref.ref(big)
            count = sys.getrefcount(big)
            take()
            print("surplus", sys.getrefcount(big) - count)
            del big
            print("dead", int(ref() is None))
        work()
        """
    )
    assert dict(said(ran)) == {"surplus": 0, "dead": 1}


def test_attributes_that_only_the_class_names_are_named(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        class State:
            handlers = ()
            pending: list
            @property
            def hidden(self):
                print("ran code of the program 1")
        state = State()
        state.handlers, state.pending = tuple([[1], [2]]), [[3]]
        for name in ("state", "handlers", "pending"):
            print(name, id(state if name == "state" else getattr(state, name)))
        take()
        """,
    )
    labels = heap.labelled(seen["state"])
    if "-__dict__" in labels:  # until 3.10 the attributes are a dict's
        labels = heap.labelled(labels["-__dict__"])
    assert (labels[".handlers"], labels[".pending"]) == (seen["handlers"], seen["pending"])
    assert len(seen) == 3


def test_attributes_that_the_program_gave_an_object_of_another_class_are_named(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        import string
        tool = string.Formatter()
        def serve():
            tool.kept.append([3])
        tool.kept = [[n] for n in range(40)]
        serve()
        print("tool", id(tool)); print("kept", id(tool.kept))
        take()
        """,
    )
    labels = heap.labelled(seen["tool"])
    if "-__dict__" in labels:  # until 3.10 the attributes are a dict's
        labels = heap.labelled(labels["-__dict__"])
    assert labels[".kept"] == seen["kept"]


def test_what_a_cached_property_left_is_named(target: Target) -> None:
    if target.version == "3.13":
        pytest.skip("3.13 shows a collector the values of an instance's __dict__, not the dict: nothing names them")
    heap, seen = heap_of(
        target,
        """
        import functools
        class Tenant:
            @functools.cached_property
            def orders(self):
                print("ran 1")
                return {}
            @functools.cached_property
            def unasked(self):
                print("unasked 1")
        tenant = Tenant()
        print("tenant", id(tenant)); print("orders", id(tenant.orders))
        take()
        """,
    )
    ways = heap.labelled(seen["tenant"])
    if "-__dict__" in ways:
        ways |= heap.labelled(ways["-__dict__"])
    assert ways[".orders"] == seen["orders"]
    assert seen["ran"] == 1 and "unasked" not in seen


def test_variables_of_closures_are_named(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        def subscribe(listeners):
            def notify():
                return listeners
            return notify
        notify = subscribe(["listener"])
        print("notify", id(notify)); print("cell", id(notify.__closure__[0])); print("list", id(notify()))
        take()
        """,
    )
    assert heap.name_by_address[seen["notify"]] == "__main__.subscribe.<locals>.notify"
    assert heap.name_by_address[seen["cell"]] == "~listeners"
    assert heap.has_path(seen["notify"], seen["list"])


def test_defaults_that_can_change_are_named_by_their_parameters(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        def track(user, page=None, history=[], *, limit=3, cache={}):
            pass
        def harmless(page=1, size=(2, 3), *, name="x"):
            pass
        print("track", id(track)); print("harmless", id(harmless))
        print("history", id(track.__defaults__[1])); print("cache", id(track.__kwdefaults__["cache"]))
        take()
        """,
    )
    labels = {label: target for label, target in heap.references(seen["track"]) if label.startswith("-defaults ")}
    found = {
        name: target
        for label, defaults in labels.items()
        for name, (_, target) in zip(label[len("-defaults ") :].split(","), heap.references(defaults), strict=False)
    }
    assert set(found) == {"page", "history", "limit", "cache"}
    assert (found["history"], found["cache"]) == (seen["history"], seen["cache"])
    assert not [label for label, _ in heap.references(seen["harmless"]) if label.startswith("-defaults ")]


def test_bounds_of_caches_are_told(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        import functools, collections
        @functools.lru_cache(maxsize=77)
        def bounded(n): return [n]
        @functools.lru_cache(maxsize=None)
        def unbounded(n): return [n]
        class Cache:
            def __init__(self):
                self.maxsize, self.data = 55, {}
        last, free, cache = collections.deque(maxlen=33), collections.deque(), Cache()
        bounded(1), unbounded(1)
        for name in ("bounded", "unbounded", "last", "free", "cache"):
            print(name, id(globals()[name]))
        take()
        """,
    )
    bounds = heap.bound_by_address
    assert [bounds.get(seen[name]) for name in ("bounded", "last", "cache")] == [77, 33, 55]
    assert [bounds.get(seen[name]) for name in ("unbounded", "free")] == [None, None]


def test_weak_references_are_told_apart(target: Target) -> None:
    heap, seen = heap_of(
        target,
        """
        import weakref
        class Node: pass
        node, gone = Node(), Node()
        ref, dead = weakref.ref(node), weakref.ref(gone)
        del gone
        for name in ("node", "ref", "dead"):
            print(name, id(globals()[name]))
        take()
        """,
    )
    addresses = heap.rows["address"]
    sources, targets = (heap.snapshot.column(f"weak.{n}").tolist() for n in ("source", "target"))
    weak = {addresses[row]: target for row, target in zip(sources, targets, strict=True)}
    assert weak[seen["ref"]] == seen["node"]
    assert weak[seen["dead"]] == 0


def test_a_finalizer_is_placed(target: Target) -> None:
    heap, _ = heap_of(
        target,
        """
        class Cursor:
            def __del__(self):
                pass
        class Sub(Cursor): pass
        kept = [Cursor(), Sub()]
        take()
        """,
    )
    snapshot = heap.snapshot
    for name in ("__main__.Cursor", "__main__.Sub"):
        row = snapshot.type_names.index(name)
        assert snapshot.column("type.flags")[row] & schema.TYPE_HAS_DEL
        assert snapshot.strings[snapshot.column("type.del_file")[row]].endswith("program.py")
        assert snapshot.column("type.del_line")[row] == DEL_LINE


def test_classes_whose_instances_may_have_memory_in_c_are_told_apart(target: Target) -> None:
    heap, _ = heap_of(
        target,
        """
        import collections, ctypes, datetime
        class Header(ctypes.Structure): _fields_ = [("size", ctypes.c_int)]
        class Queue(collections.deque): pass
        class Order: pass
        kept = [Header(), Queue(), Order(), datetime.datetime.now()]
        take()
        """,
    )
    flags = dict(zip(heap.snapshot.type_names, heap.snapshot.column("type.flags").tolist(), strict=True))
    names = ("__main__.Header", "__main__.Queue", "__main__.Order", "datetime.datetime")
    assert [bool(flags[name] & schema.TYPE_EXTENSION) for name in names] == [True, False, False, False]


def test_a_long_chain_needs_no_stack(target: Target) -> None:
    heap, _ = heap_of(
        target,
        """
        chain = ()
        for n in range(60_000):
            chain = (chain, None) if n % 2 else [chain]
        gc.freeze()
        take()
        """,
    )
    assert len(heap.of_type("builtins.tuple")) >= 30_000


@pytest.mark.parametrize("buffer", ["bytearray(5000)", "array.array('d', [0]) * 625", "mmap.mmap(-1, 5000)"])
def test_buffers_tell_their_bytes(target: Target, buffer: str) -> None:
    source = f"import array, mmap\nheld = [{buffer}]\nprint('held', id(held[0]))\ntake()"
    heap, seen = heap_of(target, source)
    assert heap.rows["length"][heap.row_by_address[seen["held"]]] == 5000


@pytest.mark.parametrize("buffer", ["bytearray(5000)", "array.array('d', [0]) * 625"])
def test_a_buffer_in_use_is_left_alone(any_engine: Target, buffer: str) -> None:
    source = f"import array\nheld = {buffer}\nview = memoryview(held)\ntake()\nview.release()\nheld.append(1)\n"
    assert any_engine.run(source).status == 0
