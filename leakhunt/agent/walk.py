"""The Python engine: the whole heap as rows, in slices that give way to the program.

Starts from what the collector lists and from the roots, and follows referents to everything else: untracked
containers, frozen objects, strings and bytes. Rows and columns are those of schema.py.

A slice is worked on column by column, by `map` over functions of C: a call of Python code for each object would take
ten times as long.
"""

import gc
import sys
from _collections import defaultdict, deque
from _operator import add, and_, is_, not_, rshift, sub
from array import array
from itertools import accumulate, chain, compress, repeat

from . import __builtins__, plans, schema
from .labels import LABELLED_MAX, UNLABELLED, Labels
from .listing import UNFINISHED

SLICE = 512
SEEN_SLICE = 16384
ALIGNMENT_BITS = 3
IMMORTAL = (1 << 31) if sys.version_info >= (3, 12) else sys.maxsize  # PEP 683; 3.12 to 3.15 each have their own number
get_referents = gc.get_referents
is_tracked = gc.is_tracked
getrefcount = sys.getrefcount
getsizeof = sys.getsizeof
INT_BYTES = getsizeof(1 << 44)
POINTER_BYTES = 8
is_finalized = getattr(gc, "is_finalized", lambda item: False)

LISTED_FLAGS = schema.OBJECT_TRACKED, schema.OBJECT_TRACKED | schema.OBJECT_FINALIZED  # by whether it was finalized

OBJECT_COLUMNS = (
    ("object.address", "Q"), ("object.type", "I"), ("object.size", "Q"),
    ("object.length", "I"), ("object.refcount", "I"), ("object.flags", "B"),
)  # fmt: skip


def size_of(item, plan):
    """Shallow size in bytes; 0 where a broken extension type can't tell."""
    size = plan.size_bytes
    if size is None or size < 0:
        try:
            size = plan.size(item) + plan.header_bytes
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


def keys_of(items):
    """A number for each address, as an iterator: without the zero bits, which would make a set's places collide."""
    return map(rshift, map(id, items), repeat(ALIGNMENT_BITS))


def grouped(items, kinds):
    """{kind: [its items]}, in their order."""
    groups = defaultdict(list)
    deque(map(list.append, map(groups.__getitem__, kinds), items), 0)
    return groups


def all_of(one, rule, items, plan):
    """`one(item, plan)` of each; by `rule` in C as long as no item refuses."""
    try:
        return list(map(rule, items))
    except Exception:
        return [one(item, plan) for item in items]


def sizes_of(items, plan):
    """`size_of` of each."""
    if plan.header_bytes:
        return list(map(add, map(plan.size, items), repeat(plan.header_bytes)))
    return all_of(size_of, plan.size, items, plan)


def lengths_of(items, plan):
    """`length_of` of each."""
    lengths = all_of(length_of, plan.length, items, plan)
    return lengths if max(lengths) < schema.NO_LENGTH else [length_of(item, plan) for item in items]


