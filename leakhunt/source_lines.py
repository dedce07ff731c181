"""Where a name stands in the source: the line that makes an attribute or a global, found by reading, not importing."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable

from leakhunt.reading import read_regular

_SOURCE_BYTES_MAX = 16 << 20
_LINE_MAX = 200


def short_path(file: str, search_path: Iterable[str]) -> str:
    """`file` as it reads below the nearest entry of the program's `sys.path`; unchanged where it is below none."""
    entries = sorted((entry.rstrip("/") + "/" for entry in search_path if entry), key=len, reverse=True)
    for entry in entries:
        if file.startswith(entry):
            return file[len(entry) :]
    return file


def line_of(file: str, scope: str, attribute: str) -> int | None:
    """Line in `file` that first assigns `attribute` in the class or function named last in `scope`, or in the module.

    None where the file can't be read or nothing in it does.
    """
    tree = _parsed(file)
    if tree is None or not attribute:
        return None
    name = attribute.strip("<>")
    where = _definition(tree, scope.rpartition(".")[2]) or tree
    lines = sorted(line for line, found in _assignments(where) if found == name)
    return lines[0] if lines else None


def text_of(file: str, line: int) -> str:
    """A line of a file as it reads now, without the space around it; "" where it can't be read."""
    lines = _lines(file)
    return lines[line - 1].strip()[:_LINE_MAX] if 0 < line <= len(lines) else ""


@functools.lru_cache(maxsize=64)
def _lines(file: str) -> tuple[str, ...]:
    try:
        return tuple(read_regular(file, _SOURCE_BYTES_MAX).decode("utf-8", "replace").split("\n"))
    except (OSError, ValueError):
        return ()


@functools.lru_cache(maxsize=64)
def _parsed(file: str) -> ast.Module | None:
    try:
        return ast.parse(read_regular(file, _SOURCE_BYTES_MAX))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # the last for "too deep"
        return None


def _definition(tree: ast.Module, name: str) -> ast.AST | None:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return next((node for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name), None)


def _assignments(where: ast.AST) -> Iterable[tuple[int, str]]:
    """(line, name) of everything assigned or defined below a node; `self.x` counts as x."""
    for node in ast.walk(where):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
