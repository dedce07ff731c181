"""`leakhunt.arm()`: lets a program wait, at no cost, for a `leakhunt attach` that may never come."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

from leakhunt.errors import AttachError

PACKAGE = "_leakhunt_agent"


def arm() -> bool:
    """Let the agent listen in this process; True when this call started it.

    False when it was open, and when somebody else, another user perhaps, has taken the name of its socket: a program
    that can be attached to in fewer ways is not a program that must not start.

    From then on `leakhunt attach PID`, by the same user or root, starts the agent without touching the process from
    outside: no ptrace, no permission for it. Until then one thread sleeps in accept(). Forked children open their own.

    Raises:
        AttachError: this interpreter can't (no CPython 3.8+, no socket module, a sandbox, a sub-interpreter).
    """
    try:
        listener = _load()
        if not sys.modules[PACKAGE].is_main_interpreter():
            raise ImportError("a sub-interpreter can't have threads of others")
        return bool(listener.start_listening())
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise _refused(error) from error
    except (ImportError, AttributeError) as error:
        raise _refused(error) from error


def _refused(error: Exception) -> AttachError:
    return AttachError(f"This process can't be armed: {error}.", "Use `leakhunt attach PID` all the same.")


def _load() -> Any:
    """The agent's listener, the agent being loaded under the private name that every way in looks for."""
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    if PACKAGE not in sys.modules:
        folder = Path(__file__).parent / "agent"
        spec = spec_from_file_location(PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
        assert spec is not None and spec.loader is not None
        module = sys.modules[PACKAGE] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[PACKAGE]
            raise
    return import_module(f"{PACKAGE}.listener")
