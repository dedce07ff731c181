"""Names for references and objects: attributes, closure variables, where functions and classes are defined.

Keys of the program's own dicts are data and are never taken; keys of a namespace (`__dict__` of a module, class or
instance) are identifiers and are.
"""

from _collections import _count_elements
from array import array
from gc import get_referents

from . import __builtins__, plans, schema
from .plans import generic_getattr
from .roots import local_values

LABELLED_MAX = 1024  # objects of one class, or functions of one code, that get names; others are read by analogy
SUSPENDED_MAX = 2  # of one code that get names for their locals: the ones that wait for long are few
OTHERS_MAX = 4  # objects of one class whose attributes are looked for among the names that the program uses
UNLABELLED = (plans.ATOM, plans.SEQUENCE, plans.WEAK)
# Whose names stay right as long as they refer to the same things: not of what runs, nor of what threads have.
LASTING = (plans.FUNCTION, plans.METHOD, plans.MODULE, plans.CLASS, plans.INSTANCE, plans.MAPPING)
HASH_BITS = (1 << 64) - 1


class Labels:
    """Columns label.*, name.* and bound.* of one snapshot (schema.py)."""

    def __init__(self, strings):
        self._id_of = strings.id_of
        self.namespaces = {}  # id() -> mapping that proved to be a namespace
        self._names_used = None  # by the program's own code, as a tuple; None until needed
        self._members = {}  # id() of a class -> names under which it gives out what it has in C
        self._asked = {}  # id() of a class -> instances whose attributes were looked for among these
        self._named_by_code = {}  # id() of a code object -> functions of it that have a name already
        self.position, self.label = array("Q"), array("I")
        self.name_address, self.name_text, self.name_file, self.name_line = (
            array("Q"),
            array("I"),
            array("I"),
            array("I"),
        )
        self.bound_row, self.bound_value = array("I"), array("Q")
        self.found, self.spaces = array("Q"), array("Q")  # what was named, and namespaces in the order they were found

    def columns(self):
        return {
            "label.position": self.position, "label.name": self.label,
            "name.address": self.name_address, "name.text": self.name_text,
            "name.file": self.name_file, "name.line": self.name_line,
            "bound.object": self.bound_row, "bound.value": self.bound_value,
        }  # fmt: skip

    def add(self, item, plan, ids, base, row):
        """Name what can be named of `item`, which refers to the addresses `ids`, from `base` of reference.target on.

        The walk may be over when this runs: what `item` refers to by now and did not then is left out.
        """
        name = NAMER_BY_SHAPE.get(plan.shape)
        if name is not None:
            name(self, item, plan, ids, base, row)

    def note(self, address=0, qualname=0, group=0):
        """All that was named since the last call belongs to the object at `address`, 0 for none (see _walk_names.c)."""
        ends = len(self.position), len(self.name_address), len(self.bound_row), len(self.spaces)
        self.found.extend((address, qualname, group, *ends))

    def identity(self, item, plan):
        """(hash of a function's qualified name or 0, id() of what limits how many are named) of what was just named."""
        if plan.shape == plans.FUNCTION:
            qualname, code = item.__qualname__, id(item.__code__)
            is_counted = self._named_by_code.get(code, 0) <= LABELLED_MAX
            return hash(qualname) & HASH_BITS if type(qualname) is str else 0, code if is_counted else 0
        return 0, id(plan.kind) if 0 < plan.labelled < LABELLED_MAX else 0

    def named(self):
        """What was named here, as KnownNames.remember() takes it."""
        return (
            self.found, self.spaces, self.position, self.label, self.name_address, self.name_text, self.name_file,
            self.name_line, self.bound_value,
        )  # fmt: skip

    def limit_by(self, groups, plan_by_id):
        """Count for the limits what has its names from the last graph; `groups`: ids of codes and classes, as bytes."""
        counts = {}
        _count_elements(counts, array("Q", groups))
        for address, count in counts.items():
            plan = plan_by_id.get(address)
            if plan is None:
                self._named_by_code[address] = count
            else:
                plan.labelled = count

    def recalled(self, columns):
        """Add the names that are still right since the last graph, as KnownNames.columns() gives them."""
        own = (
            self.position, self.label, self.name_address, self.name_text, self.name_file, self.name_line,
            self.bound_row, self.bound_value,
        )  # fmt: skip
        for column, data in zip(own, columns):
            column.frombytes(data)

    def _register(self, namespace):
        self.namespaces[id(namespace)] = namespace
        self.spaces.append(id(namespace))

    def mark(self, position, text):
        self.position.append(position)
        self.label.append(self._id_of(text))

    def name(self, item, text, file="", line=0):
        self.name_address.append(id(item))
        self.name_text.append(self._id_of(text))
        self.name_file.append(self._id_of(file))
        self.name_line.append(line)

    def namespace(self, mapping, ids, base):
        """Names for the values of a namespace, whose row begins with their addresses in order.

        Attributes, or namespaces of an object's threads. A name that was given another value after the walk is known by
        its key, which the row has behind the values.
        """
        entries = list(dict.items(mapping))[: len(ids)]
        for index, (key, value) in enumerate(entries):
            has_other_value = len(ids) == 2 * len(entries) and ids[len(entries) + index] == id(key)
            if ids[index] != id(value) and not has_other_value:
                continue
            if type(key) is not str:
                if id(value) in self.namespaces:
                    self.mark(base + index, schema.LABEL_INTERNAL + "__dict__")
            elif id(type(value)) not in plans.TRIVIAL:
                self.mark(base + index, schema.LABEL_ATTRIBUTE + key)

    def _find(self, ids, target, base, text):
        address = id(target)
        if address in ids:
            self.mark(base + ids.index(address), text)

    def _function(self, item, plan, ids, base, row):
        code = item.__code__
        named = self._named_by_code.get(id(code), 0)
        self._named_by_code[id(code)] = named + 1
        if named >= LABELLED_MAX:
            return
        module = plans.text_of(item.__module__)
        self.name(
            item, "%s.%s" % (module or "?", plans.text_of(item.__qualname__)), code.co_filename, code.co_firstlineno
        )
        if item.__closure__ is not None:
            for variable, cell in zip(code.co_freevars, item.__closure__):
                self.name(cell, schema.LABEL_CLOSURE + variable)
        self._find(ids, item.__globals__, base, schema.LABEL_INTERNAL + "__globals__")
        for defaults, parameters in plans.defaults_of(item):
            self._find(ids, defaults, base, schema.LABEL_DEFAULTS + ",".join(parameters))
        for referent in get_referents(item):
            if type(referent) is dict and referent is not item.__globals__ and referent is not item.__kwdefaults__:
                self._adopt(item, plan, referent, ids, base, row)

    def _method(self, item, plan, ids, base, row):
        if plan.labelled < LABELLED_MAX:
            plan.labelled += 1
            self._find(ids, item.__self__, base, schema.LABEL_ATTRIBUTE + "__self__")
            self._find(ids, item.__func__, base, schema.LABEL_ATTRIBUTE + "__func__")

    def _module(self, item, plan, ids, base, row):
        namespace = generic_getattr(item, "__dict__")
        self._register(namespace)
        self.name(item, *(plans.text_of(plans.entry_of(namespace, word)) for word in ("__name__", "__file__")))
        self._find(ids, namespace, base, schema.LABEL_INTERNAL + "__dict__")

    def _class(self, item, plan, ids, base, row):
        file, line = "", 0
        proxy = plans.namespace_proxy_of(item)
        for entry in list(proxy.values()):
            place, first = plans.code_place(entry)
            if first and (not line or first < line):
                file, line = place, first
        self.name(item, plans.class_name(item), file, line)
        for namespace in get_referents(proxy):
            if type(namespace) is dict:
                self._register(namespace)
                self._find(ids, namespace, base, schema.LABEL_INTERNAL + "__dict__")

    def _coded(self, item, plan, ids, base, row):
        code = generic_getattr(item, plan.code)
        if type(code) is not plans.CodeType:
            return
        self.name(item, getattr(code, "co_qualname", code.co_name), code.co_filename, code.co_firstlineno)
        named = self._named_by_code.get(id(code), 0)
        self._named_by_code[id(code)] = named + 1
        if named < SUSPENDED_MAX and any(map(plans.is_filled, get_referents(item))):
            self._locals(item, plan, ids, base)

    def _locals(self, item, plan, ids, base):
        """Names for the locals of what is suspended.

        Asking for its frame makes one (3.11+), and its locals leave an empty dict in it (up to 3.12): it is done for a
        few only, which hold a container that somebody may ask about.
        """
        frame = generic_getattr(item, plan.code[:3] + "frame")
        if frame is None:
            return
        name_by_id = {id(value): name for name, value in local_values(frame)[0].items()}
        for index, address in enumerate(ids):
            name = name_by_id.pop(address, None)
            if name is not None:
                self.mark(base + index, schema.LABEL_LOCAL + name)

    def _instance(self, item, plan, ids, base, row):
        """Attribute names of an instance, its separate namespace dict if it has one, and its declared bound."""
        if plan.bound is not None:
            self._bound(row, plan.bound(item))
        if plan.labelled >= LABELLED_MAX:
            return
        plan.labelled += 1
        if plan.attributes is None:
            plan.attributes = plans.attribute_names(plan.kind)
        name_by_id = self._attributes(item, plan, row) if plan.attributes else {}
        adoptable = {id(referent): referent for referent in get_referents(item) if type(referent) is dict}
        self._given_by_others(item, plan, ids, name_by_id)
        self._only_member(item, plan, name_by_id)
        if name_by_id or adoptable:
            # An attribute that was given another value after the walk is known by its place among the references.
            now = list(map(id, get_referents(item)))
            for index, (address, by_name) in enumerate(zip(ids, now if len(now) == len(ids) else ids)):
                name = name_by_id.pop(by_name, None)
                if name is not None:
                    self.mark(base + index, schema.LABEL_ATTRIBUTE + name)
                elif address in adoptable:
                    self._adopt(item, plan, adoptable[address], ids, base, row)

    def _thread_local(self, item, plan, ids, base, row):
        """Attributes of threads: one dict of the object has, by thread, the dict that has them by name.

        They can't be asked for: that would give the agent's thread attributes of its own.
        """
        for table in get_referents(item):
            if type(table) is dict and not any(type(key) is str for key in list(table)):
                self.namespaces[id(table)] = table
                self._find(ids, table, base, schema.LABEL_INTERNAL + "__dict__")
                for attributes in list(dict.values(table)):
                    if type(attributes) is dict:
                        self.namespaces[id(attributes)] = attributes
        self._instance(item, plan, ids, base, row)

    def _mapping(self, item, plan, ids, base, row):
        """The same for what a dict subclass refers to besides its items."""
        if plan.kind is not dict:
            items = 2 * dict.__len__(item)
            self._instance(item, plan, ids[items:], base + items, row)

    def _attributes(self, item, plan, row):
        """Attribute name by id() of its value, as far as the class's code names them."""
        found = {}
        for name in plan.attributes:
            try:
                value = generic_getattr(item, name)
            except Exception:
                continue
            if type(value) is int:
                self._bound_attribute(row, name, value)
            elif id(type(value)) not in plans.TRIVIAL:
                found[id(value)] = name
        return found

    def _only_member(self, item, plan, name_by_id):
        """Adds the name of what an object of an extension's class has in C, where it has one thing and one name."""
        names = self._members.get(id(plan.kind))
        if names is None:
            names = self._members[id(plan.kind)] = plans.members_in_c(plan.kind)
        if len(names) == 1 and not name_by_id:
            held = [id(other) for other in get_referents(item) if not issubclass(type(other), type)]
            if len(held) == 1:
                name_by_id[held[0]] = names[0]

    def _given_by_others(self, item, plan, ids, name_by_id):
        """Adds the names of attributes that the program gave an object of somebody else's class (`app.cache = {}`).

        The class's own code does not mention them. They are looked for among all names that the program's own code
        uses, where an object refers to a container of some size that has no name.
        """
        asked = self._asked.get(id(plan.kind), 0)
        if asked >= OTHERS_MAX or not plans.flags_of(plan.kind) & plans.HEAP_FLAG:
            return
        unknown = {id(other) for other in get_referents(item) if plans.is_filled(other)}.difference(name_by_id)
        if not unknown.intersection(ids):
            return
        self._asked[id(plan.kind)] = asked + 1
        if self._names_used is None:
            self._names_used = plans.names_used()
        for name in self._names_used:
            if plans.is_plain(plan.kind, name):
                try:
                    address = id(generic_getattr(item, name))
                except Exception:
                    continue
                if address in unknown:
                    name_by_id[address] = name

    def _adopt(self, item, plan, namespace, ids, base, row):
        """Mark `namespace` as the `__dict__` of `item` when its entries prove to be the attributes of `item`."""
        proven, cached = None, False
        for name, value in list(dict.items(namespace)):
            if type(name) is not str:
                return
            if type(value) is int and name in plans.BOUND_NAMES:
                self._bound_attribute(row, name, value)
            if proven is None and plans.is_plain(plan.kind, name):
                try:
                    proven = generic_getattr(item, name) is value
                except Exception:
                    proven = False
                if not proven:
                    return
            elif proven is None and not cached:
                cached = plans.is_cached(plan.kind, name)
        if proven or (cached and proven is None):
            self._register(namespace)
            self._find(ids, namespace, base, schema.LABEL_INTERNAL + "__dict__")

    def _bound_attribute(self, row, name, value):
        if name in plans.BOUND_NAMES and value > 0:
            self._bound(row, value)

    def _bound(self, row, limit):
        if limit is not None:
            self.bound_row.append(row)
            self.bound_value.append(min(limit, (1 << 63) - 1))


NAMER_BY_SHAPE = {
    plans.FUNCTION: Labels._function,
    plans.METHOD: Labels._method,
    plans.MODULE: Labels._module,
    plans.CLASS: Labels._class,
    plans.CODED: Labels._coded,
    plans.LOCAL: Labels._thread_local,
    plans.INSTANCE: Labels._instance,
    plans.MAPPING: Labels._mapping,
}
