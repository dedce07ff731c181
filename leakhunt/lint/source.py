"""Source code as the checks see it: classes, what their attributes are set to, and what names mean."""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.Lambda, ast.ClassDef)
BUILDERS = ("__init__", "__new__", "__post_init__", "__enter__", "__aenter__")
REMOVERS = {
    "pop", "popitem", "popleft", "remove", "discard", "clear", "difference_update", "intersection_update",
    "unregister", "unsubscribe",
}  # fmt: skip


@dataclass(frozen=True)
class Diagnostic:
    """One thing to say about a line: what it does in one sentence, and what to do instead."""

    file: str
    line: int
    rule: str
    says: str
    advice: str


class Source:
    """One parsed file."""

    def __init__(self, file: str, text: bytes, tree: ast.Module) -> None:
        self.file, self.tree, self._lines = file, tree, text.splitlines()
        self.nodes = list(ast.walk(tree))
        self.classes = {node.name: Class(self, node) for node in self.nodes if isinstance(node, ast.ClassDef)}
        self.functions = {node.name: node for node in tree.body if isinstance(node, FUNCTIONS)}
        self.values = dict(assigned(tree.body))

    @functools.cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @functools.cached_property
    def imports(self) -> dict[str, str]:
        """What an imported name is in full."""
        names = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    names[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        return names

    def is_using(self, module: str) -> bool:
        """Whether a name is imported from the module, or the module itself."""
        return any(name == module or name.startswith(f"{module}.") for name in self.imports.values())

    def line(self, number: int) -> str:
        return self._lines[number - 1].decode("utf-8", "replace") if 0 < number <= len(self._lines) else ""

    def full_name(self, node: ast.expr) -> str:
        """`module.name` of an imported or builtin thing, '' for any other."""
        if isinstance(node, ast.Name):
            if node.id in self.imports:
                return self.imports[node.id]
            is_builtin = hasattr(builtins, node.id) and node.id not in self.functions and node.id not in self.values
            return f"builtins.{node.id}" if is_builtin else ""
        if isinstance(node, ast.Attribute) and (name := self.full_name(node.value)):
            return f"{name}.{node.attr}"
        return ""

    def maker(self, node: ast.expr, owner: Class | None = None) -> str:
        """The full name of the function or class that made what an expression stands for, '' if it can't be told."""
        if isinstance(node, ast.Call):
            if name := self.full_name(node.func):
                return name
            if isinstance(node.func, ast.Attribute) and (name := self.maker(node.func.value, owner)):
                return f"{name}.{node.func.attr}"
        if isinstance(node, ast.Name) and isinstance(value := self.values.get(node.id), ast.Call):
            return self.full_name(value.func)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and owner is not None:
            made = {self.full_name(v.func) for v, _ in owner.attributes.get(node.attr, ()) if isinstance(v, ast.Call)}
            return made.pop() if len(made) == 1 else ""
        return ""

    def called(self, call: ast.Call, owner: Class | None = None) -> str:
        """The full name of what is called, by name or as a method of something whose maker is known."""
        if name := self.full_name(call.func):
            return name
        if isinstance(call.func, ast.Attribute) and (name := self.maker(call.func.value, owner)):
            return f"{name}.{call.func.attr}"
        return ""

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node is in, from the inside out."""
        while node in self.parents:
            node = self.parents[node]
            yield node


class Class:
    """A class: its methods, the values of its own names, and what its methods set on self."""

    def __init__(self, source: Source, node: ast.ClassDef) -> None:
        self.source, self.node, self.name = source, node, node.name
        self.methods = {m.name: m for m in node.body if isinstance(m, FUNCTIONS)}
        self.values = dict(assigned(node.body))

    @functools.cached_property
    def attributes(self) -> dict[str, list[tuple[ast.expr, Function]]]:
        """Attribute -> (value, method) of each assignment `self.attribute = value`."""
        found: dict[str, list[tuple[ast.expr, Function]]] = {}
        for method in self.methods.values():
            for target, value in assignments(method):
                if (name := attribute_of(target, own(method))) and value is not None:
                    found.setdefault(name, []).append((value, method))
        return found

    @functools.cached_property
    def bases(self) -> set[str]:
        """Last parts of the names of its bases."""
        return {last_name(base) for base in self.node.bases}

    @property
    def is_few(self) -> bool:
        """Whether its instances are members of an enumeration, or classes."""
        return any(name == "type" or name.endswith(("Enum", "Flag", "Meta", "Singleton")) for name in self.bases)


class Project:
    """All files that are looked through together."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)

    @functools.cached_property
    def emptied(self) -> set[str]:
        """Names of attributes and variables out of which something is taken somewhere."""
        return {name for source in self.sources for name in _emptied(source)}

    @functools.cached_property
    def made_once(self) -> set[str]:
        """Names of classes of which instances are made at module level, and in no function."""
        inside: set[str] = set()
        outside: set[str] = set()
        for source in self.sources:
            for node in source.nodes:
                if isinstance(node, ast.Call) and (name := last_name(node.func)):
                    (inside if any(isinstance(n, FUNCTIONS) for n in source.around(node)) else outside).add(name)
        return outside - inside


def _emptied(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in REMOVERS:
                yield last_name(node.func.value)
            elif not (isinstance(node.func, ast.Name) and source.full_name(node.func).startswith("builtins.")):
                for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                    yield last_name(argument)  # who knows what is done with it there
        elif isinstance(node, ast.Delete):
            yield from (last_name(t.value) for t in node.targets if isinstance(t, ast.Subscript))
        elif isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            yield last_name(node.value)
        elif isinstance(node, ast.AugAssign) and not isinstance(node.op, ast.Add | ast.BitOr):
            yield last_name(node.target)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) or any(isinstance(n, FUNCTIONS) for n in source.around(node)):
                    is_slice = isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice)
                    yield last_name(target.value if is_slice and isinstance(target, ast.Subscript) else target)
            yield last_name(node.value)  # an alias


