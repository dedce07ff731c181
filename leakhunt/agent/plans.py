"""What to do with the objects of a class: decided once per class and snapshot, never by running its code.

Everything is read through `type.__dict__`'s own descriptors and `object.__getattribute__`: metaclasses, properties,
`__getattr__`, `__len__` and `__sizeof__` of the program are never called.
"""

import sys
from _collections import deque
from _functools import _lru_cache_wrapper
from _thread import _local as ThreadLocal
from _weakref import ReferenceType
from array import array

from . import __builtins__

raw_mro_of = type.__dict__["__mro__"].__get__
raw_namespace_proxy_of = type.__dict__["__dict__"].__get__
qualname_of = type.__dict__["__qualname__"].__get__
module_of = type.__dict__["__module__"].__get__
flags_of = type.__dict__["__flags__"].__get__
itemsize_of = type.__dict__["__itemsize__"].__get__
generic_getattr = object.__getattribute__
getsizeof = sys.getsizeof
referent_of = ReferenceType.__call__


def _function():
    """Only here to have the classes of functions and code at hand without importing `types`."""


FunctionType = type(_function)
CodeType = type(_function.__code__)
ModuleType = type(sys)
MethodType = type(FunctionType.__get__(_function, 0))
FrameType = type(sys._getframe())
MethodDescriptorType = type(list.append)
GetSetType = type(FunctionType.__code__)
SlotType = type(FunctionType.__globals__)  # member_descriptor: reads a C field, runs no code
HEAP_FLAG = 1 << 9  # Py_TPFLAGS_HEAPTYPE

STRINGS = frozenset([id(str)])
TRIVIAL = frozenset(map(id, (type(None), bool, int, float, complex, type(Ellipsis), type(NotImplemented))))
ATOMS = TRIVIAL | frozenset(map(id, (str, bytes, bytearray, range)))
UNCHANGING = ATOMS | frozenset(map(id, (tuple, frozenset, type, FunctionType, type(len))))
# Exactly these classes are most of a heap: their sizes but for the collector's header, in a third of the time.
BARE_SIZES = {id(kind): kind.__sizeof__ for kind in (dict, list, tuple, set, frozenset)}
HEADER_BYTES = sys.getsizeof([]) - [].__sizeof__()
# A BytesIO counts its buffer only while nobody else refers to it. From 3.12 on it tells the collector of the buffer,
# which then has a row and a size of its own, and would count twice or once by what the walk has in its hands.
BYTES_IO = "" if sys.version_info >= (3, 12) else " BytesIO"
# Classes of the interpreter, of its standard library and of numpy that compute their own size, in C and without
# letting the GIL go. What anybody else wrote for that may run any code, and is not called.
SIZED = (
    ("_collections", "deque OrderedDict"), ("_ctypes", "CType_Type"), ("_decimal", "Decimal"),
    ("_elementtree", "Element"), ("_io", "BufferedReader BufferedWriter BufferedRandom" + BYTES_IO),
    ("_pickle", "Pickler Unpickler"), ("_queue", "SimpleQueue"), ("_struct", "Struct"), ("array", "array"),
    ("builtins", "bytearray dict frozendict frozenset int list set str type"),
    ("itertools", "combinations combinations_with_replacement permutations product"), ("numpy", "ndarray"),
)  # fmt: skip
LENGTHS = (
    (dict, dict.__len__),
    (list, list.__len__),
    (tuple, tuple.__len__),
    (set, set.__len__),
    (frozenset, frozenset.__len__),
)
# Attributes by which containers and their owners say how many items they will take at most.
BOUND_NAMES = frozenset(
    [
        "maxsize",
        "_maxsize",
        "__maxsize",
        "_Cache__maxsize",
        "max_size",
        "_max_size",
        "maxlen",
        "max_len",
        "capacity",
        "_capacity",
        "max_entries",
        "_max_entries",
        "cache_size",
        "max_items",
    ]
)
CANDIDATES_MAX = 400
NAMES_USED_MAX = 1500
FILLED_MIN = 16  # items of a container that is worth asking for its name
# Containers of C with a limit that is not an attribute.
BOUND_OF = {
    id(deque): deque.maxlen.__get__,
    id(_lru_cache_wrapper): lambda cache, limit_of=_lru_cache_wrapper.cache_info: limit_of(cache)[2],
}
# Suspended things are known by their code: coroutines, generators, asynchronous generators.
CODE_NAMES = ("cr_code", "gi_code", "ag_code")
BOUND_TYPES = (deque, _lru_cache_wrapper)
CODE_GETTERS = (SlotType, type(FunctionType.__code__))


ATOM, MAPPING, SEQUENCE, FUNCTION, MODULE, CLASS, WEAK, METHOD, CODED, LOCAL, INSTANCE = range(11)  # Plan.shape


