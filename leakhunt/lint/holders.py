"""Places that keep objects longer than their author thought: caches, registries, the atexit table, threads."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .source import (
    BUILDERS,
    FUNCTIONS,
    Class,
    Diagnostic,
    Function,
    Project,
    Source,
    assignments,
    attribute_of,
    inside,
    last_name,
    own,
    reaches,
)

Check = Callable[[Source, Project], Iterator[Diagnostic]]
CACHES = {"functools.lru_cache", "functools.cache", "async_lru.alru_cache"}
CONTAINERS = {
    "builtins.list", "builtins.dict", "builtins.set", "collections.deque", "collections.defaultdict",
    "collections.OrderedDict", "collections.ChainMap",
}  # fmt: skip
ADDERS = {"append", "appendleft", "add", "insert", "setdefault"}


def cached_methods(source: Source, project: Project) -> Iterator[Diagnostic]:
    """lru_cache or cache on a method (ruff and flake8-bugbear call it B019)."""
    for owner in source.classes.values():
        if owner.is_few:
            continue
        for method in owner.methods.values():
            decorators = {last_name(d) for d in method.decorator_list}
            if decorators & {"staticmethod", "classmethod"} or method.name == "__new__" or not own(method):
                continue
            for decorator in method.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if (name := source.full_name(called)) not in CACHES or owner.name in project.made_once:
                    continue
                bound = _bound(name, decorator)
                if bound is None or (bound > 1 and not _is_value(owner)):
                    yield Diagnostic(
                        source.file,
                        decorator.lineno,
                        "cached-method",
                        f"{owner.name}.{method.name} is cached by its arguments, self among them: the cache keeps "
                        f"{_how_many(bound)} of {owner.name} alive.",
                        "Cache per instance (functools.cached_property), or a function of what the result depends on.",
                    )


def _bound(name: str, decorator: ast.expr) -> int | None:
    """How many results the cache keeps, None for all of them; of a bound that can't be told, the default."""
    if name.endswith(".cache"):
        return None
    if not isinstance(decorator, ast.Call):
        return 128
    values = [*decorator.args[:1], *(k.value for k in decorator.keywords if k.arg == "maxsize")]
    bound = getattr(values[0], "value", 128) if values else 128
    return bound if isinstance(bound, int) and not isinstance(bound, bool) else None if bound is None else 128


def _how_many(bound: int | None) -> str:
    return "every instance" if bound is None else f"up to {bound:,} instances"


def _is_value(owner: Class) -> bool:
    """Whether equal instances are one to a cache: a bounded one may well be meant."""
    return bool({"__eq__", "__hash__"} & owner.methods.keys()) or bool({"NamedTuple", "tuple", "str"} & owner.bases)


def context_variables(source: Source, project: Project) -> Iterator[Diagnostic]:
    """A ContextVar that a function makes."""
    if not source.is_using("contextvars"):
        return
    for node in source.nodes:
        if not (isinstance(node, ast.Call) and source.full_name(node.func) == "contextvars.ContextVar"):
            continue
        function = next((n for n in source.around(node) if isinstance(n, (*FUNCTIONS, ast.Lambda))), None)
        if (
            isinstance(function, FUNCTIONS)
            and not function.decorator_list
            and not _is_kept_once(source, function, node)
        ):
            yield Diagnostic(
                source.file,
                node.lineno,
                "contextvar-per-call",
                f"{function.name}() makes a ContextVar on each call, and every Context in which it is set keeps it "
                "and its value for good.",
                "Make it once, at module level, and reset it with the token that set() gives.",
            )


def _is_kept_once(source: Source, function: Function, call: ast.Call) -> bool:
    """Whether the function keeps it in a global name, or is a class's own making of classes."""
    names = {name for node in inside(function) if isinstance(node, ast.Global) for name in node.names}
    is_global = any(isinstance(t, ast.Name) and t.id in names for t, value in assignments(function) if value is call)
    return is_global or function.name in ("__init_subclass__", "__set_name__", "main")


def exit_callbacks(source: Source, project: Project) -> Iterator[Diagnostic]:
    """`atexit.register` of something that reaches self, for each instance anew."""
    if not source.is_using("atexit"):
        return
    if any(isinstance(n, ast.Call) and source.full_name(n.func) == "atexit.unregister" for n in source.nodes):
        return
    for owner, method, me in _builders(source, project):
        for node in inside(method):
            if isinstance(node, ast.Call) and source.full_name(node.func) == "atexit.register":
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                is_kept = any(reaches(a, me, owner) or _is_method_of(a, me, owner) for a in arguments)
                if is_kept and owner.name not in project.made_once:
                    yield Diagnostic(
                        source.file,
                        node.lineno,
                        "atexit-method",
                        f"{owner.name}.{method.name} registers self with atexit, which keeps every {owner.name} until "
                        "the program ends.",
                        "Use weakref.finalize(self, function, …), which runs at exit too and keeps nothing alive; or "
                        "atexit.unregister in close().",
                    )


def _is_method_of(node: ast.expr, me: str, owner: Class) -> bool:
    """`self.name` that a base class must define, as this one never sets it."""
    name = attribute_of(node, me)
    return bool(name) and name not in owner.attributes and name not in owner.values and name not in owner.methods