def last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`, `a` of `a`, '' of anything else."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def assigned(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Names that these statements bind themselves, with the values."""
    for node in body:
        if isinstance(node, ast.Assign):
            yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def inside(function: ast.AST) -> Iterator[ast.AST]:
    """All nodes that run when the function does: not those of functions and classes that it defines."""
    waiting = list(ast.iter_child_nodes(function))[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, SCOPES):
            waiting += list(ast.iter_child_nodes(node))[::-1]


def assignments(function: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """(target, value) of every assignment in it; None for a `del`, and where a target is unpacked."""
    for node in inside(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple | ast.List):
                    values = node.value.elts if isinstance(node.value, ast.Tuple | ast.List) else ()
                    pairs = values if len(values) == len(target.elts) else [None] * len(target.elts)
                    yield from zip(target.elts, pairs, strict=True)
                else:
                    yield target, node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            yield node.target, node.value
        elif isinstance(node, ast.Delete):
            yield from ((target, None) for target in node.targets)


def own(method: Function) -> str:
    """What a method calls its instance, '' where it has none."""
    arguments = [*method.args.posonlyargs, *method.args.args]
    is_plain = not any(last_name(d) in ("staticmethod", "classmethod") for d in method.decorator_list)
    return arguments[0].arg if arguments and is_plain else ""


def attribute_of(node: ast.expr, name: str) -> str:
    """`x` where the node is `name.x`, '' where it is not."""
    is_it = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    return node.attr if is_it and isinstance(node, ast.Attribute) else ""


def reaches(node: ast.expr, me: str, owner: Class | None) -> bool:
    """Whether a value certainly refers to the object called `me`: itself, in a display or lambda, as a bound method."""
    if isinstance(node, ast.Name):
        return node.id == me
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(reaches(element, me, owner) for element in node.elts)
    if isinstance(node, ast.Attribute):
        method = owner.methods.get(node.attr) if owner is not None else None
        return bool(attribute_of(node, me)) and method is not None and not method.decorator_list
    if isinstance(node, ast.Dict):
        return any(reaches(value, me, owner) for value in node.values)
    if isinstance(node, ast.Lambda):
        bound = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        return me not in bound and any(isinstance(n, ast.Name) and n.id == me for n in ast.walk(node.body))
    if isinstance(node, ast.Call) and last_name(node.func) == "partial":
        return any(reaches(argument, me, owner) for argument in node.args)
    return False