def suspended_types():
    """The builtin classes of generators, coroutines and asynchronous generators."""

    async def coroutine():
        pass

    async def asynchronous():
        yield

    running = coroutine()
    running.close()
    return type((lambda: (yield))()), type(running), type(asynchronous())


def mro_of(kind):
    """The class's `__mro__`; empty for one that is being taken apart by the collector."""
    return raw_mro_of(kind) or ()


_has_strings = {}  # by id() of a class, of this snapshot: whether its namespace has strings for keys, and nothing else
_by_strings = {}  # by id() of a dict, of this snapshot: its entries by exact strings, None where it has no others
_known_sizes = {}  # by id()


def forget():
    """Called at the end of a snapshot: an address may be another class's by the next."""
    _has_strings.clear()
    _by_strings.clear()
    _known_sizes.clear()


def namespace_proxy_of(kind):
    """The class's namespace by its exact strings, read-only; empty for one that is being taken apart.

    Keys of other kinds are left out before anything is looked up: they would be compared by code of the program.
    """
    namespace = raw_namespace_proxy_of(kind)
    if namespace is None:
        return {}
    if is_mixed(kind, namespace):
        return {key: value for key, value in list(namespace.items()) if type(key) is str}
    return namespace


def entry_of(mapping, name):
    """What a dict has for `name`, or None; keys that are no exact strings are not compared: that may run their code."""
    address = id(mapping)
    if address not in _by_strings:
        clean = STRINGS.issuperset(map(id, map(type, mapping)))
        _by_strings[address] = None if clean else {k: v for k, v in list(dict.items(mapping)) if type(k) is str}
    entries = _by_strings[address]
    return dict.get(mapping if entries is None else entries, name)


def module_entry(module_name, name):
    """What a module has for `name`, or None where it is not loaded, or something else goes by its name."""
    module = entry_of(sys.modules, module_name)
    return entry_of(generic_getattr(module, "__dict__"), name) if type(module) is ModuleType else None


def is_module(name):
    """Whether a module of that name is loaded, and nothing else goes by it."""
    return type(entry_of(sys.modules, name)) is ModuleType


def is_mixed(kind, namespace):
    """Whether a class's namespace has keys that are no exact strings."""
    strings = _has_strings.get(id(kind))
    if strings is None:
        strings = _has_strings[id(kind)] = STRINGS.issuperset(map(id, map(type, namespace)))
    return not strings


def is_mixed_before(kind, owner):
    """Whether one of the classes in the MRO up to `owner` has such keys."""
    for base in mro_of(kind):
        if is_mixed(base, raw_namespace_proxy_of(base) or {}):
            return True
        if base is owner:
            break
    return False


def known_sizes():
    """The entries `__sizeof__` that may be called, as far as their modules are loaded: a tuple, object's first."""
    if not _known_sizes:
        kinds = [object, CodeType, FrameType, *suspended_types()]
        for module_name, names in SIZED:
            kinds.extend([module_entry(module_name, name) for name in names.split()])
        for kind in kinds:
            entry = raw_namespace_proxy_of(kind).get("__sizeof__") if type(kind) is type else None
            if type(entry) is MethodDescriptorType:
                _known_sizes[id(entry)] = entry
    return tuple(_known_sizes.values())


class Plan:
    """How the walker treats the instances of one class.

    `shape` says what they are; `size_bytes` is the shallow size where all instances share it (-1 until one was
    measured), None where each must be asked by `size`, to which `header_bytes` come; `attributes` are the names worth
    trying, None until needed.
    """

    __slots__ = (
        "attributes", "base_of", "bound", "code", "header_bytes", "kind", "labelled", "length", "row", "shape", "size",
        "size_bytes",
    )  # fmt: skip


def lookup(kind, name):
    """The entry `name` in the class's MRO, as (class, entry), or (None, None); runs no code of the program."""
    for base in mro_of(kind):
        namespace = namespace_proxy_of(base)
        if name in namespace:
            return base, namespace[name]
    return None, None


def text_of(value):
    """`value` as exact `str` when it is a string of any kind, else ''."""
    if type(value) is str:
        return value
    if issubclass(type(value), str):
        return str.encode(value, "utf-8", "backslashreplace").decode()
    return ""


def class_name(kind):
    """module.qualname of a class, as the class itself says."""
    module = namespace_proxy_of(kind).get("__module__")
    if type(module) is not str:
        try:
            module = text_of(module_of(kind))
        except Exception:
            module = ""
    return "%s.%s" % (module or "?", text_of(qualname_of(kind)))


def class_module(kind):
    module = namespace_proxy_of(kind).get("__module__")
    return module if type(module) is str else ""


