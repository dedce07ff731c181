"""What a `__del__` does that it had better not: PEP 442 made it safe to run, not wise to rely on."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .source import (
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
IN_THE_OPEN = (
    "Release it in the open, by `with` (contextlib.closing for what only has close()), and keep "
    "weakref.finalize for what a caller forgets."
)
ASYNCHRONOUS = (
    "Give the class `async with` (__aenter__, __aexit__) and await its close there: when __del__ runs, no loop may be."
)
KEEPERS = {
    "append", "appendleft", "add", "insert", "put", "put_nowait", "setdefault", "push", "register", "extend",
}  # fmt: skip
WEAK = ("weakref.",)
LOG_METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "log"}
LOGGERS = {"log", "logger", "_log", "_logger", "LOG", "LOGGER"}
PATH_METHODS = {
    "unlink", "write_text", "write_bytes", "read_text", "read_bytes", "open", "touch", "rename", "replace",
    "mkdir", "rmdir",
}  # fmt: skip
RELEASES = {
    "close", "shutdown", "detach", "kill", "terminate", "cancel", "release", "cleanup", "stop", "poll", "fileno",
    "disconnect",
}  # fmt: skip
WORK = {
    "network": (
        "requests.", "httpx.", "urllib.request.", "urllib3.", "socket.socket", "socket.create_connection", "smtplib.",
        "http.client.", "ftplib.", "telnetlib.", "xmlrpc.client.", "paramiko.", "redis.", "boto3.", "pika.",
    ),
    "file": (
        "builtins.open", "io.open", "os.remove", "os.unlink", "os.rename", "os.replace", "os.rmdir", "os.removedirs",
        "os.mkdir", "os.makedirs", "shutil.",
    ),
    "subprocess": ("subprocess.", "os.system", "os.popen", "multiprocessing.Process", "multiprocessing.Pool"),
    "asyncio": (
        "asyncio.run", "asyncio.create_task", "asyncio.ensure_future", "asyncio.run_coroutine_threadsafe",
        "asyncio.wait_for", "asyncio.gather", "anyio.run", "trio.run",
    ),
    "thread": ("threading.Thread", "concurrent.futures."),
}  # fmt: skip
WHY = {
    "network": "which blocks whoever drops the last reference, and fails when the interpreter is going down",
    "logging": "which takes locks that the interrupted code may hold, and fails when the interpreter is going down",
    "file": "which may block, and fails when the interpreter is going down",
    "subprocess": "which blocks whoever drops the last reference, and fails when the interpreter is going down",
    "asyncio": "which needs a running loop, and the collector calls from any thread at any time",
    "thread": "which can't start when the interpreter is going down",
}


def finalizers(source: Source) -> Iterator[tuple[Class, Function, str]]:
    """(class, its `__del__`, the name of self in it)."""
    for owner in source.classes.values():
        method = owner.methods.get("__del__")
        if method is not None and (me := own(method)):
            yield owner, method, me


def resurrects(source: Source, project: Project) -> Iterator[Diagnostic]:
    """`__del__` stores self, or something that reaches it, where it outlives the call."""
    for owner, method, me in finalizers(source):
        for node in inside(method):
            place = _stored(source, owner, method, me, node)
            if place is not None:
                yield Diagnostic(
                    source.file,
                    getattr(node, "lineno", method.lineno),
                    "del-resurrects",
                    f"{owner.name}.__del__ puts the dying object back into reach, in {ast.unparse(place)}: "
                    "its __del__ never runs again, and nobody frees it.",
                    "Don't store self from __del__: hand the resource back in the open (with, contextlib.closing).",
                )


def _stored(source: Source, owner: Class, method: Function, me: str, node: ast.AST) -> ast.expr | None:
    """Where this statement or call stores self for longer than the call, None when it evidently does not."""
    place: ast.expr | None = None
    if isinstance(node, ast.Assign) and reaches(node.value, me, owner):
        targets = [t for t in node.targets if not isinstance(t, ast.Tuple | ast.List) and not attribute_of(t, me)]
        place = next((t for t in targets if not isinstance(t, ast.Name) or _is_global(method, t.id)), None)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
        if source.full_name(node.func) in ("atexit.register", "heapq.heappush"):
            is_kept = any(reaches(argument, me, owner) for argument in node.args)
            return (node.func if last_name(node.func) == "register" else node.args[0]) if is_kept else None
        if isinstance(node.func, ast.Attribute) and node.func.attr in KEEPERS:
            place = node.func.value if any(reaches(argument, me, owner) for argument in node.args) else None
    if place is None or (isinstance(place, ast.Name) and isinstance(node, ast.Assign)):
        return place
    return place if _outlives(source, owner, method, me, _without_alias(method, place)) else None


def _is_global(method: Function, name: str) -> bool:
    return any(isinstance(node, ast.Global) and name in node.names for node in inside(method))


def _without_alias(method: Function, place: ast.expr) -> ast.expr:
    """For a local name that is bound once, what it is bound to."""
    if isinstance(place, ast.Name):
        pairs = assignments(method)
        values = [value for target, value in pairs if isinstance(target, ast.Name) and target.id == place.id]
        if len(values) == 1 and isinstance(values[0], ast.Name | ast.Attribute | ast.Subscript):
            return values[0]
    return place


def _outlives(source: Source, owner: Class, method: Function, me: str, place: ast.expr) -> bool:
    """Whether a place certainly lives on when the object called `me` does not."""
    steps = []
    while isinstance(place, ast.Attribute | ast.Subscript):
        steps.append(place.attr if isinstance(place, ast.Attribute) else "[]")
        place = place.value
    if isinstance(place, ast.Call):
        return last_name(place.func) == "type" and bool(steps)
    if not isinstance(place, ast.Name):
        return False
    if place.id == me and steps:
        return _is_shared(source, owner, steps[-1])
    if place.id in source.classes:
        return bool(steps) and not _is_weak(source, source.classes[place.id].values.get(steps[-1]))
    local = {t.id for t, _ in assignments(method) if isinstance(t, ast.Name)} | {a.arg for a in method.args.args}
    if place.id in local and not _is_global(method, place.id):
        return False
    value = source.values.get(place.id)
    return value is not None and not _is_weak(source, value)


def _is_shared(source: Source, owner: Class, attribute: str) -> bool:
    """Whether self.attribute is of the class, or was given from outside."""
    if attribute == "__class__":
        return True
    set_to = owner.attributes.get(attribute)
    if set_to is None:
        return attribute in owner.values and not _is_weak(source, owner.values[attribute])
    given = [isinstance(value, ast.Name) and value.id in {a.arg for a in method.args.args} for value, method in set_to]
    return all(given)


def _is_weak(source: Source, value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and source.full_name(value.func).startswith(WEAK)


def works(source: Source, project: Project) -> Iterator[Diagnostic]:
    """`__del__` does network, logging, file, subprocess or asyncio work, itself or in a method of its class."""
    for owner, method, me in finalizers(source):
        said = set()
        for kind, call, by in _work(source, owner, method, me):
            if kind in said:
                continue
            said.add(kind)
            yield Diagnostic(
                source.file,
                call.lineno,
                "del-works",
                f"{owner.name}.__del__ does {kind} work{by} ({ast.unparse(call.func)}), {WHY[kind]}.",
                ASYNCHRONOUS if kind == "asyncio" else IN_THE_OPEN,
            )


def _work(source: Source, owner: Class, method: Function, me: str) -> Iterator[tuple[str, ast.Call, str]]:
    """(kind, call, how it comes to it): in the `__del__` and one call of an own method deep."""
    for node in inside(method):
        if not isinstance(node, ast.Call):
            continue
        if kind := kind_of_work(source, owner, node):
            yield kind, node, ""
        other = owner.methods.get(attribute_of(node.func, me))
        if other is not None and isinstance(other, ast.FunctionDef) and other is not method:
            for deeper in inside(other):
                if isinstance(deeper, ast.Call) and (kind := kind_of_work(source, owner, deeper)):
                    yield kind, node, f" by {other.name}(), line {deeper.lineno}"


def kind_of_work(source: Source, owner: Class, call: ast.Call) -> str:
    """A key of WORK or "logging", '' when the call is none of it as far as can be told."""
    name = source.called(call, owner)
    method = last_name(call.func)
    receiver = last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if method in ("run_until_complete", "create_task"):
        return "asyncio"
    if method in LOG_METHODS and (receiver in LOGGERS or name.startswith(("logging.", "loguru.", "structlog."))):
        return "logging"
    if method in PATH_METHODS and name.startswith("pathlib.Path."):
        return "file"
    if method in RELEASES:
        return ""
    return next((kind for kind, names in WORK.items() if name.startswith(names)), "")


def is_in_cycle(source: Source, project: Project) -> Iterator[Diagnostic]:
    """An instance and what it makes refer to each other, nobody takes that apart, and one of them has a `__del__`."""
    if not any("__del__" in owner.methods for owner in source.classes.values()):
        return
    for owner in source.classes.values():
        for line, attribute, others in _cycles(source, owner):
            concerned = [c for c in (owner, *others) if "__del__" in c.methods]
            if concerned and not _is_taken_apart(owner, attribute):
                with_del = concerned[0]
                yield Diagnostic(
                    source.file,
                    line,
                    "del-in-cycle",
                    f"each {owner.name} is in a reference cycle through self.{attribute}: {with_del.name}.__del__ "
                    f"(line {with_del.methods['__del__'].lineno}) runs only when the collector comes by.",
                    "Make the way back a weakref.ref, or take the cycle apart in a close() that is called by `with`.",
                )


def _cycles(source: Source, owner: Class) -> Iterator[tuple[int, str, list[Class]]]:
    """(line, attribute of self that the cycle goes through, other classes in it)."""
    for attribute, values in owner.attributes.items():
        for value, method in values:
            me = own(method)
            made = _class_of(source, value)
            if reaches(value, me, owner):
                yield value.lineno, attribute, []
            elif made is not None and isinstance(value, ast.Call) and _keeps_argument(made, value, me):
                yield value.lineno, attribute, [made]
            for target, stored in assignments(method):
                is_below = isinstance(target, ast.Attribute) and attribute_of(target.value, me) == attribute
                if made is not None and is_below and stored is not None and reaches(stored, me, owner):
                    yield target.lineno, attribute, [made]
    for method in owner.methods.values():
        yield from _adopted(source, owner, method)


def _adopted(source: Source, owner: Class, method: Function) -> Iterator[tuple[int, str, list[Class]]]:
    """`child.parent = self` beside `self.children.append(child)` or `self.child = child`."""
    me = own(method)
    pairs = list(assignments(method))
    for target, value in pairs:
        if not (me and isinstance(value, ast.Name) and value.id == me and isinstance(target, ast.Attribute)):
            continue
        child = target.value.id if isinstance(target.value, ast.Name) else ""
        kept = [attribute_of(t, me) for t, v in pairs if isinstance(v, ast.Name) and v.id == child]
        kept += [attribute_of(to, me) for c, to in _calls_of(method, "append", "add") if _has(c.args, child)]
        attribute = next(filter(None, kept), "")
        if child not in ("", me) and attribute and not _is_property(source, target.attr):
            made = [_class_of(source, v) for t, v in pairs if isinstance(t, ast.Name) and t.id == child]
            if not _is_weak(source, next((v for v, _ in owner.attributes.get(attribute, ())), None)):
                yield target.lineno, attribute, [c for c in made if c is not None]


def _class_of(source: Source, value: ast.expr | None) -> Class | None:
    """The class of this file that the expression makes an instance of."""
    return source.classes.get(last_name(value.func)) if isinstance(value, ast.Call) else None


def _calls_of(method: Function, *names: str) -> Iterator[tuple[ast.Call, ast.expr]]:
    """(call, receiver) of calls in a method of methods with these names."""
    for node in inside(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node, node.func.value


def _has(values: list[ast.expr], name: str) -> bool:
    return any(isinstance(value, ast.Name) and value.id == name for value in values)


def _keeps_argument(made: Class, call: ast.Call, me: str) -> bool:
    """Whether the class's `__init__` stores the argument that is `me` on its self, as it is."""
    initializer = made.methods.get("__init__")
    if initializer is None:
        return False
    names = [a.arg for a in (*initializer.args.posonlyargs, *initializer.args.args)][1:]
    given = {n for n, a in zip(names, call.args, strict=False) if isinstance(a, ast.Name) and a.id == me}
    given |= {k.arg for k in call.keywords if isinstance(k.value, ast.Name) and k.value.id == me and k.arg}
    stored = [(t, v.id) for t, v in assignments(initializer) if isinstance(v, ast.Name) and v.id in given]
    rebound = {t.id for t, _ in assignments(initializer) if isinstance(t, ast.Name)}
    return any(
        (name := attribute_of(t, own(initializer))) and not _is_property(made.source, name) and v not in rebound
        for t, v in stored
    )


