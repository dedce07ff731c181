"""A request for births: what the analysis outside suspects, and the program's own objects that are meant by it.

    RUN/pid-4711.0/births.ask     lines "key<TAB>value<TAB>…", escaped as in schema.py; the agent takes it away

    number   of the request, one more than the last: the answer is NUMBER.births (births.py)
    class    address and module.qualname of a class whose births are wanted
    place    address of a container that grows, and of objects on the way to it, nearest first, separated by spaces
    name     what a place is called in source: "attribute" or "variable", the word
    file     where functions that use that word are looked at first
    function file and line of code that is looked at too, whatever it is called

Addresses are compared with those of objects that are there, and never followed.
"""

import os
import sys
from _collections import deque
from array import array
from gc import get_freeze_count, get_referents
from gc import is_tracked as gc_is_tracked

from . import __builtins__, listing, plans, roots, schema

FILE = "births.ask"
BYTES_MAX = 1 << 16
FUNCTIONS_MAX = 300
CLASSES_MAX = 16
PLACES_MAX = 64
SLICE = 20000
REFERENTS_MAX = 100  # of an object that is asked at every line for what it refers to
A_LIST, A_DICT, A_SET, A_SIZED, AN_OBJECT = range(5)  # as in _walk_births.c


class Request:
    """What one file asks for. Raises ValueError for one that makes no sense."""

    def __init__(self, text):
        self.number = 0
        self.classes, self.places, self.names, self.files = {}, {}, set(), set()
        self.functions = set()
        for line in text.split("\n"):
            words = [schema.unescape(word) for word in line.split("\t")]
            if words[0] == "number":
                self.number = int(words[1])
            elif words[0] == "class" and len(self.classes) < CLASSES_MAX:
                self.classes[int(words[1])] = words[2]
            elif words[0] == "place" and len(self.places) < PLACES_MAX:
                self.places[int(words[1])] = [int(word) for word in words[2].split()] if len(words) > 2 else []
            elif words[0] == "name":
                self.names.add(words[1] + " " + words[2])
            elif words[0] == "file":
                self.files.add(words[1])
            elif words[0] == "function":
                self.functions.add((words[1], int(words[2])))
        if not 0 < self.number < 1000000:
            raise ValueError("a request for births without a number")


def taken(folder):
    """The request that waits in a process folder, taken from there; None for none."""
    path = folder + "/" + FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        text = os.read(descriptor, BYTES_MAX)
    finally:
        os.close(descriptor)
    os.unlink(path)
    return Request(text.decode("utf-8", "replace"))


def classes(wanted):
    """Classes that are there, by address; `wanted` maps addresses to names."""
    found, layer, seen = {}, [object], set()
    while layer:
        following = []
        for kind in layer:
            if id(kind) not in seen:
                seen.add(id(kind))
                if id(kind) in wanted and plans.class_name(kind) == wanted[id(kind)]:
                    found[id(kind)] = kind
                following.extend(type.__subclasses__(kind))
        layer = following
    return found


class Heap:
    """What the collector lists at this moment; kept no longer than it takes to look through it: until `close`.

    It is in its own list, and would keep all of it alive until the collector comes.
    """

    def __init__(self, yield_gil):
        self._listed, self._yield_gil = listing.listed(), yield_gil

    def close(self):
        self._listed = ()

    def by_address(self, wanted):
        """Listed objects of these addresses."""
        found = {}
        for start in range(0, len(self._listed), SLICE):
            self._yield_gil()
            part = self._listed[start : start + SLICE]
            found.update([(id(item), item) for item in part if id(item) in wanted])
        return found

    def of_classes(self, addresses):
        """Listed objects whose class has one of these addresses, as a list."""
        found = []
        for start in range(0, len(self._listed), SLICE):
            self._yield_gil()
            found.extend([item for item in self._listed[start : start + SLICE] if id(type(item)) in addresses])
        return found

    def codes(self):
        """The code of every function, and of those that it makes, once each."""
        found = {}
        for start in range(0, len(self._listed), SLICE // 10):
            self._yield_gil()
            for item in self._listed[start : start + SLICE // 10]:
                if type(item) is plans.FunctionType:
                    add_code(found, item.__code__)
        if get_freeze_count():
            for item in frozen_functions():
                add_code(found, item.__code__)
        return list(found.values())


def has_one_of(code, lines):
    """Whether one of these lines is of this very function."""
    if max(lines) < code.co_firstlineno:
        return False
    return not {line for _, _, line in code.co_lines()}.isdisjoint(lines)


def frozen_functions():
    """Functions of modules and of their classes, which the collector does not list after gc.freeze()."""
    found = []
    for module in list(dict.values(sys.modules)):
        for entry in list(dict.values(module.__dict__)) if type(module) is plans.ModuleType else ():
            if type(entry) is plans.FunctionType:
                found.append(entry)
            elif issubclass(type(entry), type):
                found.extend([f for f in plans.namespace_proxy_of(entry).values() if type(f) is plans.FunctionType])
    return found


def add_code(found, code):
    if id(code) not in found:
        found[id(code)] = code
        for constant in code.co_consts:
            if type(constant) is plans.CodeType:
                add_code(found, constant)


def containers(wanted, heap, package):
    """Containers that are there, by address; `wanted` maps addresses to those of objects that lead to them.

    One that the collector does not list (a dict of atoms; all of them after gc.freeze()) is found at what refers to it,
    from modules and, with the agent's name as `package`, from local variables on.
    """
    found = heap.by_address(wanted)
    missing = {address: ways for address, ways in wanted.items() if address not in found}
    if missing:
        known = heap.by_address({way for ways in missing.values() for way in ways})
        known.update([(id(module), module) for module in list(dict.values(sys.modules))])
        for root in roots.frames(package) if package else ():
            for value in dict.values(root.locals) if root.locals else ():
                known[id(value)] = value
        for address, ways in missing.items():
            for here, above in reversed(list(zip([address] + ways, ways))):  # from the root on
                if above in known and here not in known:
                    known.update([(id(item), item) for item in get_referents(known[above]) if id(item) == here])
            if address in known:
                found[address] = known[address]
    return found


def kind_of(container):
    """How its growth is told: by its length, or, of what has none, by its referring to others; None for an atom."""
    kind = type(container)
    for base, number in (
        (list, A_LIST), (dict, A_DICT), (set, A_SET), (deque, A_SIZED), (bytearray, A_SIZED), (array, A_SIZED),
    ):  # fmt: skip
        if issubclass(kind, base):
            return number
    few = gc_is_tracked(container) and len(get_referents(container)) <= REFERENTS_MAX
    return AN_OBJECT if few else None


def functions(request, heap, package_folder):
    """Code that uses the names of the places, in the files that were asked for first; FUNCTIONS_MAX at the most."""
    attributes = {name.partition(" ")[2] for name in request.names if name.startswith("attribute ")}
    variables = {name.partition(" ")[2] for name in request.names if name.startswith("variable ")}
    first, others = [], []
    lines = {}
    for file, line in request.functions:
        lines.setdefault(file, []).append(line)
    for code in heap.codes():
        if code.co_filename.startswith(package_folder):
            continue
        here = lines.get(code.co_filename)
        if here and has_one_of(code, here):
            first.append(code)
            continue
        local = code.co_varnames + code.co_freevars + code.co_cellvars
        if not attributes.isdisjoint(code.co_names) or not variables.isdisjoint(local):
            (first if code.co_filename in request.files else others).append(code)
    return (first + others)[:FUNCTIONS_MAX]