def code_place(entry):
    """(file, first line) of a Python function, else ('', 0)."""
    if type(entry) is FunctionType:
        code = entry.__code__
        return code.co_filename, code.co_firstlineno
    return "", 0


def defaults_of(function):
    """(defaults, names of their parameters in the order in which a walk meets them), where one can be changed."""
    code, found = function.__code__, []
    positional, by_name = function.__defaults__, function.__kwdefaults__
    if positional and not all(id(type(value)) in UNCHANGING for value in positional):
        last = code.co_varnames[: code.co_argcount][-len(positional) :]
        found.append((positional, last[::-1]))  # a tuple is walked from its end
    if by_name and not all(id(type(value)) in UNCHANGING for value in list(dict.values(by_name))):
        found.append((by_name, [text_of(name) for name in list(by_name)]))
    return found


def size_rule(kind):
    """(function that sizes an instance, bytes to add to that, True when all instances have the same size).

    `sys.getsizeof` where `__sizeof__` is known to compute; `object.__sizeof__` where the program, or somebody else's
    library, wrote its own, and where the interpreter could not even look for it without running code of the program.
    """
    if id(kind) in BARE_SIZES:
        return BARE_SIZES[id(kind)], HEADER_BYTES, False
    owner, entry = lookup(kind, "__sizeof__")
    fixed = owner is object and not itemsize_of(kind)
    known_sizes()
    if id(entry) in _known_sizes and not is_mixed_before(kind, owner):
        return getsizeof, 0, fixed
    return object.__sizeof__, 0, not itemsize_of(kind)


def length_rule(kind):
    """What tells the items of a container or the bytes of a buffer of this class, or None."""
    for base, length in LENGTHS:
        if issubclass(kind, base):
            return len if kind is base else length  # a subclass may have a __len__ of its own
    for base, length, item_size in buffer_rules():
        if issubclass(kind, base):
            return length if item_size is None else lambda item: length(item) * item_size(item)
    return None


def buffer_rules():
    """(class, length, item size or None) of classes of C that own a buffer, as far as the program has loaded them.

    Asks no buffer for its memory: an exported one can't be resized, and numpy never frees what it notes about it.
    """
    found = [
        (deque, deque.__len__, None),
        (bytearray, bytearray.__len__, None),
        (array, array.__len__, array.itemsize.__get__),
    ]
    # A StringIO is written at its end nearly always: where that is, is its length.
    for module_name, class_name_, length in (
        ("mmap", "mmap", "__len__"), ("numpy", "ndarray", "nbytes"), ("_io", "StringIO", "tell"),
    ):  # fmt: skip
        kind = module_entry(module_name, class_name_)
        if type(kind) is type:
            entry = namespace_proxy_of(kind).get(length)
            found.append((kind, entry.__get__ if length == "nbytes" else entry, None))
    return found


def base_rules():
    """(class, what gives the owner of an instance's memory, or None) of C classes that don't tell the collector of it.

    The object is there already, and so is the class: these getters make nothing, run no code of the program and keep
    the GIL. Instances of classes derived from these are asked in the same way.
    """
    found = []
    for module_name, class_name_, attribute in (("numpy", "ndarray", "base"),):
        kind = module_entry(module_name, class_name_)
        entry = namespace_proxy_of(kind).get(attribute) if type(kind) is type else None
        if type(entry) in CODE_GETTERS:  # C's own, and no descriptor of the program
            found.append((kind, entry.__get__))
    return found


def base_rule(kind):
    """What gives the object that owns the memory of this class's instances, None where there is nothing to ask."""
    return next((base_of for base, base_of in base_rules() if issubclass(kind, base)), None)


def attribute_names(kind):
    """Names that instances may carry, safe to read: slots, what the class's own methods mention, and what the class
    gives a default or an annotation.

    The names of inline attributes can't be listed without making a `__dict__` (3.11+), but the class's code
    names them. A name is safe when nothing with `__get__` or `__set__` but a slot answers for it on the class.
    """
    slots, mentioned = [], {}
    for base in mro_of(kind):
        heap = flags_of(base) & HEAP_FLAG
        for name, entry in list(namespace_proxy_of(base).items()):
            if type(name) is not str:
                continue
            if type(entry) is SlotType:
                slots.append(name)
            elif heap and type(entry) is FunctionType:
                code = entry.__code__
                words = code.co_consts if name == "__annotate_func__" else code.co_names  # 3.14+ annotates when asked
                mentioned.update(dict.fromkeys(word for word in words if type(word) is str))
            elif heap and name in ("__annotations__", "__annotations_cache__") and type(entry) is dict:
                mentioned.update(dict.fromkeys(word for word in list(entry) if type(word) is str))
            elif heap and name[:2] != "__":
                mentioned[name] = None
    names = [name for name in slots if name[:2] != "__"]
    for name in mentioned:
        if len(names) >= CANDIDATES_MAX:
            break
        if is_plain(kind, name) and name not in slots:
            names.append(name)
    return names


