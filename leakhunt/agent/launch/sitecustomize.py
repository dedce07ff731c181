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
    if not _is_main_interpreter():  # a thread of ours in it would end the process when it ends
        _mark(run_folder, "sub-interpreters are not measured")
        return
    written, prefix = sys.dont_write_bytecode, sys.pycache_prefix  # type: ignore[attr-defined]
    try:
        # The frozen twins of importlib.util are loaded in every interpreter; importlib.util itself is not.
        from _frozen_importlib import module_from_spec
        from _frozen_importlib_external import spec_from_file_location

        agent_folder = os.path.dirname(here)
        if _has_no_bytecode(agent_folder, run_folder):
            prefix_of_ours = run_folder + "/bytecode"
            _make_private(prefix_of_ours)  # Python would make it for everybody
            sys.dont_write_bytecode, sys.pycache_prefix = False, prefix_of_ours  # type: ignore[attr-defined]
        spec = spec_from_file_location(
            "_leakhunt_agent",
            os.path.join(agent_folder, "__init__.py"),
            submodule_search_locations=[agent_folder],
        )
        agent = sys.modules["_leakhunt_agent"] = module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(agent)  # type: ignore[union-attr]
        agent.arm(run_folder, options)
    except Exception as error:
        _give_up(run_folder, error)
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = written, prefix  # type: ignore[attr-defined]


def _has_no_bytecode(agent_folder, run_folder):  # type: (str, str) -> bool
    """Whether every process would compile the agent again, three times as long as all else that it does at the start.

    The run folder may keep the bytecode where nobody else can put any.
    """
    from _frozen_importlib_external import cache_from_source

    if os.path.exists(cache_from_source(agent_folder + "/sampler.py")):
        return False
    if not sys.dont_write_bytecode and os.access(agent_folder, os.W_OK):
        return False
    folder = os.stat(run_folder)
    return folder.st_uid == os.geteuid() and not folder.st_mode & 0o022


def _make_private(folder):  # type: (str) -> None
    try:
        os.mkdir(folder, 0o700)
    except OSError:  # another process of the run made it, or Python will find that it can't write there
        pass


def _is_main_interpreter():  # type: () -> bool
    """Whether this interpreter is the one that the process began with; asked in its main thread."""
    try:
        from _thread import _is_main_interpreter  # type: ignore[attr-defined]

        return bool(_is_main_interpreter())
    except ImportError:  # before 3.12
        pass
    import _signal

    try:
        _signal.signal(0, _signal.SIG_DFL)  # refused in a sub-interpreter before the number, which no signal has
    except ValueError as why:
        return "range" in str(why)
    return True


def _give_up(run_folder, error):  # type: (str, Exception) -> None
    """Tell the run folder why this process is not measured, and leave nothing behind; the program is told nothing."""
    for name in [name for name in sys.modules if name.split(".")[0] == "_leakhunt_agent"]:
        del sys.modules[name]
    words = " ".join(("%s: %s" % (type(error).__name__, error)).split())
    _mark(run_folder, "it is not measured: " + words)


def _mark(run_folder, text):  # type: (str, str) -> None
    """As agent/marks.py does it, which may not be there."""
    name = "".join([c if " " <= c <= "~" and c != "/" else " " for c in text[:160]])
    try:
        os.mknod("%s/pid-%d.mark.%s" % (run_folder, os.getpid(), name), 0o100600)
    except Exception:  # there already, or nothing at all can be told
        pass


def _step_aside(here):  # type: (str) -> None
    """Import the sitecustomize that Python would have found without this one.

    What the import raises passes through, an ImportError that there is none included: `site` expects it, and Python
    then drops this module, so that `sys.modules` looks as if leakhunt had never been there.
    """
    myself = sys.modules.pop("sitecustomize", None)  # a local, because Python 2 empties the globals of a lost module
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path_importer_cache.pop(here, None)
    import sitecustomize  # type: ignore[import-not-found]

    del myself


_here = os.path.dirname(os.path.abspath(__file__))
_arm(_here)
_step_aside(_here)
