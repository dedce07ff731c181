"""Arms a program that leakhunt started, then steps aside for the program's own sitecustomize.

Python imports this file at start-up because `leakhunt run` puts its directory first on PYTHONPATH. Every interpreter
that the program starts does so too, hence a file that Python 2.7 can parse and that leaves alone what it does not know.
"""

import os
import sys


def _arm(here):  # type: (str) -> None
    """Load the agent under a name of its own, past sys.path, and start it. Never raises into the program."""
    run_folder = os.environ.get("LEAKHUNT_RUN")
    if not run_folder or sys.version_info < (3, 8) or sys.implementation.name != "cpython":
        return
    options = os.environ.get("LEAKHUNT_OPTIONS", "")
    if "children=0" in options.split(","):
        del os.environ["LEAKHUNT_RUN"]
    try:
        # The frozen twins of importlib.util are loaded in every interpreter; importlib.util itself is not.
        from _frozen_importlib import module_from_spec
        from _frozen_importlib_external import spec_from_file_location

        agent_folder = os.path.dirname(here)
        spec = spec_from_file_location(
            "_leakhunt_agent",
            os.path.join(agent_folder, "__init__.py"),
            submodule_search_locations=[agent_folder],
        )
        agent = sys.modules["_leakhunt_agent"] = module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(agent)  # type: ignore[union-attr]
        agent.arm(run_folder, options)
    except Exception as error:
        _give_up(error)


def _give_up(error):  # type: (Exception) -> None
    """Say in one line that this process is not measured, and leave nothing behind."""
    for name in [name for name in sys.modules if name.split(".")[0] == "_leakhunt_agent"]:
        del sys.modules[name]
    words = " ".join(("%s: %s" % (type(error).__name__, error)).split())
    try:
        os.write(2, ("leakhunt: process %d is not measured: %s\n" % (os.getpid(), words)).encode("utf-8", "replace"))
    except OSError:
        pass


def _step_aside(here):  # type: (str) -> None
    """Import the sitecustomize that Python would have found without this one.

    What the import raises passes through, an ImportError that there is none included: `site` expects it, and Python
    then drops this module, so that `sys.modules` looks as if leakhunt had never been there.
    """
    myself = sys.modules.pop("sitecustomize", None)  # a local, because Python 2 empties the globals of a lost module
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path_importer_cache.pop(here, None)
    import sitecustomize  # type: ignore[import-not-found] # noqa: F401

    del myself


_here = os.path.dirname(os.path.abspath(__file__))
_arm(_here)
_step_aside(_here)
