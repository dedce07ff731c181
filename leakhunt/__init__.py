"""leakhunt: names the line of a Python program that keeps the memory alive.

Public names, each loaded when first asked for:

- `load(path)`: a snapshot or a run folder, to look at: `HeapView` or `RunView`
- `hunt(run)`: the analysis of a run folder, as `Findings`
- `Snapshot`, `Findings`: the values that these are made of
- `this_process`: a module that looks at the interpreter that runs
- `arm()`: lets a program wait, at no cost, for a `leakhunt attach` that may never come
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors see of `__getattr__`
    from leakhunt import this_process as this_process
    from leakhunt.arming import arm as arm
    from leakhunt.findings import Findings as Findings
    from leakhunt.notebook import load as load
    from leakhunt.pipeline import hunt as hunt
    from leakhunt.snapshot import Snapshot as Snapshot

__version__ = "0.1.0"

_MODULE_BY_NAME = {
    "Snapshot": "leakhunt.snapshot",
    "Findings": "leakhunt.findings",
    "arm": "leakhunt.arming",
    "hunt": "leakhunt.pipeline",
    "load": "leakhunt.notebook",
}
__all__ = ["Findings", "Snapshot", "__version__", "arm", "hunt", "load", "this_process"]

if not TYPE_CHECKING:  # else every name that is misspelt would be one

    def __getattr__(name: str) -> Any:
        if name == "this_process":
            return import_module("leakhunt.this_process")
        if name in _MODULE_BY_NAME:
            return getattr(import_module(_MODULE_BY_NAME[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext leakhunt`: the magic `%%leakhunt`, which says what a cell left behind."""
    import_module("leakhunt.jupyter").load_ipython_extension(shell)
