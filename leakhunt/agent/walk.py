"""The Python engine: the whole heap as rows, in slices that give way to the program.

Starts from what the collector lists and from the roots, and follows referents to everything else: untracked
containers, frozen objects, strings and bytes. Rows and columns are those of schema.py.
"""

import gc
import sys
from array import array

from . import plans, schema
from .listing import UNFINISHED
from .labels import UNLABELLED, Labels

SLICE = 256
IMMORTAL = (1 << 31) if sys.version_info >= (3, 12) else sys.maxsize  # PEP 683; 3.12 to 3.15 each have their own number
get_referents = gc.get_referents
is_tracked = gc.is_tracked
getrefcount = sys.getrefcount
is_finalized = getattr(gc, "is_finalized", None)

OBJECT_COLUMNS = (
    ("object.address", "Q"), ("object.type", "I"), ("object.size", "Q"),
    ("object.length", "I"), ("object.refcount", "I"), ("object.flags", "B"),
)  # fmt: skip
TYPE_COLUMNS = (
    ("type.address", "Q"), ("type.name", "I"), ("type.flags", "I"),
    ("type.file", "I"), ("type.del_file", "I"), ("type.del_line", "I"),
)  # fmt: skip


class Types:
    """The type table of one snapshot: a Plan and a row for each class met."""

    def __init__(self, strings):
        self.columns = {name: array(code) for name, code in TYPE_COLUMNS}
        self._strings = strings
        self.plan_by_id = {}

    def plan_of(self, kind):
        plan = self.plan_by_id.get(id(kind))
        if plan is None:
            plan = self.plan_by_id[id(kind)] = plans.make(kind, len(self.plan_by_id))
            row = plans.type_row(kind, self._strings, sys.modules)
            for column, value in zip(self.columns.values(), row):
                column.append(value)
        return plan


def size_of(item, plan):
    """Shallow size in bytes; 0 where a broken extension type can't tell."""
    size = plan.size_bytes
    if size is None or size < 0:
        try:
            size = plan.size(item)
        except Exception:
            size = 0
        if plan.size_bytes is not None:
            plan.size_bytes = size
    return size


def length_of(item, plan):
    """Items of a container, bytes of a buffer; NO_LENGTH where there are none or they can't be told."""
    if plan.length is None:
        return schema.NO_LENGTH
    try:
        return min(plan.length(item), schema.NO_LENGTH - 1)
    except Exception:  # a closed mmap
        return schema.NO_LENGTH