def members_in_c(kind):
    """Names under which a class of an extension gives out what it has in C, by its getset descriptors, as a list.

    They are not asked: behind one there may be any code. What Cython calls `cdef public` is among them. The
    interpreter's own classes have none: what a cell has is named by its function.
    """
    names = []
    if not flags_of(kind) & HEAP_FLAG and text_of(module_of(kind)) == "builtins":
        return names
    for base in mro_of(kind)[:-1]:
        for name, entry in list(namespace_proxy_of(base).items()):
            if type(entry) is FunctionType:
                return []  # a class of Python's, whose attributes are another matter
            if type(entry) is GetSetType and name[:2] != "__":
                names.append(name)
    return names


def is_filled(item):
    """Whether this is a builtin container, or one derived from it, with some items in it."""
    for base, length in LENGTHS:
        if issubclass(type(item), base):
            return length(item) >= FILLED_MIN
    return issubclass(type(item), deque) and deque.__len__(item) >= FILLED_MIN


def names_used():
    """Names that the program's own code uses for attributes and globals, as a tuple: `__main__`'s code first.

    The program's own is what lies in no library: neither below the interpreter's prefix nor in a site-packages.
    """
    found = {}
    libraries = [prefix + "/lib" for prefix in {sys.prefix, sys.base_prefix}]
    modules = [module for module in list(dict.values(sys.modules)) if type(module) is ModuleType]
    main = entry_of(sys.modules, "__main__")
    for module in sorted(modules, key=lambda one: one is not main):
        namespace = generic_getattr(module, "__dict__")
        file = text_of(entry_of(namespace, "__file__"))
        if module is main or not (file == "" or "-packages" in file or any(map(file.startswith, libraries))):
            for code in codes_of(list(dict.values(namespace)), text_of(entry_of(namespace, "__name__"))):
                found.update(dict.fromkeys(code.co_names))
        if len(found) >= NAMES_USED_MAX:
            break
    for frame in list(sys._current_frames().values()):
        while frame is not None and len(found) < NAMES_USED_MAX:
            if entry_of(frame.f_globals, "__name__") == "__main__":
                found.update(dict.fromkeys(frame.f_code.co_names))
            frame = frame.f_back
    return tuple(list(found)[:NAMES_USED_MAX])


def codes_of(values, module_name):
    """Code objects of functions and of methods of classes among `values` that were defined in the module."""
    for value in values:
        if type(value) is FunctionType:
            yield value.__code__
        elif issubclass(type(value), type) and class_module(value) == module_name:
            for entry in list(namespace_proxy_of(value).values()):
                if type(entry) is FunctionType:
                    yield entry.__code__


def is_plain(kind, name):
    """Whether reading `name` from an instance with `object.__getattribute__` runs no code of the program."""
    owner, entry = lookup(kind, name)
    if owner is None or type(entry) is SlotType:
        return True
    bases = mro_of(type(entry))
    return not any("__get__" in namespace_proxy_of(b) or "__set__" in namespace_proxy_of(b) for b in bases)


def is_cached(kind, name):
    """Whether the class has a `cached_property` of that name (of functools or another): it leaves its value in the
    instance's `__dict__` and can't be asked without running the program's code."""
    _, entry = lookup(kind, name)
    return entry is not None and qualname_of(type(entry)) == "cached_property"


def make(kind, row):
    """The Plan of a class; `row` is its row in the type table."""
    plan = Plan()
    plan.kind, plan.row, plan.labelled, plan.attributes = kind, row, 0, None
    plan.size, plan.header_bytes, fixed = size_rule(kind)
    plan.size_bytes = -1 if fixed else None
    plan.length = length_rule(kind)
    plan.base_of = base_rule(kind)
    plan.bound = BOUND_OF.get(id(kind))
    plan.code = next((name for name in CODE_NAMES if type(lookup(kind, name)[1]) in CODE_GETTERS), None)
    plan.shape = shape_of(kind, plan)
    return plan


def shape_of(kind, plan):
    """Which of the shapes above the instances of a class have."""
    if id(kind) in ATOMS:
        return ATOM
    if plan.code is not None:
        return CODED
    for shape, exact in ((FUNCTION, FunctionType), (METHOD, MethodType)):
        if kind is exact:
            return shape
    for shape, base in ((MAPPING, dict), (MODULE, ModuleType), (CLASS, type), (WEAK, ReferenceType)):
        if issubclass(kind, base):  # safe: the second argument's metaclass is `type` itself
            return shape
    if any(base is ThreadLocal for base in mro_of(kind)):
        return LOCAL
    return SEQUENCE if kind is list or kind is tuple or kind is set or kind is frozenset else INSTANCE
