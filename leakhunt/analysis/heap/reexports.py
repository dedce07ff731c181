"""What a module made in C holds, reached by the name that a person finds in source.

Such a module has no source to read: what it keeps in C has no name at all, and what a private one (`_ctypes`) gives
out is meant to be used by the name that the public one imports it under (`ctypes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leakhunt.agent import schema

from .graph import HeapGraph, Indexes

LIBRARIES = (".so", ".pyd", ".dll")
NAMESPACE, GLOBALS = schema.LABEL_INTERNAL + "__dict__", schema.LABEL_INTERNAL + "__globals__"
KIN, ITSELF, OTHER = range(3)  # who names it best: the module's own package, then itself, then whoever imports it


@dataclass(frozen=True)
class Module:
    """A module that a root leads to: the index of it and of its namespace, and whether it was made in C."""

    name: str
    index: int
    namespace: int
    is_in_c: bool

    @property
    def is_private(self) -> bool:
        """Whether its name says that others are to use what it gives out: `_ctypes`, `shop._speedups`."""
        return any(word.startswith("_") and not word.startswith("__") for word in self.name.split("."))

    @property
    def package(self) -> str:
        """The package that it belongs to: `ctypes` for `_ctypes`."""
        return self.name.split(".")[0].lstrip("_")


def named_parents(graph: HeapGraph) -> Indexes:
    """The parents of `graph.kept_tree`, but what leads on from a module made in C by a module that names it in source.

    That may be a step longer than the shortest way. Paths stay paths: the new parent is the namespace of a root.
    """
    _, parents = graph.kept_tree
    modules = _modules(graph, parents)
    holders = {target: module for module in modules if module.is_in_c for target in _unnamed(graph, parents, module)}
    best: dict[int, tuple[tuple[int, bool, int, int], int]] = {}
    is_wanted = np.zeros(graph.count, dtype=bool)
    is_wanted[list(holders)] = True
    is_attribute = _labelled(graph, schema.LABEL_ATTRIBUTE)
    for number, module in enumerate(modules):
        begin, end = graph.offsets[module.namespace], graph.offsets[module.namespace + 1]
        targets = graph.targets[begin:end]
        for target in targets[is_wanted[targets] & is_attribute[graph.edge_labels[begin:end]]].tolist():
            how = _kinship(module, holders[target])
            if how is not None:
                found = (how, module.is_private, module.name.count("."), number), module.namespace
                best[target] = min(best.get(target, found), found)
    named = parents.copy()
    for target, (_, namespace) in best.items():
        named[target] = namespace
    return named


def _kinship(module: Module, holder: Module) -> int | None:
    if module.index == holder.index:
        return ITSELF
    if module.is_in_c:
        return None
    return KIN if module.package == holder.package else OTHER


def _modules(graph: HeapGraph, parents: Indexes) -> list[Module]:
    """Modules with a namespace that the tree reaches by them, each by its first name."""
    is_namespace, is_globals = _labelled(graph, NAMESPACE), _labelled(graph, GLOBALS)
    of_functions = set(graph.targets[is_globals[graph.edge_labels]].tolist())
    found: dict[int, Module] = {}
    for root in graph.roots:
        if root.kind != "module" or root.index in found or parents[root.index] != graph.count:
            continue
        begin, end = graph.offsets[root.index], graph.offsets[root.index + 1]
        held = graph.targets[begin:end][is_namespace[graph.edge_labels[begin:end]]]
        if not len(held) or parents[held[0]] != root.index:
            continue
        file = graph.names.get(root.index, ("", "", 0))[1]
        has_source = bool(file and not file.endswith(LIBRARIES)) or int(held[0]) in of_functions
        is_in_c = not has_source and root.label != "__main__"
        found[root.index] = Module(root.label, root.index, int(held[0]), is_in_c)
    return list(found.values())


def _unnamed(graph: HeapGraph, parents: Indexes, module: Module) -> list[int]:
    """What the module leads to on the tree and no name in source stands for."""
    begin, end = graph.offsets[module.index], graph.offsets[module.index + 1]
    targets, labels = graph.targets[begin:end], graph.edge_labels[begin:end]
    found = np.setdiff1d(targets[labels == 0], targets[labels > 0])
    if module.is_private:
        found = np.union1d(found, graph.targets[graph.offsets[module.namespace] : graph.offsets[module.namespace + 1]])
    from_here = (parents[found] == module.index) | (parents[found] == module.namespace)
    return [int(target) for target in found[from_here].tolist() if target != module.namespace]


def _labelled(graph: HeapGraph, mark: str) -> np.ndarray:
    """Rows of the texts that begin with `mark`, bool."""
    return np.array([text.startswith(mark) for text in graph.snapshot.strings], dtype=bool)
