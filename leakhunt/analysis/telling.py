"""The class that tells most about a set of leaked objects: the application's own before dict, list, cell or tuple."""

from __future__ import annotations

from collections import Counter

import numpy as np

from .graph import Bools, HeapGraph, Ints

ATOMS = frozenset(
    f"builtins.{n}" for n in ("str", "bytes", "bytearray", "int", "float", "complex", "bool", "NoneType", "range")
)
# Wrappers that say nothing of themselves: what they wrap is looked at in their place.
GLUE = frozenset(
    f"builtins.{n}"
    for n in (
        "tuple", "list", "dict", "set", "frozenset", "cell", "method", "function", "hamt", "hamt_bitmap_node",
        "hamt_array_node", "hamt_collision_node", "mappingproxy", "builtin_function_or_method",
    )
) | {
    "collections.OrderedDict", "collections.deque", "collections.defaultdict", "functools.partial",
    "functools._lru_list_elem", "_contextvars.Context", "builtins.Context",
}  # fmt: skip
UNWRAP_MAX = 6
MAJORITY = 0.4
UNWRAPPED_SHARE = 0.15  # several wrappers may share what they wrap


def telling_class(graph: HeapGraph, children: Ints, within: Bools) -> str:
    """Name of the class to show for objects `children` of a growing place, `within` the objects that are new."""
    direct = Counter(graph.type_name(int(i)) for i in children)
    if not direct:
        return ""
    unwrapped = unwrap(graph, children, within)
    if unwrapped:
        name, number = Counter(graph.type_name(int(i)) for i in unwrapped).most_common(1)[0]
        wrappers = sum(n for kind, n in direct.items() if kind not in ATOMS) or 1
        if number >= UNWRAPPED_SHARE * wrappers:
            return name
        metaclass, number = _metaclass(graph, unwrapped, within)
        if number >= UNWRAPPED_SHARE * wrappers:
            return metaclass
    solid = [(name, number) for name, number in direct.most_common() if name not in ATOMS]
    if solid and solid[0][1] >= MAJORITY * max(n for _, n in direct.most_common()):
        return solid[0][0]
    return _heaviest(graph, children)


def _metaclass(graph: HeapGraph, objects: list[int], within: Bools) -> tuple[str, int]:
    """Of objects whose classes are new themselves, each another: what most of these classes are, and how many."""
    addresses = graph.snapshot.column("type.address")[graph.types[objects]]
    classes = np.unique(graph.index_of(addresses))
    made = Counter(graph.type_name(i) for i in classes[classes >= 0].tolist() if within[i])
    return made.most_common(1)[0] if made else ("", 0)


def unwrap(graph: HeapGraph, children: Ints, within: Bools) -> list[int]:
    """New objects of a class that means something, the nearest ones on each way down from `children`."""
    found, seen = [], np.zeros(graph.count, dtype=bool)
    layer = [int(i) for i in children if within[i]]
    for _ in range(UNWRAP_MAX):
        following: list[int] = []
        for index in layer:
            if seen[index]:
                continue
            seen[index] = True
            name = graph.type_name(index)
            if name in GLUE:
                following.extend(int(r) for r in graph.referents(index) if within[r] and not seen[r])
            elif name not in ATOMS:
                found.append(index)
        if len(found) >= UNWRAPPED_SHARE * len(children):
            break
        layer = following
    return found


def _heaviest(graph: HeapGraph, children: Ints) -> str:
    """Of atoms, the class that takes most bytes."""
    weight: Counter[str] = Counter()
    for index in children.tolist():
        weight[graph.type_name(index)] += int(graph.sizes[index])
    return weight.most_common(1)[0][0]


def is_context_name(name: str) -> bool:
    """Whether a class is `contextvars.Context` or a part of the mapping inside of one."""
    return name in ("_contextvars.Context", "builtins.Context") or name.startswith("builtins.hamt")


def function_name(graph: HeapGraph, children: Ints) -> str:
    """For leaked functions: the qualified name most of them share, '' when they are no functions."""
    names = Counter(graph.names[int(i)][0] for i in children if int(i) in graph.names and _is_function(graph, int(i)))
    return names.most_common(1)[0][0] if names else ""


def _is_function(graph: HeapGraph, index: int) -> bool:
    return graph.type_name(index) == "builtins.function"
