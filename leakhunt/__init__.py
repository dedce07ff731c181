"""leakhunt: names the line of a Python program that keeps the memory alive.

Public names, loaded when first asked for: `load` (a snapshot or a run, to look at), `hunt` (a run folder to Findings),
`Snapshot`, `Findings`, `arm`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "Snapshot": "leakhunt.snapshot",
    "Findings": "leakhunt.findings",
    "arm": "leakhunt.arming",
    "hunt": "leakhunt.pipeline",
    "load": "leakhunt.notebook",
}
__all__ = ["Findings", "Snapshot", "__version__", "arm", "hunt", "load"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext leakhunt`: the magic `%%leakhunt`, which says what a cell left behind."""
    import_module("leakhunt.jupyter").load_ipython_extension(shell)