class Walk:
    """One walk of the heap; `columns()` holds its rows afterwards.

    `hidden` are ids of the agent's own objects: never rows, never followed. `breathe` is called between slices.
    """

    def __init__(self, strings, types, hidden, breathe):
        self._strings, self._types, self._breathe = strings, types, breathe
        self._hidden = set(hidden)
        self._objects = {name: array(code) for name, code in OBJECT_COLUMNS}
        self._count, self._target = array("I"), array("Q")
        self._labels = Labels(strings)
        self._roots = {"root.address": array("Q"), "root.kind": array("I"), "root.label": array("I")}
        self._seen = set(hidden)
        self._pending, self._mappings = [], []
        self._weak_source, self._weak_target = array("I"), array("Q")
        self._own_references = 0
        self._finds_tracked = gc.get_freeze_count() == 0  # what is frozen is tracked and not listed

    def columns(self):
        references = {"reference.count": self._count, "reference.target": self._target}
        weak = {"weak.source": self._weak_source, "weak.target": self._weak_target}
        return {**self._objects, **references, **weak, **self._labels.columns(), **self._roots}

    def run(self, listed, roots):
        """Rows for `listed` (what `gc.get_objects()` gave), for the `roots`, and for all that they refer to.

        Mappings come last: by then the objects whose namespace they are have been seen.
        """
        self._own_references = self._calibrate()
        self._seen.update(map(id, listed))
        self._seen.update((id(listed), id(roots)))
        self._hidden.update([id(root.target) for root in roots if root.locals is not None])
        for root in roots:
            self._root(root)
            self._breathe()
        for mappings in (False, True):
            for start in range(0, len(listed), SLICE):
                for item in listed[start : start + SLICE]:
                    if issubclass(type(item), dict) is mappings and id(item) not in self._hidden:
                        self._row(item, True)
                        self._drain()
                item = None
                self._breathe()
        while self._mappings:
            self._row(self._mappings.pop(), False)
            self._drain()

    def _calibrate(self):
        """References to a listed object that are the walk's own: counted on one that has no others."""
        probe = [[]]
        for item in probe[0:SLICE]:
            return self._probe(item, True)
        return 0

    def _probe(self, item, listed):
        return getrefcount(item)

    def _drain(self):
        pending = self._pending
        while pending:
            item = pending.pop()
            if issubclass(type(item), dict):
                self._mappings.append(item)
            else:
                self._row(item, False)

    def _row(self, item, listed):
        """The row of one object, its references and their names."""
        refcount = getrefcount(item) if listed else IMMORTAL
        kind = type(item)
        plan = self._types.plan_by_id.get(id(kind)) or self._types.plan_of(kind)
        row, base = len(self._count), len(self._target)
        referents = self._referents(item, plan)
        flags = 0
        if listed or (self._finds_tracked and id(kind) in UNFINISHED and is_tracked(item)):
            flags = schema.OBJECT_TRACKED
            if is_finalized is not None and is_finalized(item):
                flags |= schema.OBJECT_FINALIZED
        self._append(id(item), plan.row, size_of(item, plan), length_of(item, plan), self._told(refcount), flags)
        ids = self._refer(referents)
        if plan.shape == plans.WEAK:
            self._weak(item, row)
        elif plan.shape not in UNLABELLED:
            self._labels.add(item, plan, ids, base, row)
        if id(item) in self._labels.namespaces:
            self._labels.namespace(item, ids, base)

    def _told(self, refcount):
        return schema.SATURATED if refcount >= IMMORTAL else refcount - self._own_references

    def _append(self, *values):
        for column, value in zip(self._objects.values(), values):
            column.append(value)

    def _refer(self, referents):
        """Note the references of a row, remember what is new; gives the addresses."""
        ids = list(map(id, referents))
        self._count.append(len(ids))
        self._target.extend(ids)
        seen, pending = self._seen, self._pending
        for address, referent in zip(ids, referents):
            if address not in seen:
                seen.add(address)
                pending.append(referent)
        return ids

    def _weak(self, item, row):
        target = plans.referent_of(item)
        self._weak_source.append(row)
        self._weak_target.append(0 if target is None else id(target))

    @staticmethod
    def _referents(item, plan):
        """What an object refers to, for a mapping its values, then its keys, then what a subclass has besides."""
        if plan.shape == plans.ATOM:
            return ()
        if plan.shape != plans.MAPPING:
            return get_referents(item)
        keys = list(dict.keys(item))
        referents = list(dict.values(item)) + keys
        if plan.kind is not dict:
            known = set(map(id, referents))
            referents += [other for other in get_referents(item) if id(other) not in known]
        return referents

    def _root(self, root):
        """One row of root.*; a running frame gets an object row whose references are its locals, by name."""
        id_of = self._strings.id_of
        for column, value in zip(self._roots.values(), (id(root.target), id_of(root.kind), id_of(root.label))):
            column.append(value)
        if root.locals is None:
            if id(root.target) not in self._seen:
                self._seen.add(id(root.target))
                self._pending.append(root.target)
            root.target = None
            self._drain()
            return
        plan = self._types.plan_of(type(root.target))
        self._seen.add(id(root.target))
        self._append(id(root.target), plan.row, size_of(root.target, plan), schema.NO_LENGTH, schema.SATURATED, 0)
        for index, name in enumerate(root.locals):
            if type(name) is str:
                self._labels.mark(len(self._target) + index, schema.LABEL_LOCAL + name)
        self._refer(list(root.locals.values()))
        root.locals = root.target = None  # the program's locals are its own again
        self._drain()
