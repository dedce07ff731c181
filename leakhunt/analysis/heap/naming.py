"""Names for places in the heap: how a person would find a holder in the source."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from leakhunt.agent import schema
from leakhunt.findings import Chain, Link

from .graph import HeapGraph, Indexes
from .reexports import named_parents

NAMELESS = schema.TYPE_PLUMBING | schema.TYPE_ATOM | schema.TYPE_INTERPRETER
BARE = schema.TYPE_BARE | schema.TYPE_PLUMBING  # said by their own name, not by their class
CHAIN_MAX = 60
REFERRERS_MAX = 100


@dataclass(frozen=True)
class Step:
    """One edge on the way down: from the object `source` to `target`, with the label of the edge."""

    source: int
    target: int
    label: str

    @property
    def is_internal(self) -> bool:
        return self.label.startswith(schema.LABEL_INTERNAL)

    @property
    def is_attribute(self) -> bool:
        return self.label.startswith(schema.LABEL_ATTRIBUTE)


def kind_of(label: str) -> str:
    """The kind of step that a label names, in the words of `leakhunt.findings.Link`."""
    kinds = {schema.LABEL_ATTRIBUTE: "attribute", schema.LABEL_CLOSURE: "closure", schema.LABEL_LOCAL: "local"}
    return kinds.get(label[:1], "internal")


def reading(label: str) -> str:
    """A label as a person reads it: `.attribute`, `<variable x>`, `<local x>`, `__dict__`; `[*]` for none."""
    texts = {"closure": f"<variable {label[1:]}>", "local": f"<local {label[1:]}>", "internal": label[1:]}
    return texts.get(kind_of(label), label) if label else "[*]"


class Names:
    """Names for the objects of one graph, along the shortest paths from its roots that source has names for.

    `parents[i]` is the object before i on that path, N for a root, -1 where nothing leads to i.
    """

    def __init__(self, graph: HeapGraph, parents: Indexes | None = None) -> None:
        self.graph = graph
        self.parents = named_parents(graph) if parents is None else parents
        self._roots = {}
        for root in reversed(graph.roots):
            self._roots[root.index] = root

    @functools.cached_property
    def _module_by_file(self) -> dict[str, str]:
        """Module name by its file: code objects of coroutines know their file only."""
        rows = self.graph.names.items()
        return {file: name for index, (name, file, _) in rows if self.graph.type_name(index) == "builtins.module"}

    def steps(self, index: int) -> list[Step]:
        """The edges from the root (first) down to `index`; empty where nothing leads there or it is a root itself."""
        found: list[Step] = []
        while len(found) < CHAIN_MAX:
            parent = int(self.parents[index])
            if parent < 0 or parent == self.graph.count:
                break
            found.append(Step(parent, index, self._label(parent, index)))
            index = parent
        return found[::-1]

    def _label(self, source: int, target: int) -> str:
        edge = self.graph.edge_between(source, target)
        label = self.graph.label(edge) if edge >= 0 else ""
        if not label and self.graph.type_name(target) == "builtins.cell":
            return self.graph.names.get(target, ("",))[0]
        return label or self._parameter(source, edge)

    def _parameter(self, source: int, edge: int) -> str:
        """The label of a default of a function, which `source` has at `edge`; "" for any other item."""
        above = int(self.parents[source])
        if not 0 <= above < self.graph.count or self.graph.type_name(above) != "builtins.function":
            return ""
        defaults = self.graph.edge_between(above, source)
        label = self.graph.label(defaults) if defaults >= 0 else ""
        names = label.removeprefix(schema.LABEL_DEFAULTS).split(",")
        number = edge - int(self.graph.offsets[source])
        known = label.startswith(schema.LABEL_DEFAULTS) and 0 <= number < len(names)
        return f"{schema.LABEL_CLOSURE}{names[number]}" if known else ""

    def root_of(self, index: int) -> str:
        """Text of the root that a chain to `index` begins at."""
        steps = self.steps(index)
        first = steps[0].source if steps else index
        root = self._roots.get(first)
        if root is None:
            return "held outside the Python heap"
        return {"module": f"module {root.label}", "frame": f"frame {root.label}"}.get(root.kind, root.label)

    def class_of(self, index: int) -> str:
        """Where attributes of the object are said to live: its class, or itself for a class, module or function."""
        name, file, _ = self.graph.names.get(index, ("", "", 0))
        if not name or name.startswith(schema.LABEL_CLOSURE):
            return self.graph.type_name(index)
        module = self._module_by_file.get(file) if self.graph.is_a(index, schema.TYPE_SUSPENDED) else None
        return f"{module}.{name}" if module and not name.startswith(f"{module}.") else name

    def owners(self, index: int) -> list[str]:
        """Names of the place that holds `index`, nearest first: `module.Class.attribute`, `module.global`, …

        Later ones name the same place from further up (`module.SESSION._cookie_jar._cookies`).
        """
        return self._owners_along(self.steps(index), index)

    def _owners_along(self, steps: list[Step], index: int) -> list[str]:
        tail: list[str] = []
        found: list[str] = []
        pending_namespace = pending = None
        for step in reversed(steps):
            label = step.label
            if step.is_internal:
                pending_namespace = None
                if label == "-__dict__" and (tail or step.target == index) and not self._is_bare(step.source):
                    if self._is_wrapper(step.source) and pending is not None:
                        found.extend(self._attributes_that_are(pending))
                    found.append(".".join([self.class_of(step.source), *(tail or ["__dict__"])]))
                elif label.startswith(schema.LABEL_DEFAULTS) and tail:
                    found.append(".".join([self.class_of(step.source), *tail]))
                if not tail and found:
                    break
                continue
            if label.startswith(schema.LABEL_CLOSURE):
                tail.insert(0, f"<{label[1:]}>")
                pending_namespace = step
            elif label.startswith(schema.LABEL_LOCAL):
                if not tail:
                    found.extend(self._attributes_that_are(step.target))
                tail.insert(0, f"<{label[1:]}>")
                found.append(".".join([self._frame_name(step.source), *tail]))
            elif step.is_attribute:
                tail.insert(0, label[1:])
                pending = step.target
                if not self._is_bare(step.source):
                    if self._is_wrapper(step.source):
                        found.extend(self._attributes_that_are(step.target))
                    found.append(".".join([self.class_of(step.source), *tail]))
            elif not tail and self.graph.is_a(step.source, schema.TYPE_SUSPENDED):
                found.append(f"{self.class_of(step.source)}.<local>")
                break
            elif not tail and self._is_instance(step.source):
                found.append(f"{self.class_of(step.source)}.<attribute>")
                break
            elif pending_namespace is not None and self.graph.type_name(step.source) == "builtins.function":
                found.append(".".join([self.class_of(step.source), *tail]))
                pending_namespace = None
            if len(found) >= 6:
                break
        if tail and not found:
            found.append(".".join([self.class_of(steps[0].source), *tail]))
        if not tail and not found:
            root = self._roots.get(steps[0].source if steps else index)
            if root is not None:
                found.append(root.label)
        return list(dict.fromkeys(found))

    def _attributes_that_are(self, index: int) -> list[str]:
        """Attributes of instances that refer to `index` as well: what a local variable is called tells less."""
        found = []
        for edge in self.graph.referrer_edges(index)[:REFERRERS_MAX].tolist():
            label, source = self.graph.label(edge), int(self.graph.sources[edge])
            owner = int(self.parents[source]) if self._is_namespace(source) else source
            if label.startswith(schema.LABEL_ATTRIBUTE) and self._is_instance(owner) and not self._is_bare(owner):
                found.append(self.class_of(owner) + label)
        return found

    def _is_wrapper(self, index: int) -> bool:
        """Whether it is a function, whose attributes `functools.wraps` may have copied from what it wraps."""
        return self.graph.type_name(index) == "builtins.function"

    def _is_instance(self, index: int) -> bool:
        """Whether the object is of a class of Python or of an extension, and no container: it refers to attributes."""
        other = schema.TYPE_IS_CLASS | schema.TYPE_INTERPRETER | schema.TYPE_PLUMBING
        is_heap = self.graph.is_a(index, schema.TYPE_HEAP | schema.TYPE_EXTENSION)
        return bool(is_heap and self.graph.lengths[index] < 0 and not self.graph.is_a(index, other))

    def _is_bare(self, index: int) -> bool:
        """Whether attributes of `index` are named by what it is called, further up: a namespace, an object of no class
        of its own."""
        if self._is_namespace(index) or self.graph.is_a(index, BARE):
            return not self._says_its_own_name(index)
        return False

    def _says_its_own_name(self, index: int) -> bool:
        """Whether plumbing is a place of its own after all: a function, a coroutine, or a method of them."""
        kind = self.graph.type_name(index)
        return kind in ("builtins.function", "builtins.code") or self.graph.is_a(index, schema.TYPE_SUSPENDED)

    def _is_namespace(self, index: int) -> bool:
        """Whether `index` is the `__dict__` of its parent on the path: the parent gives the name then."""
        parent = int(self.parents[index])
        if not 0 <= parent < self.graph.count:
            return False
        return self._label(parent, index).startswith(schema.LABEL_INTERNAL)

    def _frame_name(self, index: int) -> str:
        root = self._roots.get(index)
        return root.label.split(" (", 1)[0] if root else self.class_of(index)

    def owner_index(self, index: int) -> int:
        """The object whose attribute leads to `index` (namespace dicts skipped), or -1."""
        for step in reversed(self.steps(index)):
            if step.is_attribute and not self._is_namespace(step.source):
                return step.source
            if step.is_internal and step.label == "-__dict__" and not self._is_namespace(step.source):
                return step.source
        return -1

    def chain(self, index: int, tail: str = "") -> Chain:
        """The retaining chain from the root to `index`, as a reader sees it: namespaces and cells are not stops."""
        steps = self.steps(index)
        links = [Link("root", self.root_of(index), self.graph.type_name(steps[0].source if steps else index))]
        for step in steps:
            if step.is_internal or (self.graph.type_name(step.target) == "builtins.cell" and not step.label):
                continue
            kind, label = self._reading(step)
            if kind == "item":
                label = self._key(step) or label
            links.append(Link(kind, label, self.class_name(step.target), self._finalizer(step.target)))
        if tail:
            links.append(Link("item", "[*]", tail))
        return Chain(tuple(links))

    def class_name(self, index: int) -> str:
        return self.graph.type_name(index)

    def _reading(self, step: Step) -> tuple[str, str]:
        if step.label:
            return kind_of(step.label), reading(step.label)
        source = self.graph.type_name(step.source)
        return ("internal", "") if source in ("builtins.cell", "builtins.function") else ("item", "[*]")

    def _key(self, step: Step) -> str:
        """`['key']` for the entry of a mapping, "" where no values were stored."""
        if not self.graph.values or self.graph.lengths[step.source] < 0:
            return ""
        edge = self.graph.edge_between(step.source, step.target)
        text = self.graph.key_text(step.source, edge) if edge >= 0 else ""
        return f"[{text}]" if text else ""

    def _finalizer(self, index: int) -> str | None:
        snapshot, row = self.graph.snapshot, int(self.graph.types[index])
        if not int(snapshot.column("type.flags")[row]) & schema.TYPE_HAS_DEL:
            return None
        file = snapshot.strings[int(snapshot.column("type.del_file")[row])]
        return f"{file}:{int(snapshot.column('type.del_line')[row])}"

    def path(self, index: int) -> tuple[str, ...]:
        """The contract's `holder.path`: root, attribute names, and the classes of instances in between."""
        words = [self.root_of(index)]
        for step in self.steps(index):
            if step.is_internal:
                continue
            _, label = self._reading(step)
            if label:
                words.append(label)
            if step.is_attribute and not self.graph.is_a(step.target, NAMELESS):
                words.append(self.class_of(step.target))
        return (*words, "[*]")
