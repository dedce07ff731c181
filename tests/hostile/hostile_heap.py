"""A heap in which everything that could run code of the program tells when it does. Python 3.8 syntax, run in a target.

`plant(seed)` makes the objects and gives what keeps them alive; `listen()` clears what was heard while they were made;
`heard()` is {hook: calls} since then. What is drawn by the seed: which classes have which hooks, on which bases.
"""

import array
import collections
import gc
import random
import sys
import threading
import types
import warnings

CALLS = {}
LISTENING = [False]
HOOKS = [
    "__eq__",
    "__ne__",
    "__lt__",
    "__hash__",
    "__len__",
    "__bool__",
    "__getattr__",
    "__sizeof__",
    "__repr__",
    "__str__",
    "__format__",
    "__iter__",
    "__contains__",
    "__getitem__",
    "__call__",
    "__index__",
    "__int__",
    "__float__",
    "__dir__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__length_hint__",
    "__bytes__",
    "__fspath__",
    "__enter__",
    "__exit__",
    "__next__",
    "__await__",
    "__copy__",
    "__deepcopy__",
    "__missing__",
    "__instancecheck__",
    "__subclasscheck__",
    "__subclasses__",
    "keys",
    "values",
    "items",
    "get",
]
PROPERTIES = ("__class__", "__dict__", "__doc__", "maxsize", "maxlen", "capacity", "nbytes", "__name__")
BASES = (
    object, dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, collections.deque,
    collections.OrderedDict, collections.defaultdict, collections.Counter, array.array, threading.local, Exception,
)  # fmt: skip


def note(name):
    if LISTENING[0]:
        CALLS[name] = CALLS.get(name, 0) + 1


def listen():
    CALLS.clear()
    LISTENING[0] = True


def heard():
    LISTENING[0] = False
    return dict(CALLS)


def hook(name):
    def called(self, *arguments, **named):
        note(name)
        raise RuntimeError(name)

    return called


def attribute_hook(self, name):
    note("__getattribute__:%s" % name)
    return object.__getattribute__(self, name)


def meta_attribute_hook(cls, name):
    note("Meta.__getattribute__:%s" % name)
    return type.__getattribute__(cls, name)


def meta_hash(cls):
    note("Meta.__hash__")
    return type.__hash__(cls)


META_HOOKS = [
    "__eq__",
    "__instancecheck__",
    "__subclasscheck__",
    "__subclasses__",
    "__repr__",
    "__len__",
    "__bool__",
    "__sizeof__",
]
META_PROPERTIES = ("__dict__", "__mro__", "__name__", "__flags__", "__module__")
# Answers nothing about its classes but what `type` itself would, and tells.
Meta = type(
    "Meta",
    (type,),
    dict(
        [(name, hook("Meta." + name)) for name in META_HOOKS]
        + [(name, property(hook("Meta." + name))) for name in META_PROPERTIES],
        __getattribute__=meta_attribute_hook,
        __hash__=meta_hash,
    ),
)


class Descriptor:
    def __get__(self, instance, owner):
        note("Descriptor.__get__")
        raise AttributeError

    def __set__(self, instance, value):
        note("Descriptor.__set__")


class Key:
    """Equal to nothing, with the hash of a name that might be looked up."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        note("Key.__eq__:%s" % self.name)
        return False


class Text(str):
    """A string that tells when it is asked anything in Python."""

    def __hash__(self):
        note("Text.__hash__")
        return str.__hash__(self)


for _name in ("__eq__", "__str__", "startswith", "partition", "encode", "split", "rpartition", "__contains__"):
    setattr(Text, _name, hook("Text." + _name))


class Module(types.ModuleType):
    def __getattribute__(self, name):
        note("Module.__getattribute__:%s" % name)
        return object.__getattribute__(self, name)

    def __getattr__(self, name):
        note("Module.__getattr__:%s" % name)
        raise AttributeError(name)


class NoModule:
    def __getattr__(self, name):
        note("NoModule.__getattr__:%s" % name)
        raise AttributeError(name)


class PathEntry:
    __str__ = __repr__ = __fspath__ = hook("PathEntry")


class ThreadOfMine(threading.Thread):
    """Its name is code of the program."""

    name = property(hook("Thread.name"), lambda self, value: None)


warnings.simplefilter("ignore")  # 3.13 does not like keys that are no strings
NAMES = ("__sizeof__", "__del__", "__module__", "__get__", "__set__", "__dict__", "__len__", "gi_code", "cr_code", "ag_code",
         "__name__", "__file__", "__qualname__", "a")  # fmt: skip


def classes(source):
    """Classes of one draw: for each base one with many hooks, some by a metaclass, some with keys that collide."""
    made = []
    for base in BASES:
        for kind in (type, Meta):
            chosen = [name for name in HOOKS if source.random() < 0.8]
            namespace = {name: hook("%s.%s" % (base.__name__, name)) for name in chosen}
            namespace.update((name, property(hook(name))) for name in PROPERTIES if source.random() < 0.8)
            namespace["descriptor"] = Descriptor()
            namespace["__getattribute__"] = attribute_hook
            if base is object and source.random() < 0.5:
                namespace["__slots__"] = ("one", "__weakref__")
                namespace.pop("__dict__", None)
            made.append((base, kind("Hostile_" + base.__name__, (base,), namespace)))
    for name in NAMES:
        made.append((object, type("Colliding", (), {Key(name): 1, Key("b"): 2})))
        made.append((dict, type("CollidingDict", (dict,), {Key(name): 1})))
    return made


def instance(base, kind):
    if base is array.array:
        return base.__new__(kind, "i")
    return base.__new__(kind)


def plant(seed=0, count=20):
    source = random.Random(seed)
    kept = []
    for base, kind in classes(source):
        for _ in range(count):
            kept.append(instance(base, kind))
    holder = type("Holder", (), {})()
    for name in NAMES:
        holder.__dict__[Key(name)] = [1]
    holder.__dict__["a"] = [[]]
    kept.append(holder)
    module = Module("hostile_module")
    module.__dict__[Key("__name__")] = module.__dict__[Key("__file__")] = 1
    sys.modules["hostile_module"] = module
    sys.modules["no_module"] = NoModule()
    sys.modules[Text("text_module")] = types.ModuleType("text_module")
    for name in ("threading", "numpy", "mmap", "_leakhunt_agent", "_decimal", "atexit", "_asyncio", "array"):
        sys.modules[Key(name)] = types.ModuleType("keyed")
    sys.path.append(PathEntry())
    sys.path.append(Text("/nowhere"))
    sys.argv.append(Text("argument"))
    gc.callbacks.append(lambda *arguments: None)
    stop = threading.Event()
    ThreadOfMine(target=stop.wait, daemon=True).start()
    namespace = {"__name__": Text("module_of_a_frame"), "stop": stop}
    exec("def wait():\n    local = [1]\n    stop.wait()\n", namespace)
    threading.Thread(target=namespace["wait"], daemon=True).start()
    return kept