def _is_property(source: Source, name: str) -> bool:
    """Whether a class here gives the name a setter or a slot of its own making: who knows what that does."""
    return any(name in c.methods or name in c.values or "__setattr__" in c.methods for c in source.classes.values())


def _is_taken_apart(owner: Class, attribute: str) -> bool:
    """Whether a method other than `__init__` and `__del__` lets go of it, or sets it anew."""
    for name, method in owner.methods.items():
        if name in ("__init__", "__del__"):
            continue
        for target, value in assignments(method):
            is_let_go = value is None or isinstance(value, ast.Constant)
            if attribute_of(target, own(method)) == attribute and is_let_go:
                return True
        if any(attribute_of(to, own(method)) == attribute for _, to in _calls_of(method, "clear", "pop", "remove")):
            return True
    return False


def raises(source: Source, project: Project) -> Iterator[Diagnostic]:
    """`__del__` raises out: nobody can catch it. One that is a coroutine or a generator never runs at all."""
    for owner, method, _ in finalizers(source):
        is_generator = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in inside(method))
        if isinstance(method, ast.AsyncFunctionDef) or is_generator:
            what = "a generator" if is_generator else "a coroutine"
            yield Diagnostic(
                source.file,
                method.lineno,
                "del-never-runs",
                f"{owner.name}.__del__ is {what}: calling it only makes an object, and its body never runs.",
                ASYNCHRONOUS,
            )
            continue
        for node in inside(method):
            if isinstance(node, ast.Raise) and not _is_caught(source, node):
                yield Diagnostic(
                    source.file,
                    node.lineno,
                    "del-raises",
                    f"{owner.name}.__del__ raises: nobody can catch it, it is printed to stderr, and a hook that "
                    "keeps it keeps the object too.",
                    "Warn (warnings.warn(…, ResourceWarning, source=self)), and raise from close(), called by `with`.",
                )


def _is_caught(source: Source, node: ast.AST) -> bool:
    """Whether it is in the body of a `try` that catches anything, or of a `with` that may."""
    inner: ast.AST = node
    for outer in source.around(node):
        if isinstance(outer, FUNCTIONS):
            return False
        if isinstance(outer, ast.With) or (isinstance(outer, ast.Try) and outer.handlers and inner in outer.body):
            return True
        inner = outer
    return False


CHECKS: tuple[Check, ...] = (resurrects, works, is_in_cycle, raises)