def registries(source: Source, project: Project) -> Iterator[Diagnostic]:
    """A container of the class or module into which each instance puts itself, and out of which nothing is taken."""
    for owner, method, me in _builders(source, project):
        for node in inside(method):
            place = _addition(node, me, owner)
            if place is None or (name := last_name(place)) in project.emptied:
                continue
            if _is_lasting(source, owner, method, me, place) and owner.name not in project.made_once:
                where = f"{owner.name}.{name}" if isinstance(place, ast.Attribute) else name
                yield Diagnostic(
                    source.file,
                    getattr(node, "lineno", method.lineno),
                    "growing-registry",
                    f"every new {owner.name} is put into {where}, and nothing here ever takes one out.",
                    "Use a weakref.WeakSet or WeakValueDictionary, or take it out in a close(), called by `with`.",
                )


def _builders(source: Source, project: Project) -> Iterator[tuple[Class, Function, str]]:
    """(class, method that runs once per instance, the name of self in it), of classes that may have many instances."""
    for owner in source.classes.values():
        if owner.is_few or "__init_subclass__" in owner.methods:
            continue
        for name in BUILDERS:
            if (method := owner.methods.get(name)) is not None and name != "__new__" and (me := own(method)):
                yield owner, method, me


def _addition(node: ast.AST, me: str, owner: Class) -> ast.expr | None:
    """The container into which the statement puts self."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ADDERS:
        return node.func.value if any(reaches(a, me, owner) for a in node.args) else None
    if isinstance(node, ast.Assign) and reaches(node.value, me, owner) and len(node.targets) == 1:
        target = node.targets[0]
        return target.value if isinstance(target, ast.Subscript) else None
    return None


def _is_lasting(source: Source, owner: Class, method: Function, me: str, place: ast.expr) -> bool:
    """Whether the place is a plain container of the class, or of the module."""
    if isinstance(place, ast.Name):
        local = {a.arg for a in method.args.args} | {t.id for t, _ in assignments(method) if isinstance(t, ast.Name)}
        return place.id not in local and _is_container(source, source.values.get(place.id))
    if not isinstance(place, ast.Attribute) or place.attr in owner.attributes:
        return False
    base = place.value
    is_own = isinstance(base, ast.Name) and base.id in (me, owner.name)
    is_own |= isinstance(base, ast.Call) and last_name(base.func) == "type" and len(base.args) == 1
    is_own |= isinstance(base, ast.Attribute) and attribute_of(base, me) == "__class__"
    return is_own and _is_container(source, owner.values.get(place.attr))


def _is_container(source: Source, value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        is_bounded = any(keyword.arg == "maxlen" for keyword in value.keywords) or len(value.args) > 1
        return source.full_name(value.func) in CONTAINERS and not is_bounded
    return isinstance(value, ast.List | ast.Dict | ast.Set)


def endless_threads(source: Source, project: Project) -> Iterator[Diagnostic]:
    """A thread that is no daemon, whose function has no way out, and which nobody joins."""
    if not source.is_using("threading"):
        return
    for owner in source.classes.values():
        for method in owner.methods.values():
            for node in inside(method):
                if not (isinstance(node, ast.Call) and source.full_name(node.func) == "threading.Thread"):
                    continue
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                target = given.get("target")
                me = own(method)
                loop = owner.methods.get(attribute_of(target, me)) if target is not None and me else None
                if loop is None or "daemon" in given or None in given or not _is_endless(source, loop):
                    continue
                if not _is_looked_after(source, owner):
                    yield Diagnostic(
                        source.file,
                        node.lineno,
                        "endless-thread",
                        f"the thread that {owner.name}.{method.name} starts never leaves {loop.name}(): it keeps its "
                        f"{owner.name} alive, and the program from ending.",
                        "Let the loop wait for a threading.Event, set it in a close(), called by `with`, and join.",
                    )


def _is_endless(source: Source, function: Function) -> bool:
    """Whether it has a `while True` of its own, and nothing that leaves it."""
    nodes = list(inside(function))
    loops = [n for n in nodes if isinstance(n, ast.While) and isinstance(n.test, ast.Constant) and n.test.value]
    leaves = (ast.Return, ast.Break, ast.Raise, ast.Yield, ast.YieldFrom, ast.Await, ast.Try, ast.Assert)
    ends = {"sys.exit", "os._exit", "builtins.exit", "builtins.quit"}
    calls = [n for n in nodes if isinstance(n, ast.Call)]
    is_left = any(isinstance(n, leaves) for n in nodes) or any(source.full_name(c.func) in ends for c in calls)
    return bool(loops) and not is_left


def _is_looked_after(source: Source, owner: Class) -> bool:
    """Whether the file joins a thread, or makes one a daemon afterwards."""
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr in ("daemon", "setDaemon"):
            return True
        is_join = isinstance(node, ast.Attribute) and node.attr == "join" and not isinstance(node.value, ast.Constant)
        if is_join and isinstance(node, ast.Attribute) and last_name(node.value) not in ("path", "sep"):
            return True
    return False


CHECKS: tuple[Check, ...] = (cached_methods, context_variables, exit_callbacks, registries, endless_threads)