class Walk:
    """One walk of the heap; `columns()` holds its rows afterwards.

    `hidden` are ids of the agent's own objects: never rows, never followed. `yield_gil` is called between slices.
    MemoryError is raised when it takes more than about `limit_bytes`.
    """

    def __init__(self, strings, types, hidden, yield_gil, limit_bytes):
        self._limit_bytes = limit_bytes
        self._strings, self._types, self._yield_gil = strings, types, yield_gil
        self._hidden = set(hidden)
        self._objects = {name: array(code) for name, code in OBJECT_COLUMNS}
        self._count, self._target = array("I"), array("Q")
        self._labels = Labels(strings)
        self._roots = {"root.address": array("Q"), "root.kind": array("I"), "root.label": array("I")}
        self._weak_source, self._weak_target = array("I"), array("Q")
        self._seen = set(map(rshift, hidden, repeat(ALIGNMENT_BITS)))
        self._pending, self._mappings = [], []
        self._listed_mappings, self._listed_counts, self._listed_places = [], [], []
        self._place = array("I")
        self._own_references = 0
        self._finds_tracked = gc.get_freeze_count() == 0  # what is frozen is tracked and not listed
        self._row_by_kind, self._size_by_kind = {}, {}
        # Classes by id(): without references, mappings, the rest; whose instances are measured or named one by one
        self._atoms, self._dicts, self._others = set(), set(), set()
        self._measured, self._named = set(), set()
        self._views = set()  # those whose instances refer to an owner of their memory besides

    def columns(self):
        references = {"reference.count": self._count, "reference.target": self._target}
        weak = {"weak.source": self._weak_source, "weak.target": self._weak_target}
        place = {"object.place": self._place}
        return {**self._objects, **place, **references, **weak, **self._labels.columns(), **self._roots}

    def taken_bytes(self):
        """Bytes that the walk has taken, but for names and the list it began with."""
        columns = (*self._objects.values(), self._place, self._count, self._target)
        rows = sum([len(column) * column.itemsize for column in columns])
        waiting = len(self._pending) + len(self._mappings) + len(self._listed_mappings)
        return rows + getsizeof(self._seen) + len(self._seen) * INT_BYTES + waiting * POINTER_BYTES

    def run(self, listed, roots):
        """Rows for `listed` (what `gc.get_objects()` gave), for the `roots`, and for all that they refer to.

        Mappings come last: by then the objects whose namespace they are have been seen.
        """
        self._own_references = self._calibrate()
        for start in range(0, len(listed), SEEN_SLICE):
            self._seen.update(keys_of(listed[start : start + SEEN_SLICE]))
            self._yield_gil()
        self._seen.update(keys_of((listed, roots)))
        self._hidden.update([id(root.target) for root in roots if root.locals is not None])
        for root in roots:
            self._root(root)
        for start in range(0, len(listed), SLICE):
            self._slice(listed[start : start + SLICE], start)
            if len(self._pending) >= SLICE:
                self._drain()
            self._yield_gil()
        self._drain()
        while self._listed_mappings or self._mappings:
            batches = (
                (self._listed_mappings, self._listed_counts, self._listed_places), (self._mappings, None, None)
            )  # fmt: skip
            self._listed_mappings, self._listed_counts, self._listed_places, self._mappings = [], [], [], []
            for plain, rows in ((False, self._own_kinds_rows), (True, self._dict_rows)):
                # Subclasses first: their instances have namespaces, too.
                for batch in batches:
                    self._chosen_rows(rows, plain, *batch)
            self._drain()

    def _calibrate(self):
        """References to a listed object that are the walk's own: counted on one that has no others."""
        listed = [[]]
        return self._refcounts(listed[0:SLICE])[0]

    @staticmethod
    def _refcounts(items):
        return list(map(getrefcount, items))

    def _slice(self, items, start):
        """Listed objects, the first at place `start` of the list; their mappings are put aside.

        Counts come first: what follows takes more references.
        """
        places = range(start, start + len(items))
        counts, ids = self._refcounts(items), list(map(id, items))
        counts = self._programs_own(counts, ids)
        if not self._hidden.isdisjoint(ids):
            wanted = list(map(not_, map(self._hidden.__contains__, ids)))
            items, counts, places = (list(compress(column, wanted)) for column in (items, counts, places))
        kinds = self._kinds(items)
        are_mappings = list(map(self._dicts.__contains__, kinds))
        self._listed_mappings.extend(compress(items, are_mappings))
        self._listed_counts.extend(compress(counts, are_mappings))
        self._listed_places.extend(compress(places, are_mappings))
        others = list(map(not_, are_mappings))
        items, kinds, counts, places = (list(compress(column, others)) for column in (items, kinds, counts, places))
        self._rows(items, kinds, counts, self._referents(items, kinds), places)

    def _programs_own(self, counts, ids):
        """Refcounts without the walk's own references; SATURATED for what lives for ever."""
        own, namespaces = self._own_references, self._labels.namespaces
        if max(counts) < IMMORTAL and namespaces.keys().isdisjoint(ids):
            return list(map(sub, counts, repeat(own)))
        return [schema.SATURATED if n >= IMMORTAL else n - own - (i in namespaces) for n, i in zip(counts, ids)]

    def _chosen_rows(self, rows, plain, mappings, *others):
        """`rows` of the mappings that are plain dicts, or of those that are not, in slices.

        `others` are their counts and their places, None where the collector did not list them.
        """
        chosen = list(map(is_, map(is_, map(type, mappings), repeat(dict)), repeat(plain)))
        columns = [column and list(compress(column, chosen)) for column in (mappings, *others)]
        for start in range(0, len(columns[0]), SLICE):
            rows(*[column and column[start : start + SLICE] for column in columns])
            self._yield_gil()

    def _drain(self):
        """Rows for what was found by reference, until nothing new is found; mappings are put aside."""
        while self._pending:
            items = self._pending[-SLICE:]
            del self._pending[-SLICE:]
            kinds = self._kinds(items)
            self._mappings.extend(compress(items, map(self._dicts.__contains__, kinds)))
            are_atoms = list(map(self._atoms.__contains__, kinds))
            atoms = list(compress(items, are_atoms))
            self._rows(atoms, list(compress(kinds, are_atoms)), None, None)
            are_others = list(map(self._others.__contains__, kinds))
            others = list(compress(items, are_others))
            self._other_rows(others, list(compress(kinds, are_others)))
            items = atoms = others = None
            self._yield_gil()

    def _kinds(self, items):
        """id() of the class of each; makes the plans of new ones."""
        kinds = list(map(id, map(type, items)))
        if not self._row_by_kind.keys() >= set(kinds):
            for kind, item in zip(kinds, items):
                if kind not in self._row_by_kind:
                    self._meet(type(item), kind, item)
        return kinds

    def _meet(self, kind, address, item):
        plan = self._types.plan_of(kind)
        self._row_by_kind[address] = plan.row
        self._size_by_kind[address] = size_of(item, plan) if plan.size_bytes is not None else 0
        group = {plans.ATOM: self._atoms, plans.MAPPING: self._dicts}.get(plan.shape, self._others)
        group.add(address)
        if plan.base_of is not None:
            self._views.add(address)
        if plan.size_bytes is None or plan.length is not None:
            self._measured.add(address)
        if (plan.shape not in UNLABELLED or plan.shape == plans.WEAK) and kind is not dict:
            self._named.add(address)

    def _dict_rows(self, items, counts, places):
        """Rows for dicts: their values, then their keys."""
        referents = list(map(list, map(chain, map(dict.values, items), map(dict.keys, items))))
        bases = accumulate(chain((len(self._target),), map(len, referents)))
        self._rows(items, self._kinds(items), counts, referents, places)
        namespaces = self._labels.namespaces
        for item, base, entries in zip(items, bases, referents):
            if id(item) in namespaces:
                self._labels.namespace(item, list(map(id, entries)), base)

    def _own_kinds_rows(self, items, counts, places):
        """Rows for mappings of the program's own classes: what they refer to besides their items comes last."""
        every = []
        for mapping in items:
            referents = list(chain(dict.values(mapping), dict.keys(mapping)))
            known = set(map(id, referents))
            referents += [other for other in get_referents(mapping) if id(other) not in known]
            every.append(referents)
        self._rows(items, self._kinds(items), counts, every, places)

    def _other_rows(self, items, kinds):
        self._rows(items, kinds, None, self._referents(items, kinds))

    def _referents(self, items, kinds):
        """What each object refers to, the owner of a view's memory last."""
        referents = list(map(get_referents, items))
        if not self._views.isdisjoint(kinds):
            for place in compress(range(len(items)), map(self._views.__contains__, kinds)):
                owner = self._types.plan_by_id[kinds[place]].base_of(items[place])
                if owner is not None:
                    referents[place].append(owner)
        return referents

    def _rows(self, items, kinds, counts, referents, places=None):
        """Rows for some objects, and their names.

        `counts` are their refcounts and `places` where they stand in the collector's list, None when it did not list
        them; `referents` None when they have none.
        """
        first_row, base, count = len(self._count), len(self._target), len(items)
        columns = self._objects
        columns["object.address"].extend(map(id, items))
        columns["object.type"].extend(map(self._row_by_kind.__getitem__, kinds))
        sizes, lengths = self._measure(items, kinds)
        columns["object.size"].extend(sizes)
        columns["object.length"].extend(lengths)
        columns["object.refcount"].extend(repeat(schema.SATURATED, count) if counts is None else counts)
        columns["object.flags"].extend(self._flags(items, kinds, counts is not None))
        self._place.extend(repeat(schema.NO_PLACE, count) if places is None else places)
        if referents is None:
            self._count.extend(repeat(0, count))
        else:
            self._count.extend(map(len, referents))
            self._refer(list(chain.from_iterable(referents)))
        if referents is not None and not self._named.isdisjoint(kinds):
            self._name(items, kinds, referents, first_row, base)

    def _measure(self, items, kinds):
        """(sizes in bytes, lengths) of some objects, as iterators."""
        if self._measured.isdisjoint(kinds):
            return map(self._size_by_kind.__getitem__, kinds), repeat(schema.NO_LENGTH, len(items))
        sizes, lengths = {}, {}
        for kind, group in grouped(items, kinds).items():
            plan, size = self._types.plan_by_id[kind], self._size_by_kind[kind]
            sizes[kind] = repeat(size) if plan.size_bytes is not None else iter(sizes_of(group, plan))
            lengths[kind] = repeat(schema.NO_LENGTH) if plan.length is None else iter(lengths_of(group, plan))
        return (map(next, map(column.__getitem__, kinds)) for column in (sizes, lengths))

    def _flags(self, items, kinds, are_listed):
        """OBJECT_* bits, an iterator; tuples and frozensets are never listed (listing.py): the collector is asked."""
        if are_listed:
            return map(LISTED_FLAGS.__getitem__, map(is_finalized, items))
        if self._finds_tracked and not UNFINISHED.isdisjoint(kinds):
            return map(and_, map(UNFINISHED.__contains__, kinds), map(is_tracked, items))
        return repeat(0, len(items))

    def _refer(self, referents):
        """Note the references of some rows, one after the other, and remember what is new."""
        self._target.extend(map(id, referents))
        found = dict(zip(keys_of(referents), referents))
        new = set(found).difference(self._seen)  # goes through the few found; `keys() - seen` would through all seen
        self._seen |= new
        self._pending.extend(map(found.__getitem__, new))
        if self.taken_bytes() > self._limit_bytes:
            raise MemoryError

    def _name(self, items, kinds, referents, first_row, base):
        """Names for those of a slice whose class asks for it."""
        bases = list(accumulate(chain((base,), map(len, referents))))
        labels, plan_by_id = self._labels, self._types.plan_by_id
        for place in compress(range(len(items)), map(self._named.__contains__, kinds)):
            item, plan, ids = items[place], plan_by_id[kinds[place]], list(map(id, referents[place]))
            if plan.shape == plans.WEAK:
                self._weak(item, first_row + place)
                continue
            labels.add(item, plan, ids, bases[place], first_row + place)
            if plan.shape == plans.INSTANCE and plan.bound is None and plan.labelled >= LABELLED_MAX:
                self._named.discard(kinds[place])

    def _weak(self, item, row):
        target = plans.referent_of(item)
        self._weak_source.append(row)
        self._weak_target.append(0 if target is None else id(target))

    def _root(self, root):
        """One row of root.*; a running frame gets an object row whose references are its locals, by name."""
        id_of, target, values = self._strings.id_of, root.target, root.locals
        root.target = root.locals = None
        for column, value in zip(self._roots.values(), (id(target), id_of(root.kind), id_of(root.label))):
            column.append(value)
        if values is None:
            if self._seen.isdisjoint(keys_of((target,))):
                self._seen.update(keys_of((target,)))
                self._pending.append(target)
            return
        self._seen.update(keys_of((target,)))
        names = list(values)
        base = len(self._target)
        self._rows([target], self._kinds([target]), None, [list(values.values())])
        for index, name in enumerate(names):
            if type(name) is str:
                self._labels.mark(base + index, schema.LABEL_LOCAL + name)
