"""The table of classes of one snapshot: what each is called, where it is from, what its instances may be."""

import os
from array import array

from . import __builtins__, plans, schema
from .facts import Facts
from .plans import FunctionType, class_module, mro_of

TYPE_COLUMNS = (
    ("type.address", "Q"), ("type.name", "I"), ("type.flags", "I"),
    ("type.file", "I"), ("type.del_file", "I"), ("type.del_line", "I"),
)  # fmt: skip
STDLIB = os.path.dirname(getattr(os, "__file__", "") or "") + os.sep
# Modules of the standard library whose objects have memory from a library of C behind them; others tell their size.
MEMORY_IN_C = frozenset(
    (
        "_bz2", "_ctypes", "_dbm", "_gdbm", "_hashlib", "_lzma", "_sqlite3", "_ssl", "_tkinter", "pyexpat", "sqlite3",
        "zlib",
    )
)  # fmt: skip

# Static classes of the interpreter itself lie side by side in its memory.
_CORE = [
    id(kind)
    for kind in list(__builtins__.values())
    if type(kind) is type and not plans.flags_of(kind) & plans.HEAP_FLAG
]
FIRST_OF_CORE, LAST_OF_CORE, CORE_MARGIN = min(_CORE), max(_CORE), 1 << 20


class Types:
    """The type table of one snapshot: a Plan and a row for each class met."""

    def __init__(self, strings):
        self.columns = {name: array(code) for name, code in TYPE_COLUMNS}
        self._strings, self._facts = strings, Facts()
        self._inherited = {}
        self.plan_by_id = {}

    def plan_of(self, kind):
        plan = self.plan_by_id.get(id(kind))
        if plan is None:
            plan = self.plan_by_id[id(kind)] = plans.make(kind, len(self.plan_by_id))
            row = self._row_of(kind)
            for column, value in zip(self.columns.values(), row):
                column.append(value)
        return plan

    def _row_of(self, kind):
        """(address, name, flags, file, del_file, del_line) of one class, strings as ids."""
        flags, del_file, del_line = 0, "", 0
        _, entry = plans.lookup(kind, "__del__")
        if type(entry) is FunctionType:
            flags |= schema.TYPE_HAS_DEL
            del_file, del_line = plans.code_place(entry)
            own_names = {plans.text_of(plans.qualname_of(kind)).rpartition(".")[2], "type", "__class__"}
            if not own_names.isdisjoint(entry.__code__.co_names):
                flags |= schema.TYPE_DEL_NAMES_ITSELF
        if plans.flags_of(kind) & plans.HEAP_FLAG:
            flags |= schema.TYPE_HEAP
        if issubclass(kind, type):
            flags |= schema.TYPE_IS_CLASS
        for base in mro_of(kind):
            flags |= self._inherited_from(base)
        name = plans.class_name(kind)
        flags |= self._facts.of(kind, name, is_ours(kind))
        id_of = self._strings.id_of
        return id(kind), id_of(name), flags, id_of(file_of(kind)), id_of(del_file), del_line

    def _inherited_from(self, base):
        """TYPE_* bits that a class gives to all that derive from it; each class is looked at once."""
        flags = self._inherited.get(id(base))
        if flags is None:
            flags = schema.TYPE_EXTENSION if is_of_extension(base) else 0
            if flags and plans.text_of(plans.qualname_of(base)) == "greenlet":
                flags |= schema.TYPE_GREENLET
            self._inherited[id(base)] = flags
        return flags


def is_of_extension(kind):
    """Whether a class is made by an extension module, one that takes memory from C where it is the interpreter's."""
    is_static = not plans.flags_of(kind) & plans.HEAP_FLAG
    if is_static and not FIRST_OF_CORE - CORE_MARGIN < id(kind) < LAST_OF_CORE + CORE_MARGIN and not is_named(kind):
        return True
    name = module_of_class(kind)
    file = file_of_library(name)
    return name in MEMORY_IN_C or (bool(file) and not is_stdlib(file) and (is_static or file.endswith(".so")))


def is_ours(kind):
    """Whether a class is from the interpreter or the standard library: its module is loaded, and from nowhere else."""
    name = module_of_class(kind)
    file = file_of_module(name)
    return is_stdlib(file) if file else plans.is_module(name) and name != "__main__"


def is_stdlib(file):
    return file.startswith(STDLIB) and "site-packages" not in file


def module_of_class(kind):
    """Name of the module that a class is from; a class of C has it in its own name."""
    is_static = not plans.flags_of(kind) & plans.HEAP_FLAG
    return plans.text_of(plans.module_of(kind)) if is_static else class_module(kind)


def file_of_library(name):
    """`__file__` of a module, else of the library of C that made it as a part of itself, or ''."""
    file, above = file_of_module(name), name
    while not file and "." in above:
        above = above.rpartition(".")[0]
        file = file_of_module(above)
        if file:
            return file if file.endswith(".so") else ""
    return file


def is_named(kind):
    """Whether a static class says which module it is from; without a dot in its name it seems the interpreter's."""
    return plans.text_of(plans.module_of(kind)) != "builtins"


def file_of(kind):
    """`__file__` of the module that a class says it is from, or ''."""
    return file_of_module(class_module(kind))


def file_of_module(name):
    return plans.text_of(plans.module_entry(name, "__file__"))
