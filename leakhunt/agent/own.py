"""What belongs to the agent, so that it never appears in its own results."""

import sys
from _weakref import getweakrefs
from gc import get_referents

from . import __builtins__, plans

DEPTH_MAX = 50
# Things of the interpreter that everybody refers to: by their class, and the one empty tuple.
SHARED = frozenset(
    map(id, (type(len), type(list.append), type(list.__len__), type(plans.FunctionType.__code__), plans.SlotType, ()))
)
CTYPES_BASES = ("Array", "CFuncPtr", "Structure", "_SimpleCData")
# Of methods in C, slots, members and attributes; each has the class that it was made for.
DESCRIPTORS = (type(list.append), type(list.__len__), plans.SlotType, type(plans.FunctionType.__code__))


def modules(package):
    """The agent's modules that are loaded, by their name's prefix."""
    loaded = [(name, m) for name, m in list(dict.items(sys.modules)) if type(name) is str]
    return [m for name, m in loaded if name == package or name.startswith(package + ".")]


def objects(package):
    """The agent's modules, functions, classes and constants, as a list (they stay alive with the modules).

    Follows references from the modules' namespaces, but not into modules, classes or functions of anybody else.
    """
    mine = modules(package)
    earlier = classes_left(package)
    namespaces = {id(m.__dict__) for m in mine}
    namespaces.update([id(f.__globals__) for kind in earlier for f in functions_of(kind)])
    namespaces.add(id(__builtins__))
    foreign = foreign_loaders(mine)
    layer = [*mine, *earlier]
    found = {id(item): item for item in layer}
    for _ in range(DEPTH_MAX):
        following = []
        for item in layer:
            for referent in get_referents(item):
                if id(referent) in found or id(referent) in foreign:
                    continue
                if is_own(referent, package, namespaces):
                    found[id(referent)] = referent
                    following.append(referent)
        layer = following
    return [*found.values(), *made_by_classes(found.values())]


def classes_left(package):
    """Classes of an agent that was in this process before: a class is a cycle, and waits for the collector."""
    bases = [object, Exception]
    bases += [plans.entry_of(vars(m), name) for m in modules("_ctypes") for name in CTYPES_BASES]  # of ledger.py
    every = [kind for base in bases for kind in type.__subclasses__(base)]
    return [kind for kind in every if plans.class_module(kind).startswith(package + ".")]


def functions_of(kind):
    return [entry for entry in type.__dict__["__dict__"].__get__(kind).values() if type(entry) is plans.FunctionType]


def made_by_classes(mine):
    """What the interpreter makes for these classes: their descriptors, and the weak references that bases have."""
    made = []
    for kind in [item for item in mine if issubclass(type(item), type)]:
        entries = list(type.__dict__["__dict__"].__get__(kind).values())
        made += [entry for entry in entries if type(entry) in DESCRIPTORS and entry.__objclass__ is kind]
        made += getweakrefs(kind)
    return made


def foreign_loaders(mine):
    """ids of the import hooks of others that loaded these modules: behind the one that pytest has is all of pytest."""
    loaders = [dict.get(m.__dict__, "__loader__") for m in mine]
    return {id(loader) for loader in loaders if plans.class_module(type(loader)) != "_frozen_importlib_external"}


def is_own(item, package, namespaces):
    kind = type(item)
    if kind is plans.FunctionType:
        return id(item.__globals__) in namespaces
    if issubclass(kind, type):
        return (plans.class_module(item) + ".").startswith(package + ".")
    if issubclass(kind, plans.ModuleType):
        return id(item.__dict__) in namespaces
    if kind is dict and ("__builtins__" in item or "__name__" in item):
        return id(item) in namespaces
    if id(item) in SHARED:
        return False
    return (
        id(kind) not in plans.ATOMS
        and id(kind) not in SHARED
        and item is not sys.modules
        and kind is not plans.CodeType
    )


def frames():
    """The frames of this thread that run the agent's code, innermost first, as ids."""
    found, frame = [], sys._getframe()
    while frame is not None and plans.text_of(plans.entry_of(frame.f_globals, "__package__")) == __package__:
        found.append(id(frame))
        frame = frame.f_back
    return found
